// How much of the hash space another Maglev table moves: which share of all flows that are chosen
// by hash would go to another backend.
//
// A flow's slot is its 32-bit hash scaled to the table's size (table_slot() in
// dataplane/scheduler_pool.cpp), so slot i of n stands for the part of the hash space from i/n to
// (i+1)/n. Tables of one size are compared slot by slot, tables of two sizes piece by piece.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/model.h"
#include "control/identity.h"
#include "control/maglev_tables.h"

namespace headgate::control {

// A part of the hash space, exactly: `moved` of `all`.
struct HashShare {
  uint64_t moved = 0;
  uint64_t all = 0;

  bool operator==(const HashShare&) const = default;
  [[nodiscard]] double value() const {
    return all == 0 ? 0 : static_cast<double>(moved) / static_cast<double>(all);
  }
};

// Backends are the same by address and port, whatever their place in the lists. A slot without a
// backend differs from one with. One side without a table: everything moved. Fills both tables,
// which takes milliseconds for large ones.
[[nodiscard]] HashShare moved_hash_space(const MaglevInput& before, const MaglevInput& after);

// A service whose table is another one in `wanted`, or gone, or new.
struct HashChange {
  config::ServiceKey service;
  MaglevInput before;  // no slots: none
  MaglevInput after;
};

struct HashChanges {
  std::vector<HashChange> changed;  // of services that are in both, or are removed
  size_t tables = 0;                // of services that run and have one before or after
};

// `identity` is that of what runs.
[[nodiscard]] HashChanges hash_changes(const IdentityTable& identity, const config::Config& running,
                                       const config::Config& wanted);

}  // namespace headgate::control
