// rr, wrr and fo; and the sequences recorded from LVS, all schedulers whose choice can be foretold.
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/scheduler_world.h"

namespace headgate::dataplane {
namespace {

std::string repeated(const std::string& cycle, uint32_t times) {
  std::string result;
  for (uint32_t i = 0; i < times; ++i)
    result += (i == 0 ? "" : " ") + cycle;
  return result;
}

struct Recorded {
  const char* name;
  SchedulerKind scheduler;
  std::vector<uint32_t> weights;
  std::string chosen;
  bool active = true;  // false: UDP, counted as inactive
};

// Real servers 0, 1, 2 added in this order, new flows only.
const std::vector<Recorded> recorded{
    {"rr", SchedulerKind::rr, {1, 1, 1}, repeated("2 1 0", 4)},
    {"wrr 1,2,3", SchedulerKind::wrr, {1, 2, 3}, repeated("2 1 0 2 2 1", 4)},
    {"wrr 3,3", SchedulerKind::wrr, {3, 3}, repeated("1 0", 12)},
    {"wrr 1,0,2", SchedulerKind::wrr, {1, 0, 2}, repeated("2 0 2", 8)},
    {"wrr 4,2,1", SchedulerKind::wrr, {4, 2, 1}, "2 1 0 0 0 1 0"},
    {"wrr 100,1", SchedulerKind::wrr, {100, 1}, "1 0 0 0 0 0 0 0 0 0 0 0"},
    {"wrr 65535,1", SchedulerKind::wrr, {65535, 1}, "1 0 0 0 0 0 0 0 0 0 0 0"},
    {"lc 3,0,1", SchedulerKind::lc, {3, 0, 1}, repeated("2 0", 12)},
    {"lc udp 1,2,3", SchedulerKind::lc, {1, 2, 3}, repeated("2 1 0", 8), false},
    {"wlc 1,1,1", SchedulerKind::wlc, {1, 1, 1}, repeated("2 1 0", 8)},
    {"wlc 3,3", SchedulerKind::wlc, {3, 3}, repeated("1 0", 12)},
    {"sed 1,1,1", SchedulerKind::sed, {1, 1, 1}, repeated("2 1 0", 8)},
    {"sed 3,0,1", SchedulerKind::sed, {3, 0, 1}, repeated("0 0 2 0", 6)},
    {"sed udp", SchedulerKind::sed, {1, 1, 1}, repeated("2", 12), false},
    {"nq 3,3", SchedulerKind::nq, {3, 3}, repeated("1 0", 12)},
    {"nq udp", SchedulerKind::nq, {1, 1, 1}, repeated("2", 12), false},
    {"fo 2,2,2", SchedulerKind::fo, {2, 2, 2}, repeated("2", 6)},
    {"fo 1,3,2", SchedulerKind::fo, {1, 3, 2}, repeated("1", 6)},
    {"ovf 3,2,1", SchedulerKind::ovf, {3, 2, 1}, "0 0 0 0 1 1 1 2 2 -"},
    {"lblc 1,2,3", SchedulerKind::lblc, {1, 2, 3}, "2 2 2 2 1 1 1 0 0 0 0 0"},
};

uint32_t flows_in(const std::string& chosen) {
  return static_cast<uint32_t>(std::ranges::count(chosen, ' ')) + 1;
}

TEST(LvsOrder, RepeatsTheRecordedSequences) {
  for (const Recorded& r : recorded) {
    SchedulerWorld world;
    world.publish(
        {.scheduler = r.scheduler, .backends = weighted(r.weights), .flags = service_newest_first});
    EXPECT_EQ(world.sequence(flows_in(r.chosen), r.active), r.chosen) << r.name;
  }
}

TEST(LvsOrder, RepeatsTheRecordedWrrWithEditedWeights) {
  SchedulerWorld world;
  const auto weights = [&](const std::vector<uint32_t>& w) {
    world.publish(
        {.scheduler = SchedulerKind::wrr, .backends = weighted(w), .flags = service_newest_first});
  };
  weights({1, 2, 3});
  EXPECT_EQ(world.sequence(5), "2 1 0 2 2");
  weights({4, 2, 3});
  EXPECT_EQ(world.sequence(8), "2 1 0 2 1 0 0 2");
  weights({4, 2, 0});
  EXPECT_EQ(world.sequence(11), "0 1 0 0 1 0 0 1 0 0 1");
}

TEST(LvsOrder, RepeatsTheRecordedFailover) {
  SchedulerWorld world;
  const auto weights = [&](const std::vector<uint32_t>& w) {
    world.publish(
        {.scheduler = SchedulerKind::fo, .backends = weighted(w), .flags = service_newest_first});
  };
  weights({1, 3, 2});
  EXPECT_EQ(world.sequence(6), "1 1 1 1 1 1");
  weights({1, 0, 2});
  EXPECT_EQ(world.sequence(6), "2 2 2 2 2 2");
  weights({1, 0, 0});
  EXPECT_EQ(world.sequence(3), "0 0 0");
  weights({1, 3, 0});
  EXPECT_EQ(world.sequence(3), "1 1 1");
}

TEST(LvsOrder, RepeatsTheRecordedFailoverByThreshold) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::fo,
                 .backends = {{.id = 0, .weight = 3, .upper = 2}, {1, 2}, {2, 1}},
                 .flags = service_newest_first});
  EXPECT_EQ(world.sequence(8), "0 0 1 1 1 1 1 1");
}

