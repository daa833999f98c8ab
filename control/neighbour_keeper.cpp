#include "control/neighbour_keeper.h"

#include <algorithm>

#include "dataplane/snapshot.h"

namespace headgate::control {
namespace {

constexpr size_t max_asked = 4096;  // remembered one-off requests

// A part of the interval that differs between neighbours, so that they do not come all at once.
std::chrono::milliseconds spread(const NeighbourKey& neighbour, std::chrono::milliseconds range) {
  const uint32_t hash = dataplane::neighbour_hash(neighbour.address, neighbour.interface);
  return std::chrono::milliseconds(hash % static_cast<uint32_t>(range.count()));
}

}  // namespace

bool NeighbourKeeper::ask(const NeighbourKey& neighbour, Clock::time_point now) {
  const auto found = asked_.find(neighbour);
  if (found != asked_.end() && now - found->second < repeat_interval) return false;
  if (asked_.size() >= max_asked && now >= next_purge_) {
    std::erase_if(asked_, [&](const auto& entry) { return now - entry.second >= repeat_interval; });
    next_purge_ = now + turn_interval;  // under a scan it would be each time, in vain
  }
  if (asked_.size() >= max_asked) return false;
  asked_[neighbour] = now;
  return true;
}

void NeighbourKeeper::schedule(const NeighbourKey& neighbour, Clock::time_point at) {
  const auto [entry, is_new] = kept_.try_emplace(neighbour, at);
  if (!is_new) {
    queue_.erase({entry->second, neighbour});
    entry->second = at;
  }
  queue_.emplace(at, neighbour);
}

void NeighbourKeeper::keep(std::span<const NeighbourKey> neighbours, Clock::time_point now,
                           const IsUsable& is_usable) {
  const std::set<NeighbourKey> wanted(neighbours.begin(), neighbours.end());
  std::erase_if(kept_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    queue_.erase({entry.second, entry.first});
    return true;
  });
  for (const NeighbourKey& neighbour : wanted) {
    if (kept_.contains(neighbour)) continue;
    // What is unknown is asked for at once.
    schedule(neighbour, is_usable(neighbour) ? now + spread(neighbour, usable_interval) : now);
  }
}

std::vector<NeighbourKey> NeighbourKeeper::due(Clock::time_point now, const IsUsable& is_usable) {
  std::vector<NeighbourKey> result;
  if (now < not_before_) return result;
  while (!queue_.empty() && queue_.begin()->first <= now && result.size() < max_per_turn) {
    const NeighbourKey neighbour = queue_.begin()->second;
    const bool usable = is_usable(neighbour);
    schedule(neighbour, now + (usable ? usable_interval : unknown_interval) +
                            spread(neighbour, std::chrono::milliseconds(250)));
    result.push_back(neighbour);
  }
  if (result.size() == max_per_turn) not_before_ = now + turn_interval;
  return result;
}

std::optional<NeighbourKeeper::Clock::time_point> NeighbourKeeper::next() const {
  if (queue_.empty()) return std::nullopt;
  return std::max(queue_.begin()->first, not_before_);
}

void NeighbourKeeper::lost(const NeighbourKey& neighbour, Clock::time_point now) {
  if (kept_.contains(neighbour)) schedule(neighbour, now + unknown_interval);
}

}  // namespace headgate::control
