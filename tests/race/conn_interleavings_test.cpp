// Every interleaving, within a bound of preemptions, of a few actors on the connection table; and
// an insert that is paused at each of its steps while others run to their ends.
#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include <gtest/gtest.h>

#include "tests/race/conn_scenarios.h"

namespace headgate::dataplane::test {
namespace {

#if defined(HEADGATE_TSAN) || defined(HEADGATE_ASAN)
// The sanitizers make a run some ten times slower.
constexpr unsigned fewer_preemptions = 2;
constexpr size_t pause_stride = 4;
#else
constexpr unsigned fewer_preemptions = 0;
constexpr size_t pause_stride = 1;
#endif

class ConnSchedules : public ::testing::TestWithParam<size_t> {};

TEST_P(ConnSchedules, WithinTheBoundKeepTheTableWhole) {
  auto [name, scenario, preemptions] = std::move(all_scenarios()[GetParam()]);
  const unsigned bound = preemptions - fewer_preemptions;
  const Exploration explored = explore(*scenario, bound, 2'000'000);
  EXPECT_EQ(explored.violation, "") << name;
  EXPECT_TRUE(explored.complete) << name;
  EXPECT_GT(explored.runs, 10U) << name;
  std::printf("%s: %lu schedules, up to %u preemptions\n", name.c_str(), explored.runs, bound);
}

INSTANTIATE_TEST_SUITE_P(, ConnSchedules, ::testing::Range(size_t{0}, all_scenarios().size()),
                         [](const auto& instance) {
                           std::string name = all_scenarios()[instance.param].name;
                           std::erase(name, ',');
                           std::ranges::replace(name, ' ', '_');
                           return name;
                         });

// Program 0 stops at its step `pause` until the others have ended.
uint8_t others_first(size_t decision, size_t pause, uint8_t enabled) {
  if (decision < pause && (enabled & 1) != 0) return 0;
  return (enabled & 2) != 0 ? 1 : (enabled & 4) != 0 ? 2 : 0;
}

TEST(ConnInterleavings, InsertPausedAtAnyStepHoldsNobodyUp) {
  std::set<faults::Step> paused_at;
  for (const Crowd crowd : {both_at_home, one_away, all_away}) {
    for (const Keys keys : {Keys::forward_only, Keys::both}) {
      const auto scenario = pausing_scenario(crowd, keys);
      for (size_t pause = 1;; ++pause) {
        const RunResult ran = run(*scenario, [&](size_t decision, uint8_t, uint8_t enabled) {
          return others_first(decision, pause, enabled);
        });
        EXPECT_EQ(ran.violation, "") << "paused at step " << pause;
        // The paused program had ended by itself: all its steps were tried.
        if (pause >= ran.trace.size() || (ran.trace[pause].enabled & 1) == 0) break;
        paused_at.insert(ran.trace[pause].step);
      }
    }
  }
  using faults::Step;
  for (const Step step : {Step::load_slot, Step::load_away, Step::count_away, Step::announce,
                          Step::commit, Step::mark_published}) {
    EXPECT_TRUE(paused_at.contains(step)) << static_cast<int>(step);
  }
}

// Program 0 stops at its step `first`, program 1 at its step `second`; then 0 ends, then 1.
TEST(ConnInterleavings, EveryPairOfPausesIsHarmless) {
  uint64_t pairs = 0;
  for (auto& [name, scenario, preemptions] : all_scenarios()) {
    bool first_ended = false;
    for (size_t first = 1; !first_ended; first += pause_stride) {
      bool second_ended = false;
      for (size_t second = 1; !second_ended; second += pause_stride) {
        std::array<size_t, 3> steps{};
        bool resumed = false;
        const RunResult ran = run(*scenario, [&](size_t, uint8_t, uint8_t enabled) -> uint8_t {
          const auto can = [enabled](unsigned program) { return (enabled >> program & 1) != 0; };
          uint8_t next = can(0) ? 0 : can(1) ? 1 : 2;
          if (!resumed && steps[0] >= first && can(1)) {
            next = 1;
            resumed = steps[1] >= second;
            if (resumed && can(0)) next = 0;
          }
          ++steps[next];
          return next;
        });
        ASSERT_EQ(ran.violation, "") << name << ": paused at " << first << " and " << second;
        ++pairs;
        second_ended = steps[1] <= second;
        first_ended = steps[0] <= first;
      }
    }
  }
  std::printf("%lu pairs of pauses\n", pairs);
  EXPECT_GT(pairs, 20'000 / (pause_stride * pause_stride));
}

}  // namespace
}  // namespace headgate::dataplane::test
