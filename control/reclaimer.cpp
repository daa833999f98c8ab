#include "control/reclaimer.h"

#include <algorithm>

namespace headgate::control {
namespace {

// One look reads a cache line a worker: so many stay well under a millisecond.
constexpr size_t looks_at_once = 1024;

bool is_still_removed(const IdentityTable& identity, uint32_t index, uint64_t generation) {
  const BackendIdentity& backend = identity.backend(index);
  return backend.state == IdState::removed && backend.removed_generation == generation;
}

}  // namespace

void Reclaimer::watch(std::span<const uint32_t> backend_indexes, uint64_t generation) {
  for (const uint32_t index : backend_indexes)
    watched_.push_back({index, generation, {}});
}

bool Reclaimer::look(const IdentityTable& identity, const CounterView& counters,
                     SnapshotStore& store) {
  std::erase_if(due_, [&](const Watched& watched) {
    return !is_still_removed(identity, watched.index, watched.removed_generation);
  });
  for (size_t i = std::min(looks_at_once, watched_.size()); i > 0; --i) {
    Watched watched = watched_.front();
    watched_.pop_front();
    const Finding finding = look_at(watched, identity, counters, store);
    if (finding == Finding::live) watched_.push_back(watched);
    if (finding == Finding::due) due_.push_back(watched);
  }
  return !due_.empty();
}

Reclaimer::Finding Reclaimer::look_at(Watched& watched, const IdentityTable& identity,
                                      const CounterView& counters, SnapshotStore& store) {
  if (!is_still_removed(identity, watched.index, watched.removed_generation)) return Finding::gone;
  if (!store.visible(watched.removed_generation)) return Finding::live;
  if (counters.live(watched.index) != LiveCounts{}) {
    watched.token.reset();
    return Finding::live;
  }
  if (!watched.token) {
    watched.token = store.grace().start();
    return Finding::live;
  }
  return store.grace().passed(*watched.token) ? Finding::due : Finding::live;
}

std::vector<uint32_t> Reclaimer::due(const IdentityTable& identity) const {
  std::vector<uint32_t> indexes;
  for (const Watched& watched : due_) {
    if (is_still_removed(identity, watched.index, watched.removed_generation)) {
      indexes.push_back(watched.index);
    }
  }
  return indexes;
}

}  // namespace headgate::control
