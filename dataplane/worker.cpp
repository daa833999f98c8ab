#include "dataplane/worker.h"

#include <new>
#include <time.h>

#include <rte_ethdev.h>

#include "dataplane/forward.h"
#include "dataplane/lifetime.h"
#include "dataplane/output.h"
#include "dataplane/parse.h"
#include "dataplane/pipeline.h"

namespace headgate::dataplane {
namespace {

constexpr std::align_val_t line{64};
constexpr uint64_t ns_per_second = 1'000'000'000;
// Entries that one turn of the loop looks at: a flood of expiries must not hold up packets.
constexpr uint32_t timer_budget = 256;
constexpr uint64_t hold_sweep_ns = 10'000'000;

// Back-off of an idle adaptive worker: it spins through this many empty turns, then sleeps, longer
// the longer nothing came, so that a first packet waits for tens of microseconds at most.
constexpr uint32_t spin_turns = 200;
constexpr long shortest_sleep_ns = 5'000;
constexpr long longest_sleep_ns = 50'000;

std::unique_ptr<std::byte[], AlignedDelete> aligned_memory(size_t bytes) {
  auto* memory = static_cast<std::byte*>(::operator new(bytes, line));
  std::fill_n(memory, bytes, std::byte{0});
  return std::unique_ptr<std::byte[], AlignedDelete>(memory);
}

uint64_t monotonic_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);  // vDSO: no system call
  return static_cast<uint64_t>(now.tv_sec) * ns_per_second + static_cast<uint64_t>(now.tv_nsec);
}

uint32_t receive(Worker& worker) noexcept {
  uint32_t found = 0;
  for (const uint16_t id : worker.present_ports()) {
    if (worker.ports[id].rx_queue == none16) continue;
    std::array<rte_mbuf*, burst_frames> frames;
    const uint16_t count =
        rte_eth_rx_burst(id, worker.ports[id].rx_queue, frames.data(), burst_frames);
    if (count == 0) continue;
    worker.counters.worker->received.add(count);
    process_burst(worker, id, {frames.data(), count});
    found += count;
  }
  return found;
}

// A health check's, by way of a backend: see probe_table.h.
void send_probe(Worker& worker, rte_mbuf* mbuf, uint32_t backend_id) noexcept {
  const BackendRow* backend = find_backend(worker.region, *worker.root, backend_id);
  Packet packet(mbuf);
  if (backend == nullptr || parse_ip(packet).kind != FrameKind::flow) {
    return drop(worker, mbuf, Verdict::drop_probe);
  }
  forward_probe(worker, packet, *backend);
}

// Frames that the kernel sends leave as they are, but for probes.
uint32_t send_for_kernel(Worker& worker) noexcept {
  if (worker.exception.from_twin == nullptr) return 0;
  std::array<rte_mbuf*, burst_frames> frames;
  const unsigned count = rte_ring_sc_dequeue_burst(
      worker.exception.from_twin, reinterpret_cast<void**>(frames.data()), burst_frames, nullptr);
  worker.counters.worker->from_twin.add(count);
  for (unsigned i = 0; i < count; ++i) {
    const uint32_t backend_id = frames[i]->hash.usr;
    if (backend_id != 0) {
      send_probe(worker, frames[i], backend_id);
    } else {
      transmit_frame(worker, frames[i], frames[i]->port, Verdict::sent_from_twin);
    }
  }
  return count;
}

void take_snapshot(Worker& worker) noexcept {
  const SnapshotRoot* root = worker.shared.published->load(worker.region);
  if (root == worker.root) return;
  worker.root = root;
  worker.last_hold_sweep_ns = 0;
}

void sleep_for(long ns) noexcept {
  const timespec pause{0, ns};
  nanosleep(&pause, nullptr);
}

}  // namespace

void AlignedDelete::operator()(std::byte* memory) const noexcept {
  ::operator delete(memory, line);
}

Worker::Worker(const WorkerOptions& worker_options, SharedState& shared_state)
    : options(worker_options),
      shared(shared_state),
      region(shared_state.region),
      connections(*shared_state.connections),
      counters(shared_state.counters[worker_options.id]),
      wheel(*shared_state.connections, worker_options.id, worker_options.start_tick),
      scheduler_memory(aligned_memory(Scheduler::bytes_needed(shared_state.scheduler_limits))),
      scheduler(shared_state.scheduler_limits,
                {scheduler_memory.get(), Scheduler::bytes_needed(shared_state.scheduler_limits)},
                shared_state.counters, worker_options.id, shared_state.locality.get()),
      random_state(worker_options.seed | 1) {}

uint32_t worker_turn(Worker& worker, Moment now) noexcept {
  worker.now = now;
  take_snapshot(worker);
  uint32_t found = 0;
  if (worker.root != nullptr) {
    const uint64_t embryonic = worker.connections.embryonic();
    worker.embryonic_pressure = embryonic >= worker.root->settings.embryonic_pressure;
    worker.embryonic_full = embryonic >= worker.root->settings.embryonic_limit;
    found += receive(worker);
    found += send_for_kernel(worker);
    if (now.ns - worker.last_hold_sweep_ns >= hold_sweep_ns) {
      release_held(worker);
      worker.last_hold_sweep_ns = now.ns;
    }
    worker.wheel.advance(now.tick, timer_budget, [&worker](ConnRef ref) noexcept {
      return look_at_connection(worker, ref);
    });
    sweep_entries(worker);
    flush_transmit(worker);
    send_handed_off(worker);
    worker.counters.worker->set_generation(worker.root->generation);
  }
  worker.connections.reclaim(worker.options.id);
  worker.shared.grace->quiescent(worker.options.id);
  worker.counters.worker->polls.add(1);
  if (found != 0) worker.counters.worker->busy_polls.add(1);
  return found;
}

Moment moment_now(uint64_t start_ns) noexcept {
  const uint64_t ns = monotonic_ns();
  const uint64_t ticks = (ns - start_ns) / (ns_per_second / ticks_per_second);
  return {ns, static_cast<Tick>(ticks) + first_tick};
}

void worker_run(Worker& worker, uint64_t start_ns, const std::atomic<bool>& stop) noexcept {
  GracePeriod& grace = *worker.shared.grace;
  uint32_t idle_turns = 0;
  long pause_ns = shortest_sleep_ns;
  grace.online(worker.options.id);
  while (!stop.load(std::memory_order_relaxed)) {
    if (worker_turn(worker, moment_now(start_ns)) != 0) {
      idle_turns = 0;
      pause_ns = shortest_sleep_ns;
    } else if (worker.options.adaptive && ++idle_turns > spin_turns) {
      worker.root = nullptr;  // offline: whatever it pointed to may go
      grace.offline(worker.options.id);
      sleep_for(pause_ns);
      grace.online(worker.options.id);
      worker.counters.worker->sleeps.add(1);
      pause_ns = std::min(pause_ns * 2, longest_sleep_ns);
    }
  }
  flush_transmit(worker);
  grace.offline(worker.options.id);
}

}  // namespace headgate::dataplane
