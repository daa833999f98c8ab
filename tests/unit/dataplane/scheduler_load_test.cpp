// Schedulers that look at live connections, thresholds, and several workers.
#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/scheduler_world.h"

namespace headgate::dataplane {
namespace {

constexpr SchedulerKind load_kinds[] = {SchedulerKind::lc, SchedulerKind::wlc, SchedulerKind::sed,
                                        SchedulerKind::nq};
constexpr uint64_t view_age_ns = 10'000'000;

std::vector<BackendSpec> equal(uint32_t count) {
  return weighted(std::vector<uint32_t>(count, 1));
}

// The definitions, on exact counts, looking at everyone.
class Model {
 public:
  struct Backend {
    uint32_t weight;
    uint32_t upper;
    uint32_t lower;
    uint64_t active = 0;
    uint64_t inactive = 0;
    bool overloaded = false;
  };

  Model(SchedulerKind scheduler, const std::vector<BackendSpec>& specs) : scheduler_(scheduler) {
    backends.reserve(specs.size());
    for (const BackendSpec& spec : specs)
      backends.push_back({spec.weight, spec.upper, spec.lower});
  }

  [[nodiscard]] uint32_t choose() const {
    uint32_t best = none;
    for (uint32_t i = 0; i < backends.size(); ++i) {
      const Backend& b = backends[i];
      if (b.weight == 0 || b.overloaded) continue;
      if (scheduler_ == SchedulerKind::ovf && b.active > b.weight) continue;
      if (scheduler_ == SchedulerKind::nq && b.active == 0) return i;
      if (best == none || cost(b) < cost(backends[best])) best = i;
    }
    return best;
  }
  void count(uint32_t id, int64_t active, int64_t inactive) {
    Backend& b = backends[id];
    b.active += static_cast<uint64_t>(active);
    b.inactive += static_cast<uint64_t>(inactive);
    const uint64_t all = b.active + b.inactive;
    if (b.upper != 0 && all >= b.upper) b.overloaded = true;
    const uint64_t lower = b.lower != 0 ? b.lower : (b.upper * 3 + 3) / 4;
    if (all < lower) b.overloaded = false;
  }

  std::vector<Backend> backends;

 private:
  // As a fraction of integers: none of the tests' weights makes two different ones equal.
  [[nodiscard]] long double cost(const Backend& b) const {
    const auto active = static_cast<long double>(b.active);
    const auto inactive = static_cast<long double>(b.inactive);
    switch (scheduler_) {
      case SchedulerKind::lc:
        return active * 256 + inactive;
      case SchedulerKind::ovf:
        return -static_cast<long double>(b.weight);
      case SchedulerKind::wlc:
        return (active * 256 + inactive) / b.weight;
      default:
        return (active + 1) / b.weight;
    }
  }

