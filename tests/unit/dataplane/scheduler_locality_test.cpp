// lblc and lblcr: who serves a destination goes on to serve it, as long as it can.
#include <array>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/scheduler_world.h"

namespace headgate::dataplane {
namespace {

constexpr uint64_t ns_per_second = 1'000'000'000;
constexpr uint64_t day_ns = 24 * 3600 * ns_per_second;
constexpr uint64_t shrink_ns = 360 * ns_per_second;

NewFlow flow_to(uint32_t destination, uint32_t client = 1) {
  NewFlow flow = flow_number(client);
  flow.destination = net::Ipv4Address::from_host(0xc6120000 + destination);
  return flow;
}

ServiceSpec spec_of(SchedulerKind kind, const std::vector<uint32_t>& weights, uint32_t flags = 0) {
  return {.scheduler = kind, .backends = weighted(weights), .flags = flags};
}

constexpr SchedulerKind both_kinds[] = {SchedulerKind::lblc, SchedulerKind::lblcr};

TEST(LvsOrder, RepeatsTheRecordedLblcrOfTwelveDestinations) {
  SchedulerWorld world;
  world.publish(spec_of(SchedulerKind::lblcr, {1, 2, 3}, service_newest_first));
  std::string chosen;
  for (uint32_t destination = 0; destination < 12; ++destination) {
    for (uint32_t client = 0; client < 2; ++client)
      chosen += std::to_string(world.open(flow_to(destination, client))) + " ";
  }
  EXPECT_EQ(chosen, "2 2 1 1 0 0 2 2 1 1 2 2 2 2 1 1 0 0 2 2 1 1 2 2 ");
}

TEST(Locality, ADestinationStaysWithItsServerWhileOthersAreScheduled) {
  for (const SchedulerKind kind : both_kinds) {
    SchedulerWorld world(1, 128);
    world.publish(spec_of(kind, std::vector<uint32_t>(40, 100)));
    std::vector<uint32_t> first;
    for (uint32_t destination = 0; destination < 80; ++destination)
      first.push_back(world.open(flow_to(destination)));
    EXPECT_EQ(std::set(first.begin(), first.end()).size(), 40U);
    for (uint32_t client = 2; client < 20; ++client) {
      for (uint32_t destination = 0; destination < 80; ++destination)
        ASSERT_EQ(world.open(flow_to(destination, client)), first[destination]);
    }
  }
}

TEST(Locality, AllWorkersSendADestinationToTheSameServer) {
  for (const SchedulerKind kind : both_kinds) {
    SchedulerWorld world(4);
    world.publish(spec_of(kind, {50, 50, 50, 50}));
    for (uint32_t destination = 0; destination < 40; ++destination) {
      const uint32_t first = world.open(flow_to(destination), destination % 4);
      for (uint32_t worker = 0; worker < 4; ++worker)
        EXPECT_EQ(world.open(flow_to(destination, worker), worker), first);
    }
  }
}

TEST(Locality, ServicesRememberApart) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::lblc, .backends = {{0}, {1}}, .id = 0});
  world.publish({.scheduler = SchedulerKind::lblc, .backends = {{10}, {11}}, .id = 1});
  world.count_opened(0);
  world.count_opened(10);
  EXPECT_EQ(world.look(flow_to(1), 0, 0), 1U);
  EXPECT_EQ(world.look(flow_to(1), 0, 1), 11U);
  EXPECT_EQ(world.look(flow_to(1), 0, 0), 1U);
}

TEST(Locality, OutlivesChangesOfWeightsAndOfTheList) {
  for (const SchedulerKind kind : both_kinds) {
    SchedulerWorld world;
    world.publish(spec_of(kind, {10, 10, 10}));
    for (uint32_t i = 0; i < 2; ++i)
      world.count_opened(0);
    ASSERT_EQ(world.open(flow_to(1)), 1U);
    world.publish({.scheduler = kind, .backends = {{3, 10}, {2, 50}, {1, 5}, {0, 10}}});
    EXPECT_EQ(world.open(flow_to(1)), 1U);
  }
}

TEST(Lblc, AnOverloadedServerIsLeftOnlyForOneWithLessThanHalfOfItsWeight) {
  SchedulerWorld world;
  world.publish(spec_of(SchedulerKind::lblc, {2, 4}));
  world.count_opened(1);
  ASSERT_EQ(world.open(flow_to(1)), 0U);
  ASSERT_EQ(world.open(flow_to(1)), 0U);
  world.count_opened(1);  // two of four: no longer less than half
  ASSERT_EQ(world.open(flow_to(1)), 0U);
  EXPECT_EQ(world.open(flow_to(1)), 0U) << "overloaded, but nobody has room";
  world.close(1);
  EXPECT_EQ(world.open(flow_to(1)), 1U);
  world.close(0);
  world.close(0);
  EXPECT_EQ(world.open(flow_to(1)), 1U) << "it is the other one's destination now";
}

