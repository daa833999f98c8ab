#include "tests/packet/rig.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "tests/packet/checked_pool.h"

namespace headgate::tests {
namespace {

using namespace headgate::dataplane;

constexpr unsigned pool_mbufs = 4095;
constexpr unsigned ring_frames = 1024;
constexpr uint64_t ns_per_tick = 1'000'000'000 / ticks_per_second;
static_assert(start_ns % ns_per_tick == 0);

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "rig: %s\n", what.c_str());
  std::exit(2);
}

// Names of rings, pools and ports are unique in the process.
std::string new_name(const char* what) {
  static int number = 0;
  return fmt::format("{}{}", what, ++number);
}

rte_ring* make_ring(uint32_t frames) {
  rte_ring* ring = rte_ring_create(new_name("ring").c_str(), frames, 0, RING_F_EXACT_SZ);
  if (ring == nullptr) fail("no ring");
  return ring;
}

rte_mempool* make_pool(unsigned mbufs) {
  rte_mempool* pool = make_checked_pool(new_name("pool"), mbufs);
  if (pool == nullptr) fail("no mbuf pool");
  return pool;
}

void free_ring(rte_ring* ring) {
  void* mbuf = nullptr;
  while (rte_ring_dequeue(ring, &mbuf) == 0)
    rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
  rte_ring_free(ring);
}

std::vector<uint8_t> bytes_of(const rte_mbuf* mbuf) {
  std::vector<uint8_t> bytes(mbuf->pkt_len);
  auto at = bytes.begin();
  for (const rte_mbuf* segment = mbuf; segment != nullptr; segment = segment->next) {
    at = std::copy_n(rte_pktmbuf_mtod(segment, const uint8_t*), segment->data_len, at);
  }
  return bytes;
}

// The bytes behind a frame are poisoned, so that a look beyond what was received is caught; only
// what is extended in place keeps its room: the answer to a neighbour solicitation is eight bytes
// longer than the shortest question.
constexpr uint32_t solicitation_growth = 8;

bool holds_solicitation(const std::vector<uint8_t>& frame) {
  for (const size_t l2 : {size_t{14}, size_t{18}}) {
    if (frame.size() <= l2 + 40) continue;
    const bool is_ipv6 = frame[l2 - 2] == 0x86 && frame[l2 - 1] == 0xdd;
    if (is_ipv6 && frame[l2 + 6] == 58 && frame[l2 + 40] == 135) return true;
  }
  return false;
}

}  // namespace

void start_dpdk_for_tests() {
  static std::array<char, 16> program{"headgate-test"};
  static std::array<char, 16> no_huge{"--no-huge"};
  static std::array<char, 16> no_pci{"--no-pci"};
  static std::array<char, 16> no_files{"--no-shconf"};
  static std::array<char, 16> memory{"-m"};
  static std::array<char, 16> megabytes{"256"};
  static std::array<char, 16> quiet{"--log-level=4"};
  static std::array<char, 16> no_telemetry{"--no-telemetry"};
  std::array<char*, 8> arguments{program.data(),  no_huge.data(),     no_pci.data(),
                                 no_files.data(), memory.data(),      megabytes.data(),
                                 quiet.data(),    no_telemetry.data()};
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
    fail("DPDK does not start");
  }
  // Empty, as nothing is shared; where somebody else uses it, it stays.
  rmdir(rte_eal_get_runtime_dir());
}

Rig::Rig(const RigOptions& options)
    : options_(options), pool_(make_pool(pool_mbufs)), own_pool_(make_pool(options.own_mbufs)) {
  set_time(start_ns);
  if (RssTable::usable(options.rss_key, options.rss_table)) {
    rss_ = std::make_unique<RssTable>(options.rss_key, options.rss_table);
  }
  for (const RigPort& port : options.ports)
    make_port(port);
  WorldOptions world;
  world.workers = options.workers;
  world.capacity_v4 = options.capacity_v4;
  world.capacity_v6 = options.capacity_v6;
  world.start_tick = options.start_tick;
  world.twin_frames = options.twin_frames;
  world.own_pool = own_pool_;
  world.interfaces = interfaces();
  world_ = std::make_unique<World>(world);
  for (const auto& worker : world_->workers) {
    for (Port& port : ports_)
      attach_port(*worker, port);
  }
}

Rig::~Rig() {
  if (const uint32_t lost = shut_down(); lost != 0) fail(fmt::format("{} buffers lost", lost));
}

