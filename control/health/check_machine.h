// What the results of attempts make of one check: up or down, and when to ask again. Pure, without
// a clock.
//
// A check is one attempt, and where that fails up to `retries` more of them, retry_delay_ms apart:
// only when all have failed has the check failed. `fall` failed checks in a row make it down,
// `rise` good ones make it up again. While it is down nothing is tried again before the next
// interval.
#pragma once

#include <chrono>
#include <cstdint>

#include "config/health_model.h"

namespace headgate::control {

enum class CheckVerdict : uint8_t {
  unknown,  // no decision yet: counts as the check's `start` says
  up,
  down,
};

struct CheckMachine {
  CheckVerdict verdict = CheckVerdict::unknown;
  uint32_t failed_attempts = 0;  // of the check under way
  uint32_t failed_checks = 0;    // in a row
  uint32_t good_checks = 0;      // in a row

  bool operator==(const CheckMachine&) const = default;
};

struct CheckStep {
  CheckMachine machine;
  std::chrono::milliseconds next{0};  // until the next attempt
  bool decided = false;               // the verdict is another one than before
};

// One attempt has ended.
[[nodiscard]] CheckStep after_attempt(const config::Check& check, CheckMachine machine, bool up);

[[nodiscard]] inline bool counts_as_up(const config::Check& check, const CheckMachine& machine) {
  return machine.verdict == CheckVerdict::up ||
         (machine.verdict == CheckVerdict::unknown && check.start == config::CheckStart::up);
}

// Failed attempts in a row that make an up check down, and how many there have been.
[[nodiscard]] uint32_t attempts_to_fall(const config::Check& check);
[[nodiscard]] uint32_t attempts_failed(const config::Check& check, const CheckMachine& machine);

}  // namespace headgate::control