  SchedulerKind scheduler_;
};

std::vector<BackendSpec> random_backends(std::mt19937& random, uint32_t count, bool thresholds) {
  std::vector<BackendSpec> result;
  for (uint32_t i = 0; i < count; ++i) {
    BackendSpec spec{.id = i, .weight = static_cast<uint32_t>(random() % 5)};
    if (thresholds && random() % 2 == 0) spec.upper = random() % 10 + 2;
    if (spec.upper != 0 && random() % 2 == 0) spec.lower = spec.upper / 2;
    result.push_back(spec);
  }
  return result;
}

// Opens, finishes and ends connections at random, and asks both for each choice.
void expect_exact_sequence(SchedulerKind scheduler, uint32_t count, bool thresholds, bool scratch) {
  std::mt19937 random(count);
  const auto specs = random_backends(random, count, thresholds);
  SchedulerWorld world(1, 1024);
  world.publish({.scheduler = scheduler, .backends = specs, .scratch = scratch});
  Model model(scheduler, specs);
  std::vector<uint32_t> active;
  std::vector<uint32_t> inactive;
  const auto pick = [&](std::vector<uint32_t>& from) {
    const size_t i = random() % from.size();
    const uint32_t id = from[i];
    from[i] = from.back();
    from.pop_back();
    return id;
  };
  for (uint32_t step = 0; step < 4000; ++step) {
    const uint32_t dice = random() % 10;
    if (dice < 5) {
      const uint32_t expected = model.choose();
      ASSERT_EQ(world.open(), expected) << "step " << step;
      if (expected == none) continue;
      model.count(expected, 1, 0);
      active.push_back(expected);
    } else if (dice < 8 && !active.empty()) {
      const uint32_t id = pick(active);
      const bool ends = random() % 2 == 0;
      if (ends) {
        world.close(id);
      } else {
        world.finish(id);
        inactive.push_back(id);
      }
      model.count(id, -1, ends ? 0 : 1);
    } else if (!inactive.empty()) {
      const uint32_t id = pick(inactive);
      world.close_inactive(id);
      model.count(id, 0, -1);
    }
  }
}

TEST(OneWorker, FollowsTheDefinitionsExactly) {
  for (const SchedulerKind scheduler : {SchedulerKind::lc, SchedulerKind::wlc, SchedulerKind::sed,
                                        SchedulerKind::nq, SchedulerKind::ovf}) {
    for (const uint32_t count : {1U, 5U, 16U, 17U, 400U}) {
      for (const bool thresholds : {false, true}) {
        SCOPED_TRACE(std::to_string(static_cast<int>(scheduler)) + " with " +
                     std::to_string(count) + (thresholds ? " and thresholds" : ""));
        expect_exact_sequence(scheduler, count, thresholds, true);
      }
    }
  }
}

TEST(OneWorker, NeedsTheScratchMemoryForSpeedOnly) {
  for (const SchedulerKind scheduler : load_kinds) {
    expect_exact_sequence(scheduler, 100, true, false);
  }
}

TEST(OneWorker, KeepsTheCountsWhenTheBlockChanges) {
  for (const uint32_t others : {0U, 50U}) {
    SchedulerWorld world;
    std::vector<BackendSpec> backends{{0}, {1}};
    for (uint32_t i = 0; i < others; ++i)
      backends.push_back({.id = 10 + i, .weight = 0});
    world.publish({.scheduler = SchedulerKind::lc, .backends = backends});
    EXPECT_EQ(world.sequence(4), "0 1 0 1");
    backends.insert(backends.begin(), {.id = 2});
    world.publish({.scheduler = SchedulerKind::lc, .backends = backends});
    EXPECT_EQ(world.sequence(4), "2 2 2 0");
  }
}

TEST(OneWorker, SeesConnectionsThatWereThereBeforeIt) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::lc, .backends = {{0}, {1}}});
  EXPECT_EQ(world.sequence(3), "0 1 0");
  world.restart(0);
  EXPECT_EQ(world.sequence(1), "1");
}

TEST(OneWorker, MovesAnIndexToAnotherServiceWithoutLosingTrack) {
  SchedulerWorld world;
  std::vector<BackendSpec> backends = equal(40);
  world.publish({.scheduler = SchedulerKind::lc, .backends = backends, .id = 0});
  for (uint32_t i = 0; i < 40; ++i)
    EXPECT_EQ(world.open(flow_number(i), 0, 0), i);
  backends.pop_back();
  world.publish({.scheduler = SchedulerKind::lc, .backends = backends, .id = 0});
  EXPECT_EQ(world.open(flow_number(40), 0, 0), 0);

  // The removed backend's last connection ends, as does one of backend 7. Before the service's next
  // flow, service 1 takes over the index under a new generation.
  world.close(7);
  world.close(39);
  const uint32_t reborn = 39 | (1U << backend_index_bits);
  std::vector<BackendSpec> others;
  others.reserve(20);
  for (uint32_t i = 40; i < 60; ++i)
    others.push_back({.id = i, .weight = 2});
  others.push_back({.id = reborn, .weight = 3});
  world.publish({.scheduler = SchedulerKind::sed, .backends = others, .id = 1});
  EXPECT_EQ(world.open(flow_number(41), 0, 1), reborn);
  EXPECT_EQ(world.open(flow_number(42), 0, 1), 40);
  EXPECT_EQ(world.open(flow_number(43), 0, 0), 7);
  EXPECT_EQ(world.open(flow_number(44), 0, 0), 1);
}

