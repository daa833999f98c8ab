// Everything of the data plane but its ports: region, tables, snapshot builder and workers, as the
// daemon makes them, in one process and without threads. Tests and benchmarks put ports of their
// own to it and drive the workers.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <rte_mempool.h>

#include "config/model.h"
#include "control/block_arena.h"
#include "control/counter_view.h"
#include "control/kernel_state.h"
#include "control/region_memory.h"
#include "control/snapshot_builder.h"
#include "control/snapshot_store.h"
#include "dataplane/worker.h"

namespace headgate::tests {

struct WorldOptions {
  uint32_t workers = 1;
  uint32_t capacity_v4 = 4096;
  uint32_t capacity_v6 = 4096;
  uint32_t max_services = 256;
  uint32_t max_backends = 1024;
  uint64_t snapshot_bytes = 64 << 20;
  control::RegionPages pages = control::RegionPages::plain;
  control::BlockArena::Freed freed = control::BlockArena::Freed::overwrite;
  dataplane::Tick start_tick = dataplane::first_tick;
  uint32_t twin_frames = 1024;      // of each ring towards a twin
  rte_mempool* own_pool = nullptr;  // for packets that workers originate; outlives the world
  std::vector<dataplane::Interface> interfaces;  // of the snapshot; port, VLAN and MTU are read
};

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Applies a configuration and a kernel state as one snapshot. `turn_all` is called when workers
  // have to take it.
  [[nodiscard]] std::expected<uint64_t, std::string> apply(const config::Config& config,
                                                           const control::KernelState& kernel,
                                                           dataplane::Tick now);

  [[nodiscard]] dataplane::Worker& worker(uint32_t id) { return *workers[id]; }
  [[nodiscard]] dataplane::RegionView region() const { return memory->view(); }

  std::unique_ptr<control::RegionMemory> memory;
  std::unique_ptr<dataplane::GracePeriod> grace;
  std::unique_ptr<dataplane::ConnTable> connections;
  std::unique_ptr<control::BlockArena> arena;
  std::unique_ptr<control::SnapshotStore> store;
  std::unique_ptr<control::CounterView> counters;
  std::unique_ptr<control::SnapshotBuilder> builder;
  dataplane::SharedState shared;
  std::vector<dataplane::ExceptionRingsPtr> rings;
  std::vector<std::unique_ptr<dataplane::Worker>> workers;

 private:
  void make_tables(const WorldOptions& options);
  void make_worker(const WorldOptions& options, uint32_t id);

  config::Config config_;
  control::KernelState kernel_;
};

}  // namespace headgate::tests
