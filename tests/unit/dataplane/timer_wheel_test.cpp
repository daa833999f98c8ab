#include "dataplane/timer_wheel.h"

#include <algorithm>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/conn_fixture.h"

namespace headgate::dataplane {
namespace {

using test::make4;
using test::make6;
using test::TestTable;

class TimerWheelTest : public ::testing::Test {
 protected:
  std::vector<ConnRef> look_all(Tick now, uint32_t budget = 1000) {
    std::vector<ConnRef> seen;
    wheel.advance(now, budget, [&](ConnRef ref) -> std::optional<Tick> {
      seen.push_back(ref);
      return std::nullopt;
    });
    return seen;
  }
  ConnRef make(uint32_t id) { return make4(*table, 0, id).ref; }

  TestTable table{{.capacity4 = 5000, .capacity6 = 100, .workers = 2, .other_actors = 0}};
  TimerWheel wheel{*table, 0, 100};
};

TEST_F(TimerWheelTest, LooksAtAnEntryInItsTick) {
  const ConnRef ref = make(1);
  wheel.arm(ref, 110);
  EXPECT_TRUE(wheel.is_armed(ref));
  EXPECT_TRUE(look_all(109).empty());
  EXPECT_EQ(look_all(110), std::vector{ref});
  EXPECT_FALSE(wheel.is_armed(ref));
  EXPECT_TRUE(look_all(10'000).empty());
}

TEST_F(TimerWheelTest, LooksAtAPastTickAtOnce) {
  const ConnRef ref = make(1);
  EXPECT_TRUE(look_all(200).empty());
  wheel.arm(ref, 150);
  EXPECT_EQ(look_all(201), std::vector{ref});
}

TEST_F(TimerWheelTest, DisarmsFromHeadMiddleAndEndOfASlot) {
  for (uint32_t removed = 0; removed < 3; ++removed) {
    const Tick due = 120 + removed;
    std::vector<ConnRef> refs;
    for (uint32_t id = 0; refs.size() < 3; ++id) {
      const ConnRef ref = make(removed * 100 + id);
      if (ref.index() % 8 != 3) continue;  // entries of the same list
      refs.push_back(ref);
      wheel.arm(ref, due);
    }
    wheel.disarm(refs[removed]);
    wheel.disarm(refs[removed]);  // again: nothing happens
    refs.erase(refs.begin() + removed);
    std::vector<ConnRef> seen = look_all(due);
    std::ranges::sort(seen, {}, &ConnRef::value);
    EXPECT_EQ(seen, refs) << "removed " << removed;
    for (const ConnRef ref : refs)
      EXPECT_FALSE(wheel.is_armed(ref));
  }
}

TEST_F(TimerWheelTest, ArmsAgainFromWhatTheLookReturns) {
  const ConnRef ref = make(1);
  wheel.arm(ref, 110);
  std::vector<Tick> looks;
  for (Tick now = 100; now < 200; ++now) {
    wheel.advance(now, 10, [&](ConnRef) -> std::optional<Tick> {
      looks.push_back(now);
      return now + 30;
    });
  }
  EXPECT_EQ(looks, (std::vector<Tick>{110, 140, 170}));
}

TEST_F(TimerWheelTest, EntryArmedForTheSlotBeingLookedAtComesUpOneTickLater) {
  const ConnRef ref = make(1);
  wheel.arm(ref, 110);
  uint32_t looks = wheel.advance(110, 1000, [&](ConnRef) { return std::optional<Tick>(110); });
  EXPECT_EQ(looks, 1U);
  looks = wheel.advance(111, 1000, [&](ConnRef) { return std::optional<Tick>(); });
  EXPECT_EQ(looks, 1U);
}

TEST_F(TimerWheelTest, LooksOnTheWayAtWhatIsFartherThanItSees) {
  const ConnRef ref = make(1);
  const Tick due = 100 + 3 * wheel_slots;
  wheel.arm(ref, due);
  uint32_t looks = 0;
  Tick expired = 0;
  for (Tick now = 100; now <= due; ++now) {
    wheel.advance(now, 10, [&](ConnRef) -> std::optional<Tick> {
      ++looks;
      if (now < due) return due;
      expired = now;
      return std::nullopt;
    });
  }
  EXPECT_EQ(expired, due);
  EXPECT_EQ(looks, 4U);
}

TEST_F(TimerWheelTest, StopsAtItsBudgetAndSaysHowLateItIs) {
  for (uint32_t id = 0; id < 100; ++id)
    wheel.arm(make(id), 110 + id % 2);
  EXPECT_EQ(look_all(130, 30).size(), 30U);
  EXPECT_EQ(wheel.late_ticks(130), 20U);
  EXPECT_EQ(look_all(130, 30).size(), 30U);
  EXPECT_EQ(wheel.late_ticks(130), 19U);
  EXPECT_EQ(look_all(130, 30).size(), 30U);
  EXPECT_EQ(look_all(130, 30).size(), 10U);
  EXPECT_EQ(wheel.late_ticks(130), 0U);
}

TEST_F(TimerWheelTest, LooksEarlyAtWhatAnotherWorkerAskedFor) {
  const ConnRef ref = make(1);
  wheel.arm(ref, 4000);
  EXPECT_TRUE(wheel.request_rearm(ref));
  EXPECT_EQ(look_all(101), std::vector{ref});
  EXPECT_TRUE(look_all(4001).empty());
}

TEST_F(TimerWheelTest, IgnoresRequestsForWhatItDoesNotHold) {
  const ConnRef others = make4(*table, 1, 1).ref;
  const ConnRef unarmed = make(2);
  const ConnRef reused = make(3);
  table->unlink(0, reused);
  table->retire(0, reused);
  for (const ConnRef ref : {others, unarmed, reused, ConnRef::make(true, 99)}) {
    EXPECT_TRUE(wheel.request_rearm(ref));
  }
  EXPECT_TRUE(look_all(101).empty());
}

TEST_F(TimerWheelTest, RefusesAndCountsRequestsBeyondItsRing) {
  const ConnRef ref = make(1);
  for (uint32_t i = 0; i < rearm_ring_entries; ++i)
    EXPECT_TRUE(wheel.request_rearm(ref));
  EXPECT_FALSE(wheel.request_rearm(ref));
  EXPECT_EQ(wheel.refused_requests(), 1U);
  look_all(101, 10 * rearm_ring_entries);
  for (uint32_t i = 0; i < rearm_ring_entries; ++i)
    EXPECT_TRUE(wheel.request_rearm(ref));
}

TEST_F(TimerWheelTest, RebuildArmsPublishedEntriesOfItsWorkerOnly) {
  std::vector<ConnRef> mine;
  mine.reserve(60);
  for (uint32_t id = 0; id < 50; ++id)
    mine.push_back(make(id));
  for (uint32_t id = 50; id < 60; ++id)
    make4(*table, 1, id);
  mine.push_back(make6(*table, 0, 1).ref);
  table->unlink(1, mine[3]);  // dying, its owner has yet to notice
  table->unlink(0, mine[7]);
  table->retire(0, mine[7]);
  mine.erase(mine.begin() + 7);
  TimerWheel fresh(*table, 0, 100);
  fresh.rebuild();
  std::vector<ConnRef> seen;
  fresh.advance(100 + ticks_per_second, 1000, [&](ConnRef ref) -> std::optional<Tick> {
    seen.push_back(ref);
    return std::nullopt;
  });
  const auto by_value = [](ConnRef a, ConnRef b) { return a.value < b.value; };
  std::ranges::sort(seen, by_value);
  std::ranges::sort(mine, by_value);
  EXPECT_EQ(seen, mine);
}

// Ticks that wrap around, random arming, disarming and re-arming, against a multimap.
TEST_F(TimerWheelTest, AgreesWithAMapUnderRandomOperations) {
  std::mt19937 random(5);
  Tick now = 0xfffff000;
  TimerWheel wrapped(*table, 0, now);
  std::map<uint32_t, Tick> model;  // ref -> due
  std::vector<ConnRef> refs;
  refs.reserve(300);
  for (uint32_t id = 0; id < 300; ++id)
    refs.push_back(make(id));
  for (int round = 0; round < 20'000; ++round) {
    const ConnRef ref = refs[random() % refs.size()];
    ASSERT_EQ(wrapped.is_armed(ref), model.contains(ref.value));
    if (wrapped.is_armed(ref)) {
      if (random() % 4 != 0) continue;
      wrapped.disarm(ref);
      model.erase(ref.value);
    } else {
      const Tick due = now + 1 + random() % 2000;
      wrapped.arm(ref, due);
      model[ref.value] = due;
    }
    if (random() % 8 != 0) continue;
    now += random() % 5;
    wrapped.advance(now, 1000, [&](ConnRef seen) -> std::optional<Tick> {
      const auto expected = model.find(seen.value);
      EXPECT_NE(expected, model.end());
      if (expected == model.end()) return std::nullopt;
      EXPECT_LE(static_cast<int32_t>(expected->second - now), 0);
      model.erase(expected);
      return std::nullopt;
    });
    for (const auto& [value, due] : model)
      ASSERT_GT(static_cast<int32_t>(due - now), 0);
  }
}

TEST_F(TimerWheelTest, TakesRequestsOfSeveralThreadsWithoutLosingAny) {
  constexpr uint32_t count = 20'000;
  const ConnRef ref = make(1);
  wheel.arm(ref, 101);
  uint32_t looks = 0;
  std::atomic<int> running{2};
  const auto produce = [&] {
    for (uint32_t i = 0; i < count; ++i) {
      while (!wheel.request_rearm(ref))
        std::this_thread::yield();
    }
    --running;
  };
  std::thread first(produce);
  std::thread second(produce);
  while (true) {
    const bool last = running.load() == 0;
    const uint32_t now_looked = wheel.advance(100, rearm_ring_entries, [&](ConnRef) {
      ++looks;
      return std::optional<Tick>(4000);
    });
    if (last && now_looked == 0) break;
    if (now_looked == 0) std::this_thread::yield();
  }
  first.join();
  second.join();
  EXPECT_EQ(looks, 2 * count);
}

}  // namespace
}  // namespace headgate::dataplane
