// The packet tests' bench: the real worker loop, pipeline and tables between in-memory ports, in
// virtual time. Frames go into ring ports, one turn of a worker is run, and what came out on ports
// and towards the twins is read back. No kernel, no thread, no clock is involved.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include <rte_mbuf.h>

#include "config/model.h"
#include "control/block_arena.h"
#include "control/counter_view.h"
#include "control/kernel_state.h"
#include "control/region_memory.h"
#include "control/snapshot_builder.h"
#include "control/snapshot_store.h"
#include "dataplane/worker.h"

namespace headgate::tests {

// A frame's bytes, and the lengths of the buffers that it comes in; empty: all in one.
struct Frame {
  std::vector<uint8_t> bytes;
  std::vector<uint16_t> segments;
};

struct RigInterface {
  uint16_t port = 0;
  uint16_t vlan = 0;
};

struct RigPort {
  uint16_t queues = 0;  // of each direction; 0: one a worker. Workers beyond hand frames over
  bool has_twin = true;
};

inline constexpr uint64_t start_ns = 1'000'000'000;  // of the virtual clock

struct RigOptions {
  uint32_t workers = 1;
  dataplane::Tick start_tick = dataplane::first_tick;
  uint32_t capacity_v4 = 4096;
  uint32_t capacity_v6 = 4096;
  std::vector<RigPort> ports{{}, {}};
  std::vector<RigInterface> interfaces{{0, 0}, {1, 0}};
  uint32_t tx_frames = 1024;    // room of a transmit queue, handed-over frames included
  uint32_t twin_frames = 1024;  // of each ring towards a twin
  uint32_t own_mbufs = 1023;    // for packets that workers originate
  // Ports spread flows over the workers' queues by this RSS key and table; the test computes the
  // queue and injects there. Empty: unknown to the workers.
  std::vector<uint8_t> rss_key;
  std::vector<uint16_t> rss_table;
};

struct SentFrame {
  uint16_t port;
  std::vector<uint8_t> bytes;
};
struct TwinFrame {
  uint16_t port;
  dataplane::TwinClass twin_class;
  std::vector<uint8_t> bytes;
};
struct Output {
  std::vector<SentFrame> sent;
  std::vector<TwinFrame> twin;
};

class Rig {
 public:
  explicit Rig(const RigOptions& options);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  // Ends everything and returns how many buffers did not come back: lost. Nothing else may be
  // called afterwards. The destructor does the same and ends the process if one is lost.
  [[nodiscard]] uint32_t shut_down();

  // Applies a configuration and a kernel state as one snapshot.
  [[nodiscard]] std::expected<uint64_t, std::string> apply(const config::Config& config,
                                                           const control::KernelState& kernel);
  // Puts frames into the worker's queue of a port and runs turns of that worker until it is empty.
  Output inject(uint16_t port, const std::vector<Frame>& frames, uint32_t worker = 0);
  // Puts a frame of the kernel's side of a port into the worker's ring and runs one turn.
  Output inject_from_twin(uint16_t port, const Frame& frame, uint32_t worker = 0);
  // Lets time pass in steps of at most a tick, every worker taking a turn at each.
  Output advance_ms(uint64_t ms);
  // Lets time pass at once, and then the workers come to terms with it.
  Output jump_ms(uint64_t ms);
  // Turns of all workers at the same moment: they finish what they do little by little.
  Output settle(uint32_t turns);
  // Gives back the ids of removed backends that no connection refers to.
  void reclaim();

  [[nodiscard]] const dataplane::ConnTable& connections() const { return *connections_; }
  [[nodiscard]] const control::CounterView& counters() const { return *counters_; }
  [[nodiscard]] const control::SnapshotBuilder& builder() const { return *builder_; }
  [[nodiscard]] dataplane::Tick tick() const { return now_.tick; }
  [[nodiscard]] dataplane::RegionView region() const { return memory_->view(); }
  [[nodiscard]] const dataplane::SnapshotRoot* root() const { return store_->current(); }

  // received + from_twin + originated + released == sum of verdicts, over all workers, with the
  // packets still held counted once. Empty when it holds, else both sides in words.
  [[nodiscard]] std::string sum_rule_violation() const;
  // Neighbours that workers asked for since the last call.
  [[nodiscard]] std::vector<dataplane::NeighbourRequest> neighbour_requests();
  // Buffers that are neither free nor held for a neighbour: leaked.
  [[nodiscard]] uint32_t lost_mbufs() const;
  [[nodiscard]] uint32_t held() const;

 private:
  struct Queue {
    rte_ring* rx;
    rte_ring* tx;
    rte_ring* handoff;
  };
  struct Port {
    uint16_t id;  // DPDK's
    RigPort options;
    std::vector<Queue> queues;
  };

  void make_tables();
  void make_port(const RigPort& options);
  void make_worker(uint32_t id);
  void attach_port(dataplane::Worker& worker, Port& port);
  [[nodiscard]] std::vector<dataplane::Interface> interfaces() const;
  [[nodiscard]] rte_mbuf* mbuf_of(const Frame& frame);
  void set_time(uint64_t ns);
  void turn(uint32_t worker);
  void turn_all();
  void collect(Output& output);

  RigOptions options_;
  rte_mempool* pool_ = nullptr;      // of received frames
  rte_mempool* own_pool_ = nullptr;  // of the workers' own
  std::vector<Port> ports_;
  std::unique_ptr<control::RegionMemory> memory_;
  std::unique_ptr<dataplane::GracePeriod> grace_;
  std::unique_ptr<dataplane::ConnTable> connections_;
  std::unique_ptr<control::BlockArena> arena_;
  std::unique_ptr<control::SnapshotStore> store_;
  std::unique_ptr<control::CounterView> counters_;
  std::unique_ptr<control::SnapshotBuilder> builder_;
  std::unique_ptr<dataplane::RssTable> rss_;
  dataplane::SharedState shared_;
  std::vector<dataplane::ExceptionRingsPtr> rings_;
  std::vector<std::unique_ptr<dataplane::Worker>> workers_;
  dataplane::Moment now_;
  config::Config config_;
  control::KernelState kernel_;
};

// Starts DPDK without huge pages and devices; once per process.
void start_dpdk_for_tests();

}  // namespace headgate::tests
