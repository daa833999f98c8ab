#include "control/worker_set.h"

#include <future>
#include <utility>

#include <fmt/format.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <sys/prctl.h>

#include "dataplane/region_layout.h"

namespace headgate::control {
namespace {

constexpr unsigned request_ring_entries = 1024;
constexpr unsigned hand_off_frames = 1024;

// Without this the kernel rounds an adaptive worker's naps up by 50 µs.
constexpr unsigned long timer_slack_ns = 1;

// What one worker's thread does from its start to its end.
void run_worker(dataplane::Worker& worker, const WorkerSetOptions& options,
                const std::atomic<bool>& stop, std::promise<std::optional<Error>> started) {
  const uint16_t core = options.cores[worker.options.id];
  auto registered =
      dataplane::RegisteredThread::enter(fmt::format("worker{}", worker.options.id), core);
  if (!registered) {
    started.set_value(Error{registered.error().text()});
    return;
  }
  prctl(PR_SET_TIMERSLACK, timer_slack_ns);
  started.set_value(std::nullopt);
  dataplane::worker_run(worker, options.start_ns, stop);
}

void free_frames(rte_ring* ring) noexcept {
  void* frame = nullptr;
  while (rte_ring_dequeue(ring, &frame) == 0)
    rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
}

}  // namespace

void WorkerSet::RingDeleter::operator()(rte_ring* ring) const noexcept {
  rte_ring_free(ring);
}

std::expected<std::unique_ptr<WorkerSet>, Error> WorkerSet::create(
    dataplane::RegionView region, dataplane::ConnTable& connections, dataplane::GracePeriod& grace,
    const PortSet& ports, const WorkerSetOptions& options) {
  std::unique_ptr<WorkerSet> set(new WorkerSet(ports, options));
  const dataplane::RegionHeader& header = dataplane::header_of(region);
  dataplane::SharedState& shared = set->shared_;
  shared.region = region;
  shared.published = &header.published;
  shared.connections = &connections;
  shared.grace = &grace;
  shared.services = dataplane::service_shared(region);
  shared.mempool = ports.pool();
  shared.scheduler_limits = {header.limits.max_services, header.limits.max_backends};
  shared.locality = std::make_unique<dataplane::LocalityTable>(options.seed);
  for (uint32_t i = 0; i < options.cores.size(); ++i) {
    shared.counters.push_back(dataplane::counter_rows(region, i));
  }
  if (auto made = set->make_rings(); !made) return std::unexpected(made.error());
  set->make_workers();
  for (size_t port = 0; port < ports.ports().size(); ++port)
    set->connect_port(port);
  for (size_t port = 0; port < ports.ports().size(); ++port) {
    const auto& shares = ports.plan().ports[port].workers;
    for (const dataplane::QueueShare& share : shares) {
      if (share.tx_queue != dataplane::no_queue) continue;
      if (auto made = set->make_hand_off(port, share.tx_owner); !made) {
        return std::unexpected(made.error());
      }
    }
  }
  return set;
}

WorkerSet::~WorkerSet() {
  stop();
  for (const RingPtr& ring : hand_off_)
    free_frames(ring.get());
}

std::expected<void, Error> WorkerSet::make_rings() {
  requests_.reset(rte_ring_create_elem("neighbour_requests", sizeof(dataplane::NeighbourRequest),
                                       request_ring_entries, SOCKET_ID_ANY, RING_F_SC_DEQ));
  if (requests_ == nullptr) return std::unexpected(Error{"no memory for the neighbour ring"});
  shared_.neighbour_requests = requests_.get();
  for (size_t i = 0; i < options_.cores.size(); ++i) {
    auto rings = dataplane::make_exception_rings(static_cast<uint16_t>(i), SOCKET_ID_ANY);
    if (!rings) return std::unexpected(Error{rings.error().text()});
    rings_.push_back(std::move(*rings));
  }
  return {};
}

void WorkerSet::make_workers() {
  for (uint32_t i = 0; i < options_.cores.size(); ++i) {
    dataplane::WorkerOptions worker;
    worker.id = i;
    worker.worker_count = static_cast<uint32_t>(options_.cores.size());
    worker.seed = options_.seed + i * 0x9e3779b97f4a7c15ULL;
    worker.adaptive = options_.adaptive;
    worker.start_tick = now();
    workers_.push_back(std::make_unique<dataplane::Worker>(worker, shared_));
    workers_.back()->exception = *rings_[i];
    shared_.workers.push_back(workers_.back().get());
  }
}

void WorkerSet::connect_port(size_t port) {
  const PortEntry& entry = ports_.ports()[port];
  const auto& shares = ports_.plan().ports[port].workers;
  for (size_t i = 0; i < workers_.size(); ++i) {
    dataplane::WorkerPort& mine = workers_[i]->add_port(entry.port->id());
    mine.rx_queue = shares[i].rx_queue;
    mine.tx_queue = shares[i].tx_queue;
    mine.rss = entry.rss.get();
    mine.has_twin = entry.twin.has_value();
  }
}

// One ring for each owner of a queue that others send through.
std::expected<void, Error> WorkerSet::make_hand_off(size_t port, uint16_t owner) {
  const uint16_t id = ports_.ports()[port].port->id();
  dataplane::WorkerPort& owners = workers_[owner]->ports[id];
  if (owners.handoff_in == nullptr) {
    hand_off_.emplace_back(rte_ring_create(fmt::format("handoff{}_{}", id, owner).c_str(),
                                           hand_off_frames, SOCKET_ID_ANY, RING_F_SC_DEQ));
    if (hand_off_.back() == nullptr) return std::unexpected(Error{"no memory for a hand-off ring"});
    owners.handoff_in = hand_off_.back().get();
  }
  const auto& shares = ports_.plan().ports[port].workers;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const bool through_owner =
        shares[i].tx_queue == dataplane::no_queue && shares[i].tx_owner == owner;
    if (through_owner) workers_[i]->ports[id].handoff_out = owners.handoff_in;
  }
  return {};
}

