#include "control/health/backend_life.h"

#include <algorithm>
#include <utility>

namespace headgate::control {

std::string_view name_of(BackendState state) {
  switch (state) {
    case BackendState::fresh:
      return "new";
    case BackendState::up:
      return "up";
    case BackendState::down:
      return "down";
    case BackendState::draining:
      return "draining";
    case BackendState::drained:
      return "drained";
    case BackendState::disabled:
      return "disabled";
  }
  return "unknown";
}

bool set_up(BackendLife& life, bool up, std::string reason, Moment now) {
  const bool differs = !life.known || life.up != up;
  const bool rises = up && !life.up;
  life.reason = std::move(reason);
  if (!differs) return false;
  if (life.up != up || life.since == 0) life.since = now.wall_ms;
  life.known = true;
  life.up = up;
  life.rise_ms = rises ? std::optional(now.steady_ms) : std::nullopt;
  life.history.push_back({up, now.wall_ms, life.reason});
  if (life.history.size() > life_history) life.history.pop_front();
  return true;
}

uint16_t slow_start_permille(const BackendLife& life, uint32_t slow_start_s, int64_t steady_ms) {
  constexpr int64_t all = 1000;
  constexpr int64_t least = 10;
  const int64_t duration = int64_t{slow_start_s} * 1000;
  if (!life.rise_ms || duration == 0) return all;
  const int64_t passed = std::clamp<int64_t>(steady_ms - *life.rise_ms, 0, duration);
  return static_cast<uint16_t>(std::clamp(all * passed / duration, least, all));
}

}  // namespace headgate::control