TEST(Lblc, AServerWithoutWeightOrRoomOrThatIsGoneIsLeft) {
  for (const SchedulerKind kind : both_kinds) {
    SchedulerWorld world;
    world.publish(spec_of(kind, {10, 10}));
    ASSERT_EQ(world.open(flow_to(1)), 0U);
    world.publish(spec_of(kind, {0, 10}));
    EXPECT_EQ(world.open(flow_to(1)), 1U) << "weight 0";
    world.publish({.scheduler = kind, .backends = {{0, 10}}});
    EXPECT_EQ(world.open(flow_to(1)), 0U) << "gone";
    world.publish({.scheduler = kind, .backends = {{.id = 0, .weight = 10, .upper = 3}, {2, 1}}});
    EXPECT_EQ(world.open(flow_to(1)), 0U);
    EXPECT_EQ(world.open(flow_to(1)), 2U) << "at its threshold";
  }
}

TEST(Lblc, AnIdOfALaterBackendIsNotTakenForTheOneThatWasRemembered) {
  SchedulerWorld world;
  world.publish(spec_of(SchedulerKind::lblc, {10, 10}));
  ASSERT_EQ(world.open(flow_to(1)), 0U);
  const uint32_t later = 1U << backend_index_bits;  // the row of backend 0, another generation
  world.publish({.scheduler = SchedulerKind::lblc, .backends = {{later, 10}, {1, 10}}});
  EXPECT_EQ(world.open(flow_to(1)), 1U);
}

TEST(Lblc, ADestinationThatNobodyAskedForInADayIsScheduledAnew) {
  for (const SchedulerKind kind : both_kinds) {
    SchedulerWorld world;
    world.publish(spec_of(kind, {10, 10}));
    ASSERT_EQ(world.open(flow_to(1)), 0U);
    world.now_ns += day_ns - ns_per_second;
    EXPECT_EQ(world.look(flow_to(1)), 0U);
    world.now_ns += day_ns - ns_per_second;
    EXPECT_EQ(world.look(flow_to(1)), 0U);
    world.now_ns += day_ns;
    EXPECT_EQ(world.look(flow_to(1)), 1U) << "the other one has less to do";
  }
}

TEST(Lblc, FlowsOfUdpThatCountAsInactiveOverloadNobody) {
  SchedulerWorld world;
  world.publish(spec_of(SchedulerKind::lblc, {1, 1}));
  EXPECT_EQ(world.sequence(6, false), "0 0 0 0 0 0");
}

TEST(Lblcr, TheSetGrowsWhenAllOfItIsOverloadedAndTheLeastLoadedOfItIsChosen) {
  SchedulerWorld world;
  world.publish(spec_of(SchedulerKind::lblcr, {1, 1, 10}));
  for (uint32_t i = 0; i < 3; ++i)
    world.count_opened(2);
  EXPECT_EQ(world.open(flow_to(1)), 0U);
  EXPECT_EQ(world.open(flow_to(1)), 0U) << "one connection for a weight of one";
  EXPECT_EQ(world.open(flow_to(1)), 1U) << "two: the set gets a second server";
  EXPECT_EQ(world.open(flow_to(1)), 1U);
  EXPECT_EQ(world.open(flow_to(1)), 2U) << "and a third";
  world.close(0);
  world.close(0);
  EXPECT_EQ(world.open(flow_to(1)), 0U) << "the least loaded of the three";
}

TEST(Lblcr, TheMostLoadedOneGoesWhenTheSetDidNotChangeForSixMinutes) {
  SchedulerWorld world;
  world.publish(spec_of(SchedulerKind::lblcr, {1, 1}));
  EXPECT_EQ(world.open(flow_to(1)), 0U);
  EXPECT_EQ(world.open(flow_to(1)), 0U);
  ASSERT_EQ(world.open(flow_to(1)), 1U);
  world.close(0);
  world.close(0);  // now 0 has nothing to do, and 1 one connection
  world.now_ns += shrink_ns - ns_per_second;
  EXPECT_EQ(world.look(flow_to(1)), 0U);
  world.count_opened(0);
  world.count_opened(0);
  EXPECT_EQ(world.look(flow_to(1)), 1U) << "still in the set";
  world.now_ns += 2 * ns_per_second;
  EXPECT_EQ(world.look(flow_to(1)), 1U) << "0 goes";
  world.close(0);
  world.close(0);
  EXPECT_EQ(world.look(flow_to(1)), 1U) << "0 would have less to do, but is out";
}