uint32_t Rig::shut_down() {
  if (pool_ == nullptr) return 0;
  world_.reset();
  for (const Port& port : ports_) {
    rte_eth_dev_stop(port.id);
    rte_eth_dev_close(port.id);
    for (const Queue& queue : port.queues) {
      free_ring(queue.rx);
      free_ring(queue.tx);
      free_ring(queue.handoff);
    }
  }
  const uint32_t lost = free_checked_pool(pool_) + free_checked_pool(own_pool_);
  pool_ = nullptr;
  return lost;
}

void Rig::make_port(const RigPort& options) {
  Port port{0, options, {}};
  const uint16_t count =
      options.queues == 0 ? static_cast<uint16_t>(options_.workers) : options.queues;
  std::vector<rte_ring*> rx;
  std::vector<rte_ring*> tx;
  for (uint16_t q = 0; q < count; ++q) {
    port.queues.push_back(
        {make_ring(ring_frames), make_ring(options_.tx_frames), make_ring(options_.tx_frames)});
    rx.push_back(port.queues.back().rx);
    tx.push_back(port.queues.back().tx);
  }
  const int id =
      rte_eth_from_rings(new_name("port").c_str(), rx.data(), count, tx.data(), count, 0);
  if (id < 0) fail("no ring port");
  port.id = static_cast<uint16_t>(id);
  const rte_eth_conf conf{};
  if (rte_eth_dev_configure(port.id, count, count, &conf) != 0) fail("port not configured");
  for (uint16_t q = 0; q < count; ++q) {
    if (rte_eth_rx_queue_setup(port.id, q, ring_frames, 0, nullptr, pool_) != 0 ||
        rte_eth_tx_queue_setup(port.id, q, ring_frames, 0, nullptr) != 0) {
      fail("no queue");
    }
  }
  if (rte_eth_dev_start(port.id) != 0) fail("port not started");
  ports_.push_back(std::move(port));
}

std::vector<Interface> Rig::interfaces() const {
  std::vector<Interface> list;
  for (const RigInterface& place : options_.interfaces) {
    Interface interface{};
    interface.port = ports_[place.port].id;
    interface.vlan = place.vlan;
    interface.mtu = 1500;
    list.push_back(interface);
  }
  return list;
}

void Rig::attach_port(Worker& worker, Port& port) {
  const uint32_t id = worker.options.id;
  const auto count = static_cast<uint32_t>(port.queues.size());
  WorkerPort& mine = worker.add_port(port.id);
  mine.rss = rss_.get();
  mine.has_twin = port.options.has_twin;
  if (id < count) {
    mine.rx_queue = static_cast<uint16_t>(id);
    mine.tx_queue = static_cast<uint16_t>(id);
    mine.handoff_in = port.queues[id].handoff;
  } else {
    mine.handoff_out = port.queues[id % count].handoff;
  }
}

std::expected<uint64_t, std::string> Rig::apply(const config::Config& config,
                                                const control::KernelState& kernel) {
  auto generation = world_->apply(config, kernel, now_.tick);
  if (!generation) return generation;
  turn_all();
  world_->store->poll();
  return generation;
}

std::expected<uint64_t, std::string> Rig::set_ownership(control::Ownership ownership) {
  auto generation = world_->builder->set_ownership(std::move(ownership));
  if (!generation) return std::unexpected(generation.error().text);
  turn_all();
  world_->store->poll();
  return *generation;
}

Output Rig::settle(uint32_t turns) {
  Output output;
  for (uint32_t i = 0; i < turns; ++i) {
    turn_all();
    collect(output);
  }
  return output;
}

void Rig::reclaim() {
  for (int looks = 0; looks < 4 && !world_->builder->reclaimable(); ++looks)
    turn_all();
  control::SnapshotChange change;
  change.reclaim = true;
  change.now = now_.tick;
  if (!world_->builder->apply(change)) fail("ids are not given back");
  turn_all();
  world_->store->poll();
}

void Rig::turn(uint32_t worker) {
  worker_turn(*world_->workers[worker], now_);
}

void Rig::turn_all() {
  for (uint32_t i = 0; i < options_.workers; ++i)
    turn(i);
}

rte_mbuf* Rig::mbuf_of(const Frame& frame) {
  std::vector<uint16_t> lengths = frame.segments;
  if (lengths.empty()) lengths.push_back(static_cast<uint16_t>(frame.bytes.size()));
  rte_mbuf* first = nullptr;
  auto at = frame.bytes.begin();
  for (const uint16_t length : lengths) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    if (mbuf == nullptr) fail("no mbuf left: a leak?");
    char* bytes = rte_pktmbuf_append(mbuf, length);
    if (bytes == nullptr || frame.bytes.end() - at < length) fail("frame does not fit its buffers");
    std::copy_n(at, length, bytes);
    at += length;
    close_buffer(mbuf, holds_solicitation(frame.bytes) ? solicitation_growth : 0);
    if (first == nullptr) {
      first = mbuf;
    } else if (rte_pktmbuf_chain(first, mbuf) != 0) {
      fail("too many buffers");
    }
  }
  first->ol_flags = frame.flags;
  return first;
}

