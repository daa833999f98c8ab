// One backend of a service as its checks see it: whether it counts as up, since when and why, and
// what it was before. Pure, without a clock: times come in.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace headgate::control {

// Milliseconds since 1970, so that they are worth something after a restart.
using WallMs = int64_t;

// Now, by both clocks: durations are measured by the one that nobody sets.
struct Moment {
  int64_t steady_ms = 0;
  WallMs wall_ms = 0;
};

// What a user sees. The first three are what checks say; the others what the configuration says.
enum class BackendState : uint8_t { fresh, up, down, draining, drained, disabled };
[[nodiscard]] std::string_view name_of(BackendState state);  // new, up, down, ...

struct LifeChange {
  bool up = false;
  WallMs at = 0;
  std::string reason;

  bool operator==(const LifeChange&) const = default;
};

inline constexpr size_t life_history = 10;  // changes that are remembered

struct BackendLife {
  bool known = false;  // its checks have decided at least once
  bool up = true;      // counts as up
  WallMs since = 0;    // of `up`, or of its first being seen
  std::string reason;  // in words: of the last change, or of what the last attempts said
  std::optional<int64_t> rise_ms;  // by the steady clock: its slow start began; empty: it is over
  std::optional<uint16_t> weight;  // that a script wants
  std::deque<LifeChange> history;  // newest last

  bool operator==(const BackendLife&) const = default;
};

// The backend is up or down from now on; false: it was already.
bool set_up(BackendLife& life, bool up, std::string reason, Moment now);

// Share of its weight, in thousandths, that a backend has after so long: at least a hundredth, all
// of it when `slow_start_s` have passed.
[[nodiscard]] uint16_t slow_start_permille(const BackendLife& life, uint32_t slow_start_s,
                                           int64_t steady_ms);

}  // namespace headgate::control
