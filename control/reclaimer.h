// Finds removed backends that no connection refers to any more.
//
// The live counts of a backend are sums over rows that several workers write, so one look may fall
// between the two steps of a connection that goes from active to inactive and see one too few. Two
// looks that both find nothing, with a grace period between them in which every worker finished
// what it was doing, are believed. A backend that was removed gets no new connections once the
// snapshot that says so is visible, so before that there is nothing to look at.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "control/counter_view.h"
#include "control/identity.h"
#include "control/snapshot_store.h"

namespace headgate::control {

class Reclaimer {
 public:
  // These backends were removed by `generation`.
  void watch(std::span<const uint32_t> backend_indexes, uint64_t generation);
  // Takes a bounded number of looks. True when there is something to release.
  bool look(const IdentityTable& identity, const CounterView& counters, SnapshotStore& store);
  // Backends that may be released, unless they came back meanwhile; stay due until they are gone.
  [[nodiscard]] std::vector<uint32_t> due(const IdentityTable& identity) const;

 private:
  struct Watched {
    uint32_t index;
    uint64_t removed_generation;
    std::optional<uint64_t> token;  // of the grace period after the first look that found nothing
  };
  enum class Finding : uint8_t { gone, live, due };
  [[nodiscard]] static Finding look_at(Watched& watched, const IdentityTable& identity,
                                       const CounterView& counters, SnapshotStore& store);

  std::deque<Watched> watched_;
  std::vector<Watched> due_;
};

}  // namespace headgate::control
