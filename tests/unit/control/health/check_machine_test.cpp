#include "control/health/check_machine.h"

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

using std::chrono::milliseconds;

config::Check check_of(uint32_t retries, uint32_t rise, uint32_t fall) {
  config::Check check;
  check.interval_ms = 5000;
  check.retry_delay_ms = 700;
  check.retries = retries;
  check.rise = rise;
  check.fall = fall;
  return check;
}

// Runs attempts, `+` for good ones, and writes what came of each: the verdict's letter, upper case
// where it was decided just then, and `r` behind it where the next attempt is a retry.
std::string run(const config::Check& check, std::string_view attempts,
                CheckMachine machine = CheckMachine{}) {
  std::string line;
  for (const char attempt : attempts) {
    const CheckStep step = after_attempt(check, machine, attempt == '+');
    machine = step.machine;
    const char* const letters = step.decided ? "?UD" : "?ud";
    line += letters[static_cast<size_t>(machine.verdict)];
    if (step.next == milliseconds(check.retry_delay_ms)) line += 'r';
  }
  return line;
}

TEST(CheckMachine, IsDownOnlyWhenTheAttemptAndAllRetriesHaveFailed) {
  EXPECT_EQ(run(check_of(2, 1, 1), "+---+"), "UururDU");
  EXPECT_EQ(run(check_of(0, 1, 1), "+-+"), "UDU");
}

TEST(CheckMachine, ASuccessAmongRetriesIsNoFailure) {
  EXPECT_EQ(run(check_of(2, 1, 1), "+--+--+"), "Uururuururu");
}

TEST(CheckMachine, FallCountsFailedChecksInARow) {
  EXPECT_EQ(run(check_of(1, 1, 2), "+----"), "UuruurD");
  EXPECT_EQ(run(check_of(1, 1, 2), "+--+----"), "UuruuuruurD");
}

TEST(CheckMachine, RiseCountsGoodChecksInARowAndNothingIsRetriedWhileDown) {
  EXPECT_EQ(run(check_of(1, 3, 1), "+--++-+++"), "UurDdddddU");
}

TEST(CheckMachine, CountsAsItStartsUntilTheFirstDecision) {
  config::Check check = check_of(1, 2, 1);
  EXPECT_TRUE(counts_as_up(check, CheckMachine{}));
  EXPECT_EQ(run(check, "+"), "U");
  EXPECT_EQ(run(check, "--"), "?rD");
  check.start = config::CheckStart::down;
  EXPECT_FALSE(counts_as_up(check, CheckMachine{}));
  EXPECT_EQ(run(check, "++"), "?U");
  EXPECT_EQ(run(check, "-++"), "DdU");
}

TEST(CheckMachine, TheVeryFirstFailureDecidesWhereItIsToldSo) {
  config::Check check = check_of(3, 1, 2);
  check.first_failure_decides = true;
  EXPECT_EQ(run(check, "-"), "D");
  EXPECT_EQ(run(check, "+--"), "Uurur") << "only the very first one";
}

TEST(CheckMachine, TellsHowManyAttemptsHaveFailedOfHowMany) {
  const config::Check check = check_of(2, 1, 2);
  EXPECT_EQ(attempts_to_fall(check), 6U);
  CheckMachine machine{.verdict = CheckVerdict::up};
  for (uint32_t failed = 1; failed < 6; ++failed) {
    machine = after_attempt(check, machine, false).machine;
    EXPECT_EQ(attempts_failed(check, machine), failed);
  }
}

// Against a plain model: what the last attempts were, in whole checks.
TEST(CheckMachine, AgreesWithAModelOverAllSequencesOfTwelveAttempts) {
  for (const auto& [retries, rise, fall] : {std::tuple{0U, 1U, 1U}, {1U, 2U, 2U}, {2U, 3U, 1U}}) {
    const config::Check check = check_of(retries, rise, fall);
    for (uint32_t bits = 0; bits < 4096; ++bits) {
      CheckMachine machine{.verdict = CheckVerdict::up};
      bool up = true;
      uint32_t good = 0;
      uint32_t bad = 0;
      for (uint32_t i = 0; i < 12; ++i) {
        const bool success = (bits >> i & 1) != 0;
        good = success ? good + 1 : 0;
        bad = success ? 0 : bad + 1;
        if (up && bad == (retries + 1) * fall) {
          up = false;
          good = 0;
        } else if (!up && good == rise) {
          up = true;
        }
        if (!up) bad = 0;
        machine = after_attempt(check, machine, success).machine;
        ASSERT_EQ(machine.verdict == CheckVerdict::up, up) << bits << " at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace headgate::control