Output Rig::inject(uint16_t port, const std::vector<Frame>& frames, uint32_t worker) {
  Output output;
  rte_ring* queue = ports_[port].queues.at(worker).rx;
  for (const Frame& frame : frames) {
    if (rte_ring_full(queue) == 1) {
      turn(worker);
      collect(output);
    }
    if (rte_ring_enqueue(queue, mbuf_of(frame)) != 0) fail("ring full");
  }
  do {
    turn(worker);
    collect(output);
  } while (rte_ring_count(queue) != 0);
  return output;
}

Output Rig::inject_from_twin(uint16_t port, const Frame& frame, uint32_t worker,
                             uint32_t backend_id) {
  rte_mbuf* mbuf = mbuf_of(frame);
  mbuf->port = ports_[port].id;
  mbuf->hash.usr = backend_id;
  if (rte_ring_enqueue(world_->workers[worker]->exception.from_twin, mbuf) != 0) fail("ring full");
  Output output;
  turn(worker);
  collect(output);
  return output;
}

void Rig::set_time(uint64_t ns) {
  now_.ns = ns;
  now_.tick = options_.start_tick + static_cast<Tick>((ns - start_ns) / ns_per_tick);
}

Output Rig::advance_ms(uint64_t ms) {
  Output output;
  const uint64_t end = now_.ns + ms * 1'000'000;
  while (now_.ns < end) {
    set_time(std::min(end, now_.ns - now_.ns % ns_per_tick + ns_per_tick));
    turn_all();
    collect(output);
  }
  world_->store->poll();
  return output;
}

Output Rig::jump_ms(uint64_t ms) {
  Output output;
  set_time(now_.ns + ms * 1'000'000);
  const auto is_late = [this](const auto& worker) {
    return worker->wheel.late_ticks(now_.tick) > 0;
  };
  do {
    turn_all();
    collect(output);
  } while (std::ranges::any_of(world_->workers, is_late));
  turn_all();
  world_->store->poll();
  return output;
}

void Rig::collect(Output& output) {
  for (uint32_t i = 0; i < options_.workers; ++i) {
    const auto waits = [&](const Port& port) {
      const WorkerPort& mine = world_->workers[i]->ports[port.id];
      return mine.handoff_in != nullptr && rte_ring_count(mine.handoff_in) != 0;
    };
    if (std::ranges::any_of(ports_, waits)) turn(i);
  }
  void* entry = nullptr;
  for (size_t p = 0; p < ports_.size(); ++p) {
    for (const Queue& queue : ports_[p].queues) {
      while (rte_ring_dequeue(queue.tx, &entry) == 0) {
        auto* mbuf = static_cast<rte_mbuf*>(entry);
        output.sent.push_back({static_cast<uint16_t>(p), bytes_of(mbuf)});
        rte_pktmbuf_free(mbuf);
      }
    }
  }
  for (const auto& worker : world_->workers) {
    for (uint32_t c = 0; c < twin_class_count; ++c) {
      while (rte_ring_dequeue(worker->exception.to_twin[c], &entry) == 0) {
        auto* mbuf = static_cast<rte_mbuf*>(entry);
        const auto port = std::ranges::find(ports_, mbuf->port, &Port::id) - ports_.begin();
        output.twin.push_back({static_cast<uint16_t>(port), static_cast<TwinClass>(c),
                               bytes_of(mbuf),
                               static_cast<TwinClass>(c) == TwinClass::probe ? mbuf->hash.usr : 0});
        rte_pktmbuf_free(mbuf);
      }
    }
  }
}

std::string Rig::sum_rule_violation() const {
  uint64_t in = 0;
  uint64_t out = 0;
  for (const CounterRows& rows : world_->shared.counters) {
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
  while (rte_ring_dequeue_elem(world_->shared.neighbour_requests, &request, sizeof(request)) == 0) {
    requests.push_back(request);
  }
  return requests;
}

uint32_t Rig::held() const {
  uint32_t count = 0;
  for (const auto& worker : world_->workers)
    count += worker->held.size();
  return count;
}

uint32_t Rig::lost_mbufs() const {
  uint32_t held = 0;  // a packet may lie in several
  for (const auto& worker : world_->workers) {
    worker->held.sweep([&held](const dataplane::HeldPacket& packet) noexcept {
      held += packet.mbuf->nb_segs;
      return false;
    });
  }
  return rte_mempool_in_use_count(pool_) + rte_mempool_in_use_count(own_pool_) - held;
}

}  // namespace headgate::tests