TEST(RecordedSed, FollowsActiveConnectionsThroughFins) {
  SchedulerWorld world;
  world.publish({.scheduler = SchedulerKind::sed,
                 .backends = weighted({1, 2, 3}),
                 .flags = service_newest_first});
  EXPECT_EQ(world.sequence(12), "2 1 2 2 1 0 2 1 2 2 1 0");
  for (const uint32_t id : {2, 2, 0})
    world.finish(id);
  EXPECT_EQ(world.sequence(12), "2 2 0 2 1 2 2 1 0 2 1 2");
}

TEST(UdpFlows, SpreadWhenTheyCountAsActive) {
  for (const SchedulerKind scheduler : load_kinds) {
    SchedulerWorld world;
    world.publish({.scheduler = scheduler, .backends = weighted({1, 1, 1})});
    EXPECT_EQ(world.sequence(6, true), "0 1 2 0 1 2");
  }
}

// ---- thresholds ---------------------------------------------------------------------------------

TEST(Threshold, CountsInactiveConnections) {
  SchedulerWorld world;
  world.publish({.backends = {{.id = 0, .upper = 2}}});
  EXPECT_EQ(world.sequence(2), "0 0");
  world.finish(0);
  world.finish(0);
  EXPECT_EQ(world.sequence(1), "-");
  world.close_inactive(0);
  world.close_inactive(0);
  EXPECT_EQ(world.sequence(1), "0");
}

TEST(Threshold, LastsUntilBelowTheLowerOne) {
  SchedulerWorld world;
  world.publish({.backends = {{.id = 0, .upper = 10, .lower = 4}}});
  EXPECT_EQ(world.sequence(11), "0 0 0 0 0 0 0 0 0 0 -");
  for (int i = 0; i < 6; ++i) {
    world.close(0);
    EXPECT_EQ(world.look(flow_number(1)), SchedulerWorld::refused);
  }
  world.close(0);
  EXPECT_EQ(world.look(flow_number(1)), 0);
}

TEST(Threshold, LastsUntilBelowThreeQuartersWithoutALowerOne) {
  SchedulerWorld world;
  world.publish({.backends = {{.id = 0, .upper = 8}}});
  EXPECT_EQ(world.sequence(9), "0 0 0 0 0 0 0 0 -");
  world.close(0);
  world.close(0);  // 6 are exactly three quarters
  EXPECT_EQ(world.look(flow_number(1)), SchedulerWorld::refused);
  world.close(0);
  EXPECT_EQ(world.look(flow_number(1)), 0);
}

TEST(Threshold, IsForgottenWhenItIsTakenAway) {
  SchedulerWorld world;
  world.publish({.backends = {{.id = 0, .upper = 1}}});
  EXPECT_EQ(world.sequence(2), "0 -");
  world.publish({.backends = {{.id = 0}}});
  EXPECT_EQ(world.sequence(1), "0");
}