TEST(ListedOrder, IsTheSameCycleFromTheFirstListed) {
  const std::vector<Recorded> expected{
      {"rr", SchedulerKind::rr, {1, 1, 1}, "0 1 2 0 1 2"},
      {"wrr 1,2,3", SchedulerKind::wrr, {1, 2, 3}, "0 1 2 2 1 2 0 1 2 2 1 2"},
      {"wrr 3,2,1", SchedulerKind::wrr, {3, 2, 1}, "0 1 2 0 0 1 0 1 2 0 0 1"},
      {"lc", SchedulerKind::lc, {3, 0, 1}, "0 2 0 2"},
      {"wlc", SchedulerKind::wlc, {1, 2}, "0 1 1 0 1 1"},
      {"sed", SchedulerKind::sed, {1, 1, 1}, "0 1 2 0 1 2"},
      {"nq", SchedulerKind::nq, {1, 3}, "0 1 1 1 1 1 0 1"},
      {"fo", SchedulerKind::fo, {2, 2, 2}, "0 0 0"},
      {"ovf", SchedulerKind::ovf, {1, 2, 2}, "1 1 1 2 2 2 0 0 -"},
      {"lblc", SchedulerKind::lblc, {1, 1}, "0 0 1 1 1 1"},
  };
  for (const Recorded& r : expected) {
    SchedulerWorld world;
    world.publish({.scheduler = r.scheduler, .backends = weighted(r.weights)});
    EXPECT_EQ(world.sequence(flows_in(r.chosen)), r.chosen) << r.name;
  }
}

TEST(RoundRobin, GoesOnBehindTheLastBackendWhenTheListChanges) {
  SchedulerWorld world;
  world.publish({.backends = {{0}, {1}, {2}, {3}}});
  EXPECT_EQ(world.sequence(2), "0 1");
  world.publish({.backends = {{9}, {0}, {8}, {1}, {2}, {3}}});
  EXPECT_EQ(world.sequence(6), "2 3 9 0 8 1");
}

TEST(RoundRobin, GoesOnWithTheNextWhenTheLastBackendIsRemoved) {
  SchedulerWorld world;
  world.publish({.backends = {{0}, {1}, {2}, {3}}});
  EXPECT_EQ(world.sequence(2), "0 1");
  world.publish({.backends = {{0}, {2}, {3}}});
  EXPECT_EQ(world.sequence(4), "2 3 0 2");
}

TEST(RoundRobin, SurvivesTheListShrinkingBelowItsPlace) {
  SchedulerWorld world;
  world.publish({.backends = {{0}, {1}, {2}, {3}}});
  EXPECT_EQ(world.sequence(4), "0 1 2 3");
  world.publish({.backends = {{0}}});
  EXPECT_EQ(world.sequence(2), "0 0");
}

TEST(RoundRobin, IsNotDisturbedByAnotherService) {
  SchedulerWorld world;
  world.publish({.backends = {{0}, {1}, {2}}, .id = 0});
  world.publish({.backends = {{10}, {11}}, .id = 1});
  EXPECT_EQ(world.open(flow_number(1), 0, 0), 0);
  EXPECT_EQ(world.open(flow_number(2), 0, 1), 10);
  EXPECT_EQ(world.open(flow_number(3), 0, 0), 1);
  EXPECT_EQ(world.open(flow_number(4), 0, 1), 11);
  EXPECT_EQ(world.open(flow_number(5), 0, 0), 2);
}

TEST(AnyScheduler, RefusesWhenNoBackendHasWeight) {
  for (uint32_t kind = 0; kind <= static_cast<uint32_t>(SchedulerKind::lblcr); ++kind) {
    SchedulerWorld world;
    const auto scheduler = static_cast<SchedulerKind>(kind);
    world.publish({.scheduler = scheduler, .backends = weighted({0, 0})});
    EXPECT_EQ(world.open(), SchedulerWorld::refused) << kind;
    world.publish({.scheduler = scheduler, .backends = {}});
    EXPECT_EQ(world.open(), SchedulerWorld::refused) << kind;
    world.publish({.scheduler = scheduler, .backends = weighted({0, 1})});
    EXPECT_EQ(world.open(), 1) << kind;
  }
}

