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
#include "control/counter_view.h"
#include "control/kernel_state.h"
#include "control/snapshot_builder.h"
#include "dataplane/worker.h"
#include "tests/support/world.h"

namespace headgate::tests {

struct Frame {
  std::vector<uint8_t> bytes;
  std::vector<uint16_t> segments;  // lengths of the buffers that it comes in; empty: all in one
  uint64_t flags = 0;              // the first one's ol_flags, as a NIC with offloads leaves them
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
  uint32_t mark = 0;  // of class probe: probe_or_host or probe_or_nothing
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
  // Who is master of the VIPs, and with which virtual MACs.
  [[nodiscard]] std::expected<uint64_t, std::string> set_ownership(control::Ownership ownership);
  // Puts frames into the worker's queue of a port and runs turns of that worker until it is empty.
  Output inject(uint16_t port, const std::vector<Frame>& frames, uint32_t worker = 0);
  // Puts a frame of the kernel's side of a port into the worker's ring and runs one turn. With an
  // id it is a probe's, by way of this backend.
  Output inject_from_twin(uint16_t port, const Frame& frame, uint32_t worker = 0,
                          uint32_t backend_id = 0);
  // There are probes through the data path.
  void set_probing(bool probing) { world_->shared.probing = probing; }
  // Lets time pass in steps of at most a tick, every worker taking a turn at each.
  Output advance_ms(uint64_t ms);
  // Lets time pass at once, and then the workers come to terms with it.
  Output jump_ms(uint64_t ms);
  // Turns of all workers at the same moment: they finish what they do little by little.
  Output settle(uint32_t turns);
  // Gives back the ids of removed backends that no connection refers to.
  void reclaim();

  [[nodiscard]] const dataplane::ConnTable& connections() const { return *world_->connections; }
  [[nodiscard]] const control::CounterView& counters() const { return *world_->counters; }
  [[nodiscard]] const control::SnapshotBuilder& builder() const { return *world_->builder; }
  [[nodiscard]] dataplane::Tick tick() const { return now_.tick; }
  [[nodiscard]] dataplane::RegionView region() const { return world_->region(); }
  [[nodiscard]] const dataplane::SnapshotRoot* root() const { return world_->store->current(); }

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

  void make_port(const RigPort& options);
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
  std::unique_ptr<dataplane::RssTable> rss_;
  std::unique_ptr<World> world_;
  dataplane::Moment now_;
};

// Starts DPDK without huge pages and devices; once per process.
void start_dpdk_for_tests();

}  // namespace headgate::tests