TEST(Threshold, HoldsForEveryScheduler) {
  for (uint32_t kind = 0; kind <= static_cast<uint32_t>(SchedulerKind::mh); ++kind) {
    for (const uint32_t count : {4U, 100U}) {
      SchedulerWorld world(1, 128);
      std::vector<BackendSpec> backends = equal(count);
      for (BackendSpec& backend : backends)
        backend.upper = 3;
      world.publish({.scheduler = static_cast<SchedulerKind>(kind), .backends = backends});
      for (uint32_t i = 0; i < count * 3; ++i) {
        // dh sends all flows of one destination the same way: give each its own.
        NewFlow flow = flow_number(i);
        flow.destination = net::Ipv4Address::from_host(i);
        ASSERT_NE(world.open(flow), SchedulerWorld::refused) << kind << " flow " << i;
      }
      EXPECT_EQ(world.open(), SchedulerWorld::refused) << kind;
      for (uint32_t i = 0; i < count; ++i)
        EXPECT_EQ(world.active(i), 3) << kind;
    }
  }
}

// ---- several workers ----------------------------------------------------------------------------

uint64_t spread(const SchedulerWorld& world, uint32_t backends) {
  uint64_t least = ~uint64_t{0};
  uint64_t most = 0;
  for (uint32_t id = 0; id < backends; ++id) {
    least = std::min(least, world.active(id));
    most = std::max(most, world.active(id));
  }
  return most - least;
}

TEST(SeveralWorkers, SpreadGrowingLoadAsEvenlyAsOneWhenTheyTakeTurns) {
  for (const SchedulerKind scheduler : load_kinds) {
    for (const uint32_t workers : {2U, 4U, 16U}) {
      for (const uint32_t backends : {5U, 200U}) {
        SchedulerWorld world(workers, 256);
        world.publish({.scheduler = scheduler, .backends = equal(backends)});
        for (uint32_t flow = 0; flow < 4000; ++flow) {
          world.now_ns += 10000;
          world.open(flow_number(flow), flow % workers);
          ASSERT_LE(spread(world, backends), 1) << "flow " << flow;
        }
      }
    }
  }
}

TEST(SeveralWorkers, KeepTheBoundWhenFlowsArriveAtRandom) {
  for (const uint32_t workers : {2U, 4U, 16U}) {
    SchedulerWorld world(workers, 256);
    world.publish({.scheduler = SchedulerKind::lc, .backends = equal(200)});
    std::mt19937 random(workers);
    for (uint32_t flow = 0; flow < 10000; ++flow) {
      world.now_ns += random() % 100000;
      world.open(flow_number(flow), random() % workers);
      ASSERT_LE(spread(world, 200), workers) << "flow " << flow;
    }
  }
}

// All workers choose before any of them counts: what really runs at the same time.
TEST(SeveralWorkers, StayWithinTheirNumberWhenTheyChooseAtTheSameMoment) {
  for (const uint32_t workers : {2U, 8U}) {
    for (const uint32_t backends : {3U, 100U}) {
      SchedulerWorld world(workers, 256);
      world.publish({.scheduler = SchedulerKind::lc, .backends = equal(backends)});
      for (uint32_t round = 0; round < 1000; ++round) {
        world.now_ns += 20000;
        std::vector<uint32_t> chosen;
        chosen.reserve(workers);
        for (uint32_t worker = 0; worker < workers; ++worker) {
          chosen.push_back(world.look(flow_number(round), worker));
        }
        for (uint32_t worker = 0; worker < workers; ++worker) {
          world.count_opened(chosen[worker], worker);
        }
        ASSERT_LE(spread(world, backends), workers) << "round " << round;
      }
    }
  }
}

TEST(SeveralWorkers, SeeWithinTenMillisecondsWhatEndedElsewhere) {
  for (const uint32_t backends : {10U, 1000U}) {
    SchedulerWorld world(2, 1024);
    world.publish({.scheduler = SchedulerKind::lc, .backends = equal(backends)});
    for (uint32_t i = 0; i < 3 * backends; ++i)
      world.open(i % 2);
    EXPECT_EQ(spread(world, backends), 0);
    const uint32_t emptied = backends / 2;
    for (int i = 0; i < 3; ++i)
      world.close(emptied, 1);
    world.now_ns += view_age_ns;
    EXPECT_EQ(world.open(0), emptied);
  }
}