TEST(AnyScheduler, NeverChoosesWeightZero) {
  for (uint32_t kind = 0; kind <= static_cast<uint32_t>(SchedulerKind::lblcr); ++kind) {
    for (const uint32_t count : {3U, 60U}) {
      SchedulerWorld world;
      std::vector<uint32_t> weights(count, 2);
      for (uint32_t i = 0; i < count; i += 2)
        weights[i] = 0;
      world.publish({.scheduler = static_cast<SchedulerKind>(kind), .backends = weighted(weights)});
      for (uint32_t i = 0; i < 500; ++i) {
        const uint32_t chosen = world.open();
        EXPECT_EQ(chosen % 2, 1) << kind;
        world.close(chosen);
      }
    }
  }
}

TEST(WeightedRoundRobin, GivesEachItsWeightInEveryCycle) {
  std::mt19937 random(1);
  for (const uint32_t count : {2U, 10U, 200U}) {
    SchedulerWorld world(1, 256);
    std::vector<uint32_t> weights(count);
    uint32_t total = 0;
    for (uint32_t& weight : weights)
      weight = random() % 20;
    weights[0] = 7;
    weights[1] = 8;  // so that the divisor is 1
    for (const uint32_t weight : weights)
      total += weight;
    world.publish({.scheduler = SchedulerKind::wrr, .backends = weighted(weights)});
    for (int cycle = 0; cycle < 3; ++cycle) {
      std::vector<uint32_t> chosen(count);
      for (uint32_t i = 0; i < total; ++i)
        ++chosen.at(world.open());
      EXPECT_EQ(chosen, weights);
    }
  }
}

// The textbook's wrr, which looks at every backend in every lap.
class TextbookWrr {
 public:
  explicit TextbookWrr(std::vector<uint32_t> weights) : weights_(std::move(weights)) {
    for (const uint32_t weight : weights_) {
      divisor_ = std::gcd(divisor_, weight);
      highest_ = std::max(highest_, weight);
    }
    bar_ = divisor_;
  }
  uint32_t next() {
    for (;;) {
      if (++last_ == weights_.size()) {
        last_ = 0;
        bar_ = bar_ > divisor_ ? bar_ - divisor_ : highest_;
      }
      if (weights_[last_] >= bar_) return last_;
    }
  }

 private:
  std::vector<uint32_t> weights_;
  uint32_t divisor_ = 0;
  uint32_t highest_ = 0;
  uint32_t bar_;
  uint32_t last_ = 0xffffffff;
};

TEST(WeightedRoundRobin, FollowsTheTextbookWithAndWithoutTree) {
  std::mt19937 random(2);
  for (const bool scratch : {true, false}) {
    for (const uint32_t count : {1U, 5U, 17U, 200U}) {
      std::vector<uint32_t> weights(count);
      for (uint32_t& weight : weights)
        weight = random() % 6 * 50 + 50;
      SchedulerWorld world(1, 256);
      world.publish(
          {.scheduler = SchedulerKind::wrr, .backends = weighted(weights), .scratch = scratch});
      TextbookWrr textbook(weights);
      for (uint32_t i = 0; i < 2000; ++i)
        ASSERT_EQ(world.open(), textbook.next()) << i;
    }
  }
}

TEST(WeightedRoundRobin, PassesOverAnOverloadedHeavyBackendAtOnce) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::wrr,
                 .backends = {{.id = 0, .weight = 65535, .upper = 3}, {1, 2}, {2, 1}}});
  EXPECT_EQ(world.sequence(9), "0 1 2 0 0 1 1 2 1");
}

TEST(WeightedRoundRobin, KeepsItsPlaceWhenAWeightChanges) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::wrr, .backends = weighted({2, 2, 2, 2})});
  EXPECT_EQ(world.sequence(2), "0 1");
  world.publish({.scheduler = SchedulerKind::wrr, .backends = weighted({2, 2, 2, 4})});
  EXPECT_EQ(world.sequence(4), "2 3 3 0");
}

TEST(WeightedRoundRobin, RecoversWhenAllWeightsWereZero) {
  SchedulerWorld world;
  const auto weights = [&](const std::vector<uint32_t>& w) {
    world.publish({.scheduler = SchedulerKind::wrr, .backends = weighted(w)});
  };
  weights({3, 1});
  EXPECT_EQ(world.sequence(3), "0 1 0");
  weights({0, 0});
  EXPECT_EQ(world.sequence(2), "- -");
  weights({3, 1});
  std::map<uint32_t, uint32_t> chosen;
  for (int i = 0; i < 400; ++i)
    ++chosen[world.open()];
  EXPECT_NEAR(chosen[0], 300, 3);
}

}  // namespace
}  // namespace headgate::dataplane
