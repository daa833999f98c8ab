// The times of the RFCs, in nanoseconds: the fractions of the formulas are exact but for less than
// one of them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "vrrp/machine.h"
#include "vrrp/turn.h"

namespace headgate::vrrp {

Duration interval_of(uint16_t interval_cs) {
  return std::chrono::milliseconds(10) * interval_cs;
}

Duration advert_interval(const Settings& settings) {
  return interval_of(settings.interval_cs);
}

namespace {

// By which a backup measures the master's silence.
Duration master_interval(const Settings& settings, const Machine& machine) {
  const bool adopted = settings.version == Version::v3 && machine.master_interval_cs != 0;
  return interval_of(adopted ? machine.master_interval_cs : settings.interval_cs);
}

}  // namespace

Duration skew_time(const Settings& settings, const Machine& machine) {
  const Duration unit = settings.version == Version::v2 ? Duration(std::chrono::seconds(1))
                                                        : master_interval(settings, machine);
  return (256 - machine.priority) * unit / 256;
}

Duration master_down_time(const Settings& settings, const Machine& machine) {
  return 3 * master_interval(settings, machine) + skew_time(settings, machine);
}

std::optional<Time> next_deadline(const Machine& machine) {
  std::optional<Time> earliest;
  for (const auto& timer : {machine.advert_at, machine.master_down_at, machine.preempt_at,
                            machine.announce_at, machine.refresh_at}) {
    if (timer && (!earliest || *timer < *earliest)) earliest = timer;
  }
  return earliest;
}

uint8_t effective_priority(uint8_t base, int weights) {
  if (base == owner_priority) return owner_priority;
  return static_cast<uint8_t>(std::clamp<int64_t>(int64_t{base} + weights, 1, 254));
}

}  // namespace headgate::vrrp
