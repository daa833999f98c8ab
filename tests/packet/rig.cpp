#include "tests/packet/rig.h"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "dataplane/region_layout.h"

namespace headgate::tests {
namespace {

using namespace headgate::dataplane;

constexpr uint32_t max_services = 256;
constexpr uint32_t max_backends = 1024;
constexpr uint64_t snapshot_bytes = 64 << 20;
constexpr unsigned pool_mbufs = 8191;
constexpr unsigned ring_frames = 1024;
constexpr uint64_t ns_per_tick = 1'000'000'000 / ticks_per_second;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "rig: %s\n", what.c_str());
  std::exit(2);
}

template <typename T, typename E>
T must(std::expected<T, E> value, const char* what) {
  if (!value) fail(what);
  return std::move(*value);
}

rte_ring* make_ring(const std::string& name) {
  rte_ring* ring = rte_ring_create(name.c_str(), ring_frames, 0, 0);
  if (ring == nullptr) fail("no ring " + name);
  return ring;
}

Frame bytes_of(rte_mbuf* mbuf) {
  Frame frame(mbuf->pkt_len);
  size_t at = 0;
  for (const rte_mbuf* segment = mbuf; segment != nullptr; segment = segment->next) {
    const auto* bytes = rte_pktmbuf_mtod(segment, const uint8_t*);
    std::copy_n(bytes, segment->data_len, frame.begin() + static_cast<ptrdiff_t>(at));
    at += segment->data_len;
  }
  return frame;
}

rte_mbuf* mbuf_of(rte_mempool* pool, const Frame& frame) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
  if (mbuf == nullptr) fail("no mbuf left: a leak?");
  char* bytes = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
  if (bytes == nullptr) fail("frame too long for an mbuf");
  std::copy(frame.begin(), frame.end(), bytes);
  return mbuf;
}

int rig_number = 0;  // names of rings and pools are unique in the process

}  // namespace

void start_dpdk_for_tests() {
  static std::array<char, 16> program{"headgate-test"};
  static std::array<char, 16> no_huge{"--no-huge"};
  static std::array<char, 16> no_pci{"--no-pci"};
  static std::array<char, 16> in_memory{"--in-memory"};
  static std::array<char, 16> memory{"-m"};
  static std::array<char, 16> megabytes{"128"};
  static std::array<char, 16> quiet{"--log-level=4"};
  static std::array<char, 16> no_telemetry{"--no-telemetry"};
  std::array<char*, 8> arguments{program.data(),   no_huge.data(),     no_pci.data(),
                                 in_memory.data(), memory.data(),      megabytes.data(),
                                 quiet.data(),     no_telemetry.data()};
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
    fail("DPDK does not start");
  }
}