std::expected<void, Error> WorkerSet::start() {
  dataplane::ExceptionOptions exception;
  exception.twins = ports_.twin_ports();
  for (const auto& rings : rings_)
    exception.workers.push_back(*rings);
  exception.pool = ports_.pool();
  auto thread = dataplane::ExceptionThread::start(std::move(exception));
  if (!thread) return std::unexpected(Error{thread.error().text()});
  exception_.emplace(std::move(*thread));
  for (const auto& worker : workers_) {
    std::promise<std::optional<Error>> started;
    std::future<std::optional<Error>> result = started.get_future();
    threads_.emplace_back(run_worker, std::ref(*worker), std::cref(options_), std::cref(stop_),
                          std::move(started));
    if (std::optional<Error> error = result.get()) {
      stop();
      return std::unexpected(*error);
    }
  }
  return {};
}

void WorkerSet::stop() {
  stop_.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads_)
    thread.join();
  threads_.clear();
  exception_.reset();
  for (const auto& worker : workers_) {
    worker->held.sweep([](const dataplane::HeldPacket& packet) noexcept {
      rte_pktmbuf_free(packet.mbuf);
      return true;
    });
  }
}

std::vector<dataplane::NeighbourRequest> WorkerSet::neighbour_requests() {
  std::vector<dataplane::NeighbourRequest> requests;
  dataplane::NeighbourRequest request;
  while (rte_ring_dequeue_elem(requests_.get(), &request, sizeof(request)) == 0) {
    requests.push_back(request);
  }
  return requests;
}

std::span<const dataplane::TwinCounters> WorkerSet::twin_counters() const {
  return exception_ ? exception_->counters() : std::span<const dataplane::TwinCounters>{};
}

void WorkerSet::set_probes(std::shared_ptr<const dataplane::ProbeTable> table) {
  if (!exception_) return;
  const bool probing = table != nullptr;
  exception_->set_probes(std::move(table));
  shared_.probing.store(probing, std::memory_order_relaxed);
}

const dataplane::ProbeCounters* WorkerSet::probe_counters() const {
  return exception_ ? &exception_->probe_counters() : nullptr;
}

dataplane::Tick WorkerSet::now() const {
  return dataplane::moment_now(options_.start_ns).tick;
}

}  // namespace headgate::control
