#include "control/health/check_machine.h"

namespace headgate::control {

using std::chrono::milliseconds;

namespace {

CheckStep decide(CheckMachine machine, CheckVerdict verdict, milliseconds next) {
  const bool decided = machine.verdict != verdict;
  machine = {.verdict = verdict};
  return {machine, next, decided};
}

CheckStep after_success(const config::Check& check, CheckMachine machine) {
  const milliseconds interval(check.interval_ms);
  if (counts_as_up(check, machine)) return decide(machine, CheckVerdict::up, interval);
  machine.failed_attempts = 0;
  machine.failed_checks = 0;
  if (++machine.good_checks >= check.rise) return decide(machine, CheckVerdict::up, interval);
  return {machine, interval, false};
}

CheckStep after_failure(const config::Check& check, CheckMachine machine) {
  const milliseconds interval(check.interval_ms);
  machine.good_checks = 0;
  if (!counts_as_up(check, machine)) return decide(machine, CheckVerdict::down, interval);
  if (check.first_failure_decides && machine.verdict == CheckVerdict::unknown) {
    return decide(machine, CheckVerdict::down, interval);
  }
  if (++machine.failed_attempts <= check.retries) {
    return {machine, milliseconds(check.retry_delay_ms), false};
  }
  machine.failed_attempts = 0;
  if (++machine.failed_checks >= check.fall) return decide(machine, CheckVerdict::down, interval);
  return {machine, interval, false};
}

}  // namespace

CheckStep after_attempt(const config::Check& check, CheckMachine machine, bool up) {
  return up ? after_success(check, machine) : after_failure(check, machine);
}

uint32_t attempts_to_fall(const config::Check& check) {
  return (check.retries + 1) * check.fall;
}

uint32_t attempts_failed(const config::Check& check, const CheckMachine& machine) {
  return machine.failed_checks * (check.retries + 1) + machine.failed_attempts;
}

}  // namespace headgate::control
