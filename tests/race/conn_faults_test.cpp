// Shows that the race tests can fail: with each deliberate fault compiled into this build and
// turned on, one of the explored situations must report a violation.
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "tests/race/conn_scenarios.h"
#include "tests/race/conn_threads.h"

namespace headgate::dataplane::test {
namespace {

using faults::Fault;

class ActiveFault {
 public:
  explicit ActiveFault(Fault fault) { faults::active_fault = fault; }
  ~ActiveFault() { faults::active_fault = Fault::none; }
  ActiveFault(const ActiveFault&) = delete;
  ActiveFault& operator=(const ActiveFault&) = delete;
};

std::string caught_by_exploring() {
  for (const unsigned bound : {1U, 2U}) {
    for (auto& [name, scenario, preemptions] : all_scenarios()) {
      try {
        const Exploration explored = explore(*scenario, bound, 20'000);
        if (!explored.violation.empty()) return name + ": " + explored.violation;
      } catch (const std::logic_error& error) {
        return name + ": " + error.what();
      }
    }
  }
  return {};
}

struct NamedFault {
  Fault fault;
  const char* name;
};
class ConnFaults : public ::testing::TestWithParam<NamedFault> {};

TEST_P(ConnFaults, IsCaughtByExploring) {
  const ActiveFault active(GetParam().fault);
#if defined(HEADGATE_ASAN)
  // The entry is poisoned as soon as it is free, and its reader dies of it.
  if (GetParam().fault == Fault::reuse_without_grace) {
    EXPECT_DEATH(static_cast<void>(caught_by_exploring()), "use-after-poison");
    return;
  }
#endif
  const std::string caught = caught_by_exploring();
  EXPECT_NE(caught, "") << GetParam().name << " was not noticed";
  std::printf("%s\n", caught.c_str());
}

INSTANTIATE_TEST_SUITE_P(
    , ConnFaults,
    ::testing::Values(NamedFault{Fault::fill_after_publish, "fill_after_publish"},
                      NamedFault{Fault::reuse_without_grace, "reuse_without_grace"},
                      NamedFault{Fault::lost_reply_rollback, "lost_reply_rollback"},
                      NamedFault{Fault::no_rescan, "no_rescan"},
                      NamedFault{Fault::commit_without_cas, "commit_without_cas"},
                      NamedFault{Fault::away_not_counted, "away_not_counted"},
                      NamedFault{Fault::away_counted_down_early, "away_counted_down_early"},
                      NamedFault{Fault::retract_forgotten, "retract_forgotten"},
                      NamedFault{Fault::signature_only_compare, "signature_only_compare"},
                      NamedFault{Fault::unlink_one_key, "unlink_one_key"},
                      NamedFault{Fault::kill_ignored, "kill_ignored"},
                      NamedFault{Fault::rival_ignored, "rival_ignored"},
                      NamedFault{Fault::dying_not_rechecked, "dying_not_rechecked"},
                      NamedFault{Fault::two_unlink_winners, "two_unlink_winners"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(ConnFaultList, IsTestedCompletely) {
  // None, relaxed_slot_load (which only ThreadSanitizer sees) and the list above.
  EXPECT_EQ(faults::fault_count, 2U + 14U);
}

TEST(ConnFaultList, NothingIsCaughtWithoutAFault) {
  for (auto& [name, scenario, preemptions] : all_scenarios()) {
    EXPECT_EQ(explore(*scenario, 1, 20'000).violation, "") << name;
  }
}

// A reader that does not acquire what is behind a slot: x86 forgives it, ThreadSanitizer does not.
// The report ends the process that it is made in, so the threads run in a child.
#if defined(HEADGATE_TSAN)
using ConnFaultsDeathTest = ::testing::Test;

TEST_F(ConnFaultsDeathTest, RelaxedSlotLoadIsCaughtByThreadSanitizer) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        faults::active_fault = Fault::relaxed_slot_load;
        stress({.threads = 3, .rounds = 5'000});
        std::exit(0);
      },
      ::testing::ExitedWithCode(66), "data race");
}

TEST_F(ConnFaultsDeathTest, NothingIsCaughtWithoutAFault) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        stress({.threads = 3, .rounds = 5'000});
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace headgate::dataplane::test
