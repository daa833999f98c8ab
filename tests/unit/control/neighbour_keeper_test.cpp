#include "control/neighbour_keeper.h"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = NeighbourKeeper::Clock::time_point;

NeighbourKey key(uint32_t number) {
  return {0, net::Ipv4Address::from_host(0x0a000000 + number)};
}
bool known(const NeighbourKey&) {
  return true;
}
bool unknown(const NeighbourKey&) {
  return false;
}

// Every request until `end`, as often as the keeper wants to be woken.
std::map<NeighbourKey, std::vector<Time>> run(NeighbourKeeper& keeper, Time from, Time end,
                                              const NeighbourKeeper::IsUsable& usable) {
  std::map<NeighbourKey, std::vector<Time>> asked;
  for (Time now = from; now <= end; now = std::max(now + milliseconds(1), *keeper.next())) {
    for (const NeighbourKey& neighbour : keeper.due(now, usable))
      asked[neighbour].push_back(now);
    if (!keeper.next()) break;
  }
  return asked;
}

TEST(NeighbourKeeper, AsksOnceForWhatIsAskedForOften) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  EXPECT_TRUE(keeper.ask(key(1), start));
  EXPECT_FALSE(keeper.ask(key(1), start + milliseconds(499)));
  EXPECT_TRUE(keeper.ask(key(2), start));
  EXPECT_TRUE(keeper.ask(key(1), start + milliseconds(500)));
}

TEST(NeighbourKeeper, RemembersABoundedNumberOfRequests) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  uint32_t asked = 0;
  for (uint32_t i = 0; i < 100'000; ++i) {
    if (keeper.ask(key(i), start)) ++asked;
  }
  EXPECT_EQ(asked, 4096U);  // a scan gets no more than this into the kernel's table per interval
  EXPECT_TRUE(keeper.ask(key(99'999), start + milliseconds(500)));
}

TEST(NeighbourKeeper, ConfirmsKnownOnesEachFifteenSecondsAndSpreadsThem) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  std::vector<NeighbourKey> kept(1000);
  for (uint32_t i = 0; i < kept.size(); ++i)
    kept[i] = key(i);
  keeper.keep(kept, start, known);
  const auto asked = run(keeper, start, start + seconds(60), known);
  ASSERT_EQ(asked.size(), 1000U);
  std::map<int64_t, int> per_second;
  for (const auto& [neighbour, times] : asked) {
    EXPECT_GE(times.size(), 3U);
    EXPECT_LE(times.size(), 5U);
    for (const Time time : times)
      ++per_second[(time - start) / seconds(1)];
  }
  for (const auto& [second, count] : per_second)
    EXPECT_LT(count, 200) << second;
}

TEST(NeighbourKeeper, AsksForUnknownOnesAtOnceAndEachSecond) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  const NeighbourKey kept[] = {key(1)};
  keeper.keep(kept, start, unknown);
  ASSERT_EQ(keeper.next(), start);
  const auto asked = run(keeper, start, start + seconds(10), unknown);
  const std::vector<Time>& times = asked.at(key(1));
  EXPECT_EQ(times.front(), start);
  EXPECT_GE(times.size(), 8U);
  EXPECT_LE(times.size(), 11U);
}

TEST(NeighbourKeeper, AsksInBoundedPortions) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  std::vector<NeighbourKey> kept(1000);
  for (uint32_t i = 0; i < kept.size(); ++i)
    kept[i] = key(i);
  keeper.keep(kept, start, unknown);
  std::set<NeighbourKey> asked;
  Time now = start;
  while (asked.size() < 1000) {
    const auto portion = keeper.due(now, unknown);
    ASSERT_LE(portion.size(), NeighbourKeeper::max_per_turn);
    ASSERT_FALSE(portion.empty());
    asked.insert(portion.begin(), portion.end());
    EXPECT_TRUE(keeper.due(now, unknown).empty() || portion.size() < 256);
    now = *keeper.next();
  }
  EXPECT_LE(now - start, seconds(2));
}

TEST(NeighbourKeeper, ForgetsWhatIsNoLongerKept) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  const NeighbourKey both[] = {key(1), key(2)};
  keeper.keep(both, start, unknown);
  const NeighbourKey one[] = {key(2)};
  keeper.keep(one, start, unknown);
  EXPECT_EQ(keeper.due(start, unknown), std::vector{key(2)});
  keeper.keep({}, start, unknown);
  EXPECT_FALSE(keeper.next().has_value());
}

TEST(NeighbourKeeper, ANewSetLeavesOldOnesTheirTime) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  const NeighbourKey kept[] = {key(1)};
  keeper.keep(kept, start, unknown);
  ASSERT_EQ(keeper.due(start, known).size(), 1U);
  const auto next = keeper.next();
  for (int i = 1; i < 20; ++i)
    keeper.keep(kept, start + i * milliseconds(100), known);
  EXPECT_EQ(keeper.next(), next);
}

TEST(NeighbourKeeper, LooksSoonAfterOneThatWasLost) {
  NeighbourKeeper keeper;
  const Time start{seconds(100)};
  const NeighbourKey kept[] = {key(1)};
  keeper.keep(kept, start, unknown);
  ASSERT_EQ(keeper.due(start, known).size(), 1U);
  keeper.lost(key(1), start + seconds(2));
  EXPECT_EQ(keeper.next(), start + seconds(3));
  keeper.lost(key(7), start + seconds(2));  // nobody's
  EXPECT_EQ(keeper.next(), start + seconds(3));
}

}  // namespace
}  // namespace headgate::control
