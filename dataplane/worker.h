// A worker: one polling core with everything it may touch. All fields belong to the worker alone
// unless a comment says otherwise; other threads see it through the counter rows in the region.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/conn_table.h"
#include "dataplane/counters.h"
#include "dataplane/exception.h"
#include "dataplane/fullnat_ports.h"
#include "dataplane/grace.h"
#include "dataplane/hold_queue.h"
#include "dataplane/limits.h"
#include "dataplane/rss.h"
#include "dataplane/scheduler.h"
#include "dataplane/snapshot.h"
#include "dataplane/snapshot_cell.h"
#include "dataplane/sweep.h"
#include "dataplane/timer_wheel.h"
#include "dataplane/token_bucket.h"
#include "dataplane/verdict.h"

namespace headgate::dataplane {

// Time as the packet path sees it. Whoever drives a worker reads the clock once per turn and hands
// it in, so that tests run the real pipeline in virtual time.
inline constexpr Tick first_tick = 1;
struct Moment {
  uint64_t ns = 0;         // monotonic
  Tick tick = first_tick;  // coarse: ticks_per_second (limits.h), of connections and their timers
};

// Frames of one port that wait for the end of the burst, each with the verdict it gets if it
// leaves.
struct TxBuffer {
  std::array<rte_mbuf*, tx_buffer_frames> mbufs;
  std::array<Verdict, tx_buffer_frames> verdicts;
  uint16_t count = 0;
};

// A worker's share of a port. A worker without a queue hands frames to an owner of one.
struct WorkerPort {
  uint16_t rx_queue = none16;       // none16: does not receive from this port
  uint16_t tx_queue = none16;       // none16: sends through handoff_out
  rte_ring* handoff_out = nullptr;  // multi-producer ring of the worker that owns a queue
  rte_ring* handoff_in = nullptr;   // frames that others send through our queue
  const RssTable* rss = nullptr;    // how the port spreads flows over queues; null: unknown
  bool present = false;
  bool has_twin = false;
  TxBuffer tx;
};

// First packets of flows whose backend is chosen and whose connection is about to be made: those of
// one burst wait for each other, so that what they need of the table comes from memory together.
struct Packet;
struct FlowStart {
  Packet* packet;
  const ServiceBlock* service;
  uint32_t backend_id;
  bool counted = false;  // as a live connection of its backend
  ReplyTuple reply{};    // FULLNAT: with the first of the local addresses
};
struct FlowStarts {
  std::array<FlowStart, burst_frames> list;
  uint32_t count = 0;
  const ServiceBlock* service = nullptr;  // of the latest flow: most are to the same one
  uint64_t hashes = 0;  // a bit of each flow's hash: most flows that are not here are told at once
};

// What a worker asks of control: a neighbour's MAC.
struct NeighbourRequest {
  net::IpAddress address;
  uint8_t reserved = 0;
  uint16_t interface = none16;
};
static_assert(sizeof(NeighbourRequest) == 20);  // rte_ring elements are multiples of four

struct Worker;

struct WorkerOptions {
  uint32_t id = 0;
  uint32_t worker_count = 1;
  uint64_t seed = 1;
  bool adaptive = false;
  Tick start_tick = first_tick;
};

// What several workers share; the pointers outlive the workers.
struct SharedState {
  RegionView region;
  const SnapshotCell* published = nullptr;
  ConnTable* connections = nullptr;
  GracePeriod* grace = nullptr;
  std::vector<CounterRows> counters;  // by worker
  std::vector<Worker*> workers;       // by worker; filled before the first turn
  SchedulerLimits scheduler_limits{};
  std::unique_ptr<LocalityTable> locality;  // null: lblc and lblcr remember nothing
  std::span<ServiceShared> services;        // by service id
  rte_mempool* mempool = nullptr;           // for packets of our own
  rte_ring* neighbour_requests = nullptr;   // NeighbourRequest elements, to control
  // Control's: there are probes through the data path, so that what comes to the host from a VIP of
  // ours may be an answer to one.
  std::atomic<bool> probing{false};
};

struct AlignedDelete {
  void operator()(std::byte* memory) const noexcept;
};

struct Worker {
  Worker(const WorkerOptions& options, SharedState& shared_state);

  WorkerOptions options;
  SharedState& shared;
  RegionView region;
  ConnTable& connections;
  CounterRows counters;
  const SnapshotRoot* root = nullptr;  // of this turn
  Moment now;
  std::array<WorkerPort, max_ports> ports{};   // by DPDK port id
  std::array<uint16_t, max_ports> port_ids{};  // those that are present
  uint16_t port_count = 0;
  ExceptionRings exception;  // to and from the exception thread
  TimerWheel wheel;
  FlowStarts starts;  // of the burst at hand
  HoldQueue held;
  ExhaustedPairs exhausted_pairs;
  Sweep sweep;
  std::unique_ptr<std::byte[], AlignedDelete> scheduler_memory;
  Scheduler scheduler;
  TokenBucket rst_bucket;
  TokenBucket icmp_bucket;
  TokenBucket answer_bucket;
  TokenBucket echo_bucket;
  TokenBucket control_bucket;
  // route_to()'s answer where the snapshot has no row.
  std::unique_ptr<NextHop> unknown_neighbour = std::make_unique<NextHop>();
  uint64_t random_state;
  uint16_t ip_id = 0;  // IPv4 id of packets of our own that may be fragmented
  uint64_t last_hold_sweep_ns = 0;
  // This turn: so many half-open connections that they give way sooner; and so many that no more
  // are made.
  bool embryonic_pressure = false;
  bool embryonic_full = false;

  // Before the first turn: the port with this id, to be filled.
  WorkerPort& add_port(uint16_t id) noexcept {
    if (!ports[id].present) port_ids[port_count++] = id;
    ports[id].present = true;
    return ports[id];
  }
  [[nodiscard]] std::span<const uint16_t> present_ports() const noexcept {
    return {port_ids.data(), port_count};
  }

  [[nodiscard]] uint64_t random() noexcept {  // xorshift64*
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dULL;
  }
  void count(Verdict verdict, uint64_t n = 1) noexcept {
    counters.worker->verdicts[static_cast<uint32_t>(verdict)].add(n);
  }
  [[nodiscard]] const Interface& interface(uint16_t index) const noexcept {
    return region.element(root->interfaces, index);
  }
  [[nodiscard]] const NextHop& next_hop(uint32_t index) const noexcept {
    return region.element(root->next_hops, index);
  }
};

// One turn: takes the newest snapshot, receives a burst from every queue, runs the pipeline, sends,
// advances timers and reports quiescence. Returns the number of frames it found.
uint32_t worker_turn(Worker& worker, Moment now) noexcept;

// The moment of a daemon that started at `start_ns` of the monotonic clock.
[[nodiscard]] Moment moment_now(uint64_t start_ns) noexcept;

// Turns until `stop`; sleeps between them when options.adaptive and rings stay empty.
void worker_run(Worker& worker, uint64_t start_ns, const std::atomic<bool>& stop) noexcept;

}  // namespace headgate::dataplane
