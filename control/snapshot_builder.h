// Builds snapshots: from the wanted configuration, the kernel's state and the ids, a new generation
// that shares every block that did not change with the one before.
//
// The life of a change:
//
//   SnapshotChange ── maglev_tables() ──> MaglevTables ── fill(i), in parallel ──┐
//                 └────────────────────── prepare() <────────────────────────────┘
//                                           │ PreparedSnapshot: all memory is taken, nothing
//                                           visible └─ commit(): ids and blocks take effect, one
//                                           release store
//
// maglev_tables(), fill() and prepare() may run on a helper thread; commit() is short and belongs
// to the control thread. One call at a time, whichever the thread: a change that arrives while
// another is prepared waits and is merged. prepare() that fails, and a PreparedSnapshot that is
// dropped, leave everything as it was. Between maglev_tables() and prepare() other changes may be
// committed: a table that no longer fits is thrown away, and prepare() fills what is missing
// itself.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "config/model.h"
#include "control/block_arena.h"
#include "control/counter_view.h"
#include "control/error.h"
#include "control/identity.h"
#include "control/kernel_state.h"
#include "control/snapshot_store.h"
#include "dataplane/limits.h"

namespace headgate::control {

// What is to be looked at again. The pointers need to live until prepare() has returned.
struct SnapshotChange {
  const config::Config* config = nullptr;    // where `settings` and services are taken from
  bool settings = false;                     // time-outs, rates, limits
  bool all_services = false;                 // compares every service: first start and reload
  std::vector<config::ServiceKey> services;  // these only; one that `config` lacks is removed
  const KernelState* kernel = nullptr;
  KernelParts kernel_parts;  // what differs in `kernel` from last time
  // VIPs and local addresses that are not to be answered for (another router is master).
  std::optional<std::vector<net::IpAddress>> inactive_addresses;
  bool reclaim = false;  // gives back ids that reclaimable() found
  dataplane::Tick now = 0;

  // Adds what `other`, which is later, asks for.
  void merge(SnapshotChange other);
};

struct WantedNeighbour {
  uint16_t interface = 0;
  net::IpAddress address;

  bool operator==(const WantedNeighbour&) const = default;
  auto operator<=>(const WantedNeighbour&) const = default;
};

// Maglev tables that a change needs, each in a block of its own that is not visible yet.
class MaglevTables {
 public:
  MaglevTables();
  MaglevTables(MaglevTables&&) noexcept;
  MaglevTables& operator=(MaglevTables&&) noexcept;
  ~MaglevTables();

  [[nodiscard]] size_t size() const;
  // Fills one; each `i` once, from any thread.
  void fill(size_t i);
  void fill_all();

 private:
  friend class SnapshotBuilder;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class PreparedSnapshot {
 public:
  PreparedSnapshot();
  PreparedSnapshot(PreparedSnapshot&&) noexcept;
  PreparedSnapshot& operator=(PreparedSnapshot&&) noexcept;
  ~PreparedSnapshot();

  // Nothing differs from what runs: commit() will publish nothing.
  [[nodiscard]] bool empty() const;
  [[nodiscard]] uint64_t new_bytes() const;
  [[nodiscard]] size_t new_blocks() const;

 private:
  friend class SnapshotBuilder;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class SnapshotBuilder {
 public:
  // All outlive the builder.
  SnapshotBuilder(dataplane::RegionView region, BlockArena& arena, SnapshotStore& store,
                  CounterView& counters);
  ~SnapshotBuilder();
  SnapshotBuilder(const SnapshotBuilder&) = delete;
  SnapshotBuilder& operator=(const SnapshotBuilder&) = delete;

  [[nodiscard]] MaglevTables maglev_tables(const SnapshotChange& change) const;
  [[nodiscard]] std::expected<PreparedSnapshot, Error> prepare(const SnapshotChange& change,
                                                               MaglevTables tables = {});
  // Publishes, and returns the generation that holds the change: ask SnapshotStore::visible(of it).
  uint64_t commit(PreparedSnapshot prepared);

  // prepare() and commit() in one, for small changes and tests.
  [[nodiscard]] std::expected<uint64_t, Error> apply(const SnapshotChange& change);

  // Whether some removed backend has no connection left, so that a change with `reclaim` is due.
  // Call it now and then (each second, say) on the control thread.
  [[nodiscard]] bool reclaimable();

  // Neighbours that backends and routes need and whose MAC is not known: the kernel is to be asked.
  // As of the last commit().
  [[nodiscard]] const std::vector<WantedNeighbour>& wanted_neighbours() const;

  // Ids by key, none when there is no such thing; removed ones are found as long as they live.
  [[nodiscard]] std::optional<uint32_t> service_id(const config::ServiceKey& key) const;
  [[nodiscard]] std::optional<uint32_t> backend_id(const config::ServiceKey& service,
                                                   const config::BackendKey& backend) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headgate::control