TEST(Lblcr, ASetIsBoundedAndReplacesItsMostLoadedServer) {
  SchedulerWorld world;
  world.publish(spec_of(SchedulerKind::lblcr, std::vector<uint32_t>(10, 1)));
  std::set<uint32_t> chosen;
  for (uint32_t i = 0; i < 20; ++i)
    chosen.insert(world.open(flow_to(1)));
  EXPECT_EQ(chosen.size(), 10U) << "each got two before the last one was taken";
  for (uint32_t id = 0; id < 10; ++id)
    EXPECT_EQ(world.active(id), 2U);
}

// The definitions, on exact counts.
class LocalityModel {
 public:
  struct Backend {
    uint32_t weight = 1;
    uint64_t active = 0;
    uint64_t inactive = 0;
  };

  LocalityModel(SchedulerKind kind, const std::vector<uint32_t>& weights)
      : places_(kind == SchedulerKind::lblcr ? locality_servers : 1) {
    for (const uint32_t weight : weights)
      backends.push_back({.weight = weight});
  }

  uint32_t choose(uint32_t destination, uint64_t now_s) {
    Set& set = sets_.try_emplace(destination, Set{.changed_s = now_s}).first->second;
    uint32_t least = none;
    uint32_t most = none;  // place
    uint32_t free = none;
    uint32_t count = 0;
    for (uint32_t place = 0; place < places_; ++place) {
      const uint32_t id = set.servers[place];
      if (id == none) {
        if (free == none) free = place;
        continue;
      }
      ++count;
      if (backends[id].weight == 0) continue;
      if (least == none || load(id) < load(least)) least = id;
      if (most == none || load(id) >= load(set.servers[most])) most = place;
    }
    if (count > 1 && most != none && set.servers[most] != least && now_s >= set.changed_s + 360) {
      set.servers[most] = none;
      set.changed_s = now_s;
      free = most;
    }
    if (least != none && !(backends[least].active > backends[least].weight && any_half_idle())) {
      return least;
    }
    uint32_t best = none;
    for (uint32_t id = 0; id < backends.size(); ++id) {
      if (backends[id].weight != 0 && (best == none || load(id) < load(best))) best = id;
    }
    if (best == none) return none;
    for (uint32_t place = 0; place < places_; ++place) {
      if (set.servers[place] == best) return best;
    }
    set.servers[free != none ? free : most != none ? most : 0] = best;
    set.changed_s = now_s;
    return best;
  }

  std::vector<Backend> backends;

 private:
  struct Set {
    std::array<uint32_t, locality_servers> servers{none, none, none, none, none, none};
    uint64_t changed_s = 0;
  };

  [[nodiscard]] long double load(uint32_t id) const {
    const Backend& b = backends[id];
    return static_cast<long double>(b.active * 256 + b.inactive) / b.weight;
  }
  [[nodiscard]] bool any_half_idle() const {
    return std::ranges::any_of(
        backends, [](const Backend& b) { return b.weight != 0 && b.active * 2 < b.weight; });
  }

  uint32_t places_;
  std::map<uint32_t, Set> sets_;
};

void expect_as_defined(SchedulerKind kind, uint32_t count) {
  std::mt19937 random(count);
  std::vector<uint32_t> weights(count);
  for (uint32_t& weight : weights)
    weight = random() % 5;
  weights[0] = 3;
  SchedulerWorld world(1, 64);
  world.publish(spec_of(kind, weights));
  LocalityModel model(kind, weights);
  std::vector<uint32_t> open;
  for (uint32_t step = 0; step < 6000; ++step) {
    world.now_ns += random() % 4 * ns_per_second;
    const uint32_t dice = random() % 100;
    if (dice < 55) {
      const uint32_t destination = random() % 12;
      const uint32_t expected = model.choose(destination, world.now_ns / ns_per_second);
      ASSERT_EQ(world.open(flow_to(destination)), expected) << "step " << step;
      ++model.backends[expected].active;
      open.push_back(expected);
    } else if (dice < 98 && !open.empty()) {
      const size_t i = random() % open.size();
      world.close(open[i]);
      --model.backends[open[i]].active;
      open[i] = open.back();
      open.pop_back();
    } else {
      const uint32_t id = 1 + random() % (count - 1);
      weights[id] = random() % 5;
      model.backends[id].weight = weights[id];
      world.publish(spec_of(kind, weights));
    }
  }
}

TEST(Locality, FollowsTheDefinitionsExactly) {
  for (const SchedulerKind kind : both_kinds) {
    for (const uint32_t count : {3U, 10U, 40U}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(kind)) + " with " + std::to_string(count));
      expect_as_defined(kind, count);
    }
  }
}

}  // namespace
}  // namespace headgate::dataplane
