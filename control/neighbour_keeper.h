// When to ask the kernel for which neighbour. Workers send without the kernel, so to it no
// neighbour is in use: it would let entries go stale and forget them. No clock and no socket of its
// own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "control/netlink_decode.h"

namespace headgate::control {

class NeighbourKeeper {
 public:
  using Clock = std::chrono::steady_clock;
  using IsUsable = std::function<bool(const NeighbourKey&)>;

  static constexpr auto usable_interval = std::chrono::seconds(15);
  static constexpr auto unknown_interval = std::chrono::seconds(1);
  static constexpr auto repeat_interval = std::chrono::milliseconds(500);
  static constexpr size_t max_per_turn = 256;  // the rest follows 10 ms later
  static constexpr auto turn_interval = std::chrono::milliseconds(10);

  // A one-off request: false when the same was made less than repeat_interval ago.
  [[nodiscard]] bool ask(const NeighbourKey& neighbour, Clock::time_point now);

  // The set to keep fresh, in the place of the one before; neighbours of both keep their time.
  void keep(std::span<const NeighbourKey> neighbours, Clock::time_point now,
            const IsUsable& is_usable);
  // Those whose time has come; they are scheduled anew.
  [[nodiscard]] std::vector<NeighbourKey> due(Clock::time_point now, const IsUsable& is_usable);
  [[nodiscard]] std::optional<Clock::time_point> next() const;

  // A neighbour was lost: look after it soon if it is kept.
  void lost(const NeighbourKey& neighbour, Clock::time_point now);

 private:
  void schedule(const NeighbourKey& neighbour, Clock::time_point at);

  std::map<NeighbourKey, Clock::time_point> kept_;
  std::set<std::pair<Clock::time_point, NeighbourKey>> queue_;  // the same, by time
  std::map<NeighbourKey, Clock::time_point> asked_;
  Clock::time_point next_purge_{};
  Clock::time_point not_before_{};
};

}  // namespace headgate::control