Rig::Rig(const RigOptions& options) : options_(options) {
  ++rig_number;
  pool_ = rte_pktmbuf_pool_create(fmt::format("rig{}", rig_number).c_str(), pool_mbufs, 0, 0,
                                  RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  if (pool_ == nullptr) fail("no mbuf pool");
  const ConnTableLimits limits{.capacity4 = options.capacity_v4,
                               .capacity6 = options.capacity_v6,
                               .workers = options.workers,
                               .other_actors = 1};
  const RegionLimits region_limits{.workers = options.workers,
                                   .max_services = max_services,
                                   .max_backends = max_backends,
                                   .reserved = 0,
                                   .snapshot_bytes = snapshot_bytes,
                                   .connection_bytes = ConnTable::bytes_needed(limits)};
  memory_ = std::make_unique<control::RegionMemory>(
      must(control::RegionMemory::create(region_limits, control::RegionPages::plain), "no region"));
  grace_ = std::make_unique<GracePeriod>(options.workers + 1);
  const RegionHeader& header = memory_->header();
  connections_ = std::make_unique<ConnTable>(must(
      ConnTable::create({region().base() + header.connections.offset, header.connections.bytes},
                        limits, HashSeed{{1, 2, 3, 4, 5, 6, 7, 8}}, *grace_),
      "no connection table"));
  arena_ = std::make_unique<control::BlockArena>(region(), header.snapshot,
                                                 control::BlockArena::Freed::overwrite);
  store_ = std::make_unique<control::SnapshotStore>(region(), *arena_, *grace_);
  counters_ = std::make_unique<control::CounterView>(region());
  builder_ = std::make_unique<control::SnapshotBuilder>(region(), *arena_, *store_, *counters_);

  shared_.region = region();
  shared_.published = &memory_->header().published;
  shared_.connections = connections_.get();
  shared_.grace = grace_.get();
  shared_.services = service_shared(region());
  shared_.mempool = pool_;
  shared_.neighbour_requests = rte_ring_create_elem(fmt::format("asks{}", rig_number).c_str(),
                                                    sizeof(NeighbourRequest), ring_frames, 0, 0);
  shared_.scheduler_limits = {max_services, max_backends};
  for (uint32_t i = 0; i < options.workers; ++i) {
    shared_.counters.push_back(counter_rows(region(), i));
  }
  if (RssTable::usable(options.rss_key, options.rss_table)) {
    rss_ = std::make_unique<RssTable>(options.rss_key, options.rss_table);
  }
  make_ports();
  for (uint32_t i = 0; i < options.workers; ++i)
    make_worker(i);
}

Rig::~Rig() {
  workers_.clear();
  rings_.clear();
  for (const uint16_t id : port_ids_) {
    rte_eth_dev_stop(id);
    rte_eth_dev_close(id);
  }
  for (const auto& port : queues_) {
    for (const Queue& queue : port) {
      rte_ring_free(queue.rx);
      rte_ring_free(queue.tx);
    }
  }
  rte_ring_free(shared_.neighbour_requests);
  builder_.reset();
  store_.reset();
  rte_mempool_free(pool_);
}

void Rig::make_ports() {
  for (uint32_t p = 0; p < options_.ports; ++p) {
    std::vector<rte_ring*> rx;
    std::vector<rte_ring*> tx;
    queues_.emplace_back();
    for (uint32_t w = 0; w < options_.workers; ++w) {
      rx.push_back(make_ring(fmt::format("rx{}_{}_{}", rig_number, p, w)));
      tx.push_back(make_ring(fmt::format("tx{}_{}_{}", rig_number, p, w)));
      queues_.back().push_back({rx.back(), tx.back()});
    }
    const int id = rte_eth_from_rings(fmt::format("rig{}_{}", rig_number, p).c_str(), rx.data(),
                                      static_cast<unsigned>(rx.size()), tx.data(),
                                      static_cast<unsigned>(tx.size()), 0);
    if (id < 0) fail("no ring port");
    const auto port_id = static_cast<uint16_t>(id);
    const auto queues = static_cast<uint16_t>(options_.workers);
    const rte_eth_conf conf{};
    if (rte_eth_dev_configure(port_id, queues, queues, &conf) != 0) fail("port not configured");
    for (uint16_t q = 0; q < queues; ++q) {
      if (rte_eth_rx_queue_setup(port_id, q, ring_frames, 0, nullptr, pool_) != 0 ||
          rte_eth_tx_queue_setup(port_id, q, ring_frames, 0, nullptr) != 0) {
        fail("no queue");
      }
    }
    if (rte_eth_dev_start(port_id) != 0) fail("port not started");
    port_ids_.push_back(port_id);
  }
}

void Rig::make_worker(uint32_t id) {
  WorkerOptions worker_options;
  worker_options.id = id;
  worker_options.worker_count = options_.workers;
  worker_options.seed = id + 1;
  auto worker = std::make_unique<Worker>(worker_options, shared_);
  for (const uint16_t port_id : port_ids_) {
    WorkerPort& port = worker->ports[port_id];
    port.rx_queue = static_cast<uint16_t>(id);
    port.tx_queue = static_cast<uint16_t>(id);
    port.rss = rss_.get();
    port.present = true;
    port.has_twin = true;
  }
  rings_.push_back(
      must(make_exception_rings(static_cast<uint16_t>(rig_number * 16 + static_cast<int>(id)), 0),
           "no rings"));
  worker->exception = *rings_.back();
  shared_.workers.push_back(worker.get());
  grace_->online(id);
  workers_.push_back(std::move(worker));
}

std::expected<uint64_t, std::string> Rig::apply(const config::Config& config,
                                                const control::KernelState& kernel) {
  config_ = config;
  kernel_ = kernel;
  control::SnapshotChange change;
  change.config = &config_;
  change.settings = true;
  change.all_services = true;
  change.kernel = &kernel_;
  change.kernel_parts = {.links = true, .routes = true, .neighbours = true};
  change.now = now_.tick;
  auto generation = builder_->apply(change);
  if (!generation) return std::unexpected(generation.error().text());
  for (uint32_t i = 0; i < options_.workers; ++i)
    turn(i);
  store_->poll();
  return *generation;
}

void Rig::turn(uint32_t worker) {
  worker_turn(*workers_[worker], now_);
}

Output Rig::inject(uint16_t port, const std::vector<Frame>& frames, uint32_t worker) {
  Output output;
  for (const Frame& frame : frames) {
    if (rte_ring_enqueue(queues_[port][worker].rx, mbuf_of(pool_, frame)) != 0) fail("ring full");
  }
  while (rte_ring_count(queues_[port][worker].rx) != 0) {
    turn(worker);
    collect(output);
  }
  return output;
}

Output Rig::inject_from_twin(uint16_t port, const Frame& frame, uint32_t worker) {
  rte_mbuf* mbuf = mbuf_of(pool_, frame);
  mbuf->port = port_ids_[port];
  if (rte_ring_enqueue(workers_[worker]->exception.from_twin, mbuf) != 0) fail("ring full");
  Output output;
  turn(worker);
  collect(output);
  return output;
}

Output Rig::advance_ms(uint64_t ms) {
  Output output;
  const uint64_t end = now_.ns + ms * 1'000'000;
  while (now_.ns < end) {
    now_.ns += ns_per_tick;
    ++now_.tick;
    for (uint32_t i = 0; i < options_.workers; ++i)
      turn(i);
    collect(output);
  }
  store_->poll();
  return output;
}

void Rig::collect(Output& output) {
  void* entry = nullptr;
  for (uint16_t p = 0; p < queues_.size(); ++p) {
    for (const Queue& queue : queues_[p]) {
      while (rte_ring_dequeue(queue.tx, &entry) == 0) {
        auto* mbuf = static_cast<rte_mbuf*>(entry);
        output.sent.push_back({p, bytes_of(mbuf)});
        rte_pktmbuf_free(mbuf);
      }
    }
  }
  for (const auto& worker : workers_) {
    for (uint32_t c = 0; c < twin_class_count; ++c) {
      while (rte_ring_dequeue(worker->exception.to_twin[c], &entry) == 0) {
        auto* mbuf = static_cast<rte_mbuf*>(entry);
        const auto port = static_cast<uint16_t>(mbuf->port - port_ids_.front());
        output.twin.push_back({port, static_cast<TwinClass>(c), bytes_of(mbuf)});
        rte_pktmbuf_free(mbuf);
      }
    }
  }
}

std::string Rig::sum_rule_violation() const {
  uint64_t in = 0;
  uint64_t out = 0;
  for (const CounterRows& rows : shared_.counters) {
    const WorkerCounters& row = *rows.worker;
    in += row.received.get() + row.from_twin.get() + row.originated.get() + row.released.get();
    for (const Counter& verdict : row.verdicts)
      out += verdict.get();
  }
  return in == out ? std::string{} : fmt::format("{} packets came in, {} verdicts", in, out);
}

std::vector<NeighbourRequest> Rig::neighbour_requests() {
  std::vector<NeighbourRequest> requests;
  NeighbourRequest request;
  while (rte_ring_dequeue_elem(shared_.neighbour_requests, &request, sizeof(request)) == 0) {
    requests.push_back(request);
  }
  return requests;
}

}  // namespace headgate::tests