TEST(SeveralWorkers, SweepALargeServiceInBackendsOver1024Flows) {
  constexpr uint32_t backends = 10000;
  SchedulerWorld world(2, backends);
  world.publish({.scheduler = SchedulerKind::lc, .backends = equal(backends)});
  for (uint32_t i = 0; i < 2 * backends; ++i)
    world.open(0);
  for (int i = 0; i < 2; ++i)
    world.close(6000, 1);
  uint32_t flows = 0;
  uint32_t chosen = 0;
  do {
    world.now_ns += view_age_ns;
    chosen = world.open(0);
    ++flows;
  } while (chosen != 6000 && flows < 100);
  EXPECT_LE(flows, 10);
}

TEST(SeveralWorkers, ExceedAThresholdByLessThanTheirNumber) {
  for (const SchedulerKind scheduler : {SchedulerKind::rr, SchedulerKind::lc, SchedulerKind::mh}) {
    constexpr uint32_t workers = 8;
    SchedulerWorld world(workers);
    std::vector<BackendSpec> backends = equal(5);
    for (BackendSpec& backend : backends)
      backend.upper = 50;
    world.publish({.scheduler = scheduler, .backends = backends});
    for (uint32_t round = 0; round < 100; ++round) {
      world.now_ns += 1000;
      std::vector<uint32_t> chosen;
      chosen.reserve(workers);
      for (uint32_t w = 0; w < workers; ++w) {
        chosen.push_back(world.look(flow_number(round * workers + w), w));
      }
      for (uint32_t w = 0; w < workers; ++w) {
        if (chosen[w] != SchedulerWorld::refused) world.count_opened(chosen[w], w);
      }
    }
    for (uint32_t i = 0; i < 5; ++i) {
      EXPECT_GE(world.active(i), 50);
      EXPECT_LT(world.active(i), 50 + workers);
    }
    EXPECT_EQ(world.open(3), SchedulerWorld::refused);
  }
}

TEST(SeveralWorkers, OpenAnOverloadedBackendAgainWhenItsConnectionsEndElsewhere) {
  SchedulerWorld world(2);
  world.publish({.backends = {{.id = 0, .upper = 4}}});
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(world.open(0), 0);
  EXPECT_EQ(world.open(0), SchedulerWorld::refused);
  for (int i = 0; i < 3; ++i)
    world.close(0, 1);
  world.now_ns += view_age_ns;
  EXPECT_EQ(world.open(0), 0);
}

TEST(SeveralWorkers, KeepTheBoundInThreads) {
  constexpr uint32_t workers = 3;
  constexpr uint32_t flows = 20000;
  constexpr uint32_t backends = 50;
  SchedulerWorld world(workers);
  world.publish({.scheduler = SchedulerKind::lc, .backends = equal(backends)});
  std::vector<std::thread> threads;
  threads.reserve(workers);
  for (uint32_t worker = 0; worker < workers; ++worker) {
    threads.emplace_back([&world, worker] {
      for (uint32_t flow = 0; flow < flows; ++flow)
        world.open(flow_number(flow), worker);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  uint64_t total = 0;
  for (uint32_t id = 0; id < backends; ++id)
    total += world.active(id);
  EXPECT_EQ(total, workers * flows);
  EXPECT_LE(spread(world, backends), workers);
}

TEST(SchedulerMemory, IsAFewBytesABackend) {
  EXPECT_EQ(scheduler_scratch_bytes(16), 0);
  EXPECT_EQ(scheduler_scratch_bytes(17), 64);
  EXPECT_EQ(scheduler_scratch_bytes(10000), 32768);
  EXPECT_EQ(scheduler_scratch_bytes(10000) % 64, 0);
  EXPECT_EQ(Scheduler::bytes_needed({.services = 64, .backends = 64}), 64 * (48 + 32));
}

}  // namespace
}  // namespace headgate::dataplane
