// Builds snapshots: from the wanted configuration, the kernel's state and the ids, a new generation
// that shares every block that did not change with the one before.
//
// The life of a change:
//
//   SnapshotChange ─┬─ maglev_tables() ──> MaglevTables, fill(i) on several threads ─┐
//                   └─ prepare() <───────────────────────────────────────────────────┘
//                        │  PreparedSnapshot: all memory is taken, nothing is visible
//                        └─ commit(): ids and blocks take effect, one release store
//
// maglev_tables(), fill() and prepare() may run on a helper thread; commit() is short and belongs
// to the control thread, as everything else here. One call at a time, whichever the thread, and
// nothing but MaglevTables::fill() while a PreparedSnapshot is at hand: changes that arrive
// meanwhile are merged into one and wait. The control thread may call SnapshotStore::poll() and
// set_ownership() at any time: who is master of an address does not wait for a reload.
//
// prepare() that fails, and a PreparedSnapshot that is dropped, leave everything as it was. Between
// maglev_tables() and prepare() other changes may be committed: a table that does not fit any more
// is thrown away, and prepare() fills what is missing by itself.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <vector>

#include "config/model.h"
#include "control/block_arena.h"
#include "control/counter_view.h"
#include "control/error.h"
#include "control/identity.h"
#include "control/kernel_state.h"
#include "control/maglev_tables.h"
#include "control/next_hop_table.h"
#include "control/ownership.h"
#include "control/pool_view.h"
#include "control/published_root.h"
#include "control/reclaimer.h"
#include "control/snapshot_store.h"
#include "dataplane/limits.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

struct SnapshotModel;
struct SnapshotDraft;

// A drain: the connections of a backend whose weight is 0 end at a tick. Until its weight is raised
// again, or the deadline replaced; tick 0 takes it back.
struct Drain {
  config::ServiceKey service;
  config::BackendKey backend;
  dataplane::Tick deadline = 0;
};

// What is to be looked at again. The pointers need to live until prepare() has returned.
struct SnapshotChange {
  const config::Config* config = nullptr;    // where settings, services and drains are taken from
  bool settings = false;                     // time-outs, rates, limits
  bool all_services = false;                 // compares every service: first start and reload
  std::vector<config::ServiceKey> services;  // these only; one that `config` lacks is removed
  std::vector<Drain> drains;                 // their services are looked at as well
  const PoolViews* pools = nullptr;          // who serves, where health has a say in it
  const KernelState* kernel = nullptr;
  KernelParts kernel_parts;  // what differs in `kernel` from last time
  bool reclaim = false;      // gives back the ids that reclaimable() found
  dataplane::Tick now = 0;

  // Adds what `later` asks for; its pointers win where it has them.
  void merge(SnapshotChange later);
};

// A change that needs commit() alone to be seen. Dropping it takes it back.
class PreparedSnapshot {
 public:
  PreparedSnapshot(PreparedSnapshot&&) noexcept;
  PreparedSnapshot& operator=(PreparedSnapshot&&) noexcept;
  ~PreparedSnapshot();

  // Nothing that workers see differs from what runs: commit() will publish nothing.
  [[nodiscard]] bool empty() const;
  [[nodiscard]] uint64_t new_bytes() const;
  [[nodiscard]] size_t new_blocks() const;

 private:
  friend class SnapshotBuilder;
  explicit PreparedSnapshot(std::unique_ptr<SnapshotDraft> draft);
  std::unique_ptr<SnapshotDraft> draft_;
};

class SnapshotBuilder {
 public:
  // `interfaces`: ports and VLANs by their index as they were set up, with the MAC and MTU that
  // count while the kernel has no interface for them. The others outlive the builder.
  SnapshotBuilder(BlockArena& arena, SnapshotStore& store, CounterView& counters,
                  std::vector<dataplane::Interface> interfaces);
  ~SnapshotBuilder();
  SnapshotBuilder(const SnapshotBuilder&) = delete;
  SnapshotBuilder& operator=(const SnapshotBuilder&) = delete;

  [[nodiscard]] MaglevTables maglev_tables(const SnapshotChange& change) const;
  [[nodiscard]] std::expected<PreparedSnapshot, Error> prepare(const SnapshotChange& change,
                                                               MaglevTables tables = {});
  // Publishes; returns the generation that holds the change: see SnapshotStore::visible().
  uint64_t commit(PreparedSnapshot prepared);

  // Which addresses other routers are master of, and the virtual MACs that are ours. Publishes;
  // returns the generation that says so (before the first snapshot: it will). What is set counts
  // until the next call, whatever else is committed.
  [[nodiscard]] std::expected<uint64_t, Error> set_ownership(Ownership ownership);
  [[nodiscard]] const Ownership& ownership() const { return published_.ownership(); }

  // prepare() and commit() in one, for small changes and tests.
  [[nodiscard]] std::expected<uint64_t, Error> apply(const SnapshotChange& change);

  // Whether some removed backend has no connection left, so that a change with `reclaim` is due.
  // Call it now and then, each second say.
  [[nodiscard]] bool reclaimable();

  // Neighbours that backends and routes need and whose MAC is not known: the kernel is to be asked.
  // As of the last commit().
  [[nodiscard]] const std::vector<WantedNeighbour>& wanted_neighbours() const;

  // The ids of what runs. Belongs to whoever may call prepare().
  [[nodiscard]] const IdentityTable& identity() const;

  // Ids by key, none when there is no such thing; removed ones are found as long as they live.
  [[nodiscard]] std::optional<uint32_t> service_id(const config::ServiceKey& key) const;
  [[nodiscard]] std::optional<uint32_t> backend_id(const config::ServiceKey& service,
                                                   const config::BackendKey& backend) const;

 private:
  [[nodiscard]] std::expected<void, Error> put_all(SnapshotDraft& draft,
                                                   const SnapshotChange& change,
                                                   MaglevTables& tables);
  [[nodiscard]] std::expected<void, Error> put_config(SnapshotDraft& draft,
                                                      const SnapshotChange& change,
                                                      MaglevTables& tables);

  BlockArena& arena_;
  SnapshotStore& store_;
  CounterView& counters_;
  std::unique_ptr<SnapshotModel> model_;
  PublishedRoot published_;
  Reclaimer reclaimer_;
};

}  // namespace headgate::control
