#include "tests/bench/bed.h"

#include <cstdio>
#include <cstdlib>
#include <time.h>

#include <fmt/format.h>

#include "config/reader.h"

namespace headgate::bench {
namespace {

using dataplane::Verdict;
using dataplane::VerdictKind;

constexpr uint16_t vport = 80;
constexpr uint16_t backend_port = 8080;
constexpr uint64_t batch_flows = 4096;  // set up at once: few are half-open at any time
constexpr uint32_t outer_ipv4_bytes = 20;
constexpr std::array<uint16_t, 3> imix_bytes{60, 590, 1514};  // without the FCS
constexpr std::array<uint8_t, 12> imix_order{0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(2);
}

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

net::IpAddress ip(const std::string& text) {
  return net::parse_ip(text).value();
}
net::MacAddress mac(const char* text) {
  return net::parse_mac(text).value();
}

std::string backend_address(bool v6, uint32_t i) {
  const uint32_t number = i + 11;
  return v6 ? fmt::format("fd00:2::{:x}:{:x}", number >> 16, number & 0xffff)
            : fmt::format("10.2.{}.{}", number >> 8, number & 255);
}
std::string vip_of(bool v6, uint32_t service) {
  return v6 ? fmt::format("2001:db8:9::{:x}", service + 1)
            : fmt::format("192.0.{}.{}", 2 + service / 250, service % 250 + 1);
}

void add_route(control::KernelState& state, const char* to, uint16_t interface,
               const net::IpAddress& gateway) {
  control::KernelRoute route;
  route.prefix = net::parse_prefix(to).value();
  route.hops.push_back({interface, gateway, 1});
  state.routes.push_back(route);
}

control::KernelState kernel(bool v6, uint32_t backends) {
  control::KernelState state;
  state.interfaces = {{"clients", 2, mac("02:00:00:00:0d:01"), 1500, true},
                      {"servers", 3, mac("02:00:00:00:0d:02"), 1600, true}};
  const auto prefix = [](const char* text) { return net::parse_prefix(text).value(); };
  state.addresses = {{0, prefix("10.1.0.1/24"), false, false},
                     {0, prefix("fd00:1::1/64"), false, false},
                     {1, prefix("10.2.0.1/16"), false, false},
                     {1, prefix("fd00:2::1/64"), false, false}};
  add_route(state, "10.1.0.0/24", 0, {});
  add_route(state, "fd00:1::/64", 0, {});
  add_route(state, "10.2.0.0/16", 1, {});
  add_route(state, "fd00:2::/64", 1, {});
  add_route(state, "0.0.0.0/0", 0, ip("10.1.0.254"));
  add_route(state, "::/0", 0, ip("fd00:1::fe"));
  for (const char* gateway : {"10.1.0.254", "fd00:1::fe"})
    state.neighbours.push_back({0, ip(gateway), mac("02:00:00:00:0c:01")});
  for (uint32_t i = 0; i < backends; ++i)
    state.neighbours.push_back({1, ip(backend_address(v6, i)), mac("02:00:00:00:0e:11")});
  std::ranges::sort(state.addresses);
  std::ranges::sort(state.routes);
  std::ranges::sort(state.neighbours);
  return state;
}

std::string backend_list(const BedOptions& options, uint32_t first, uint32_t count) {
  const bool with_port = options.mode == "nat" || options.mode == "fullnat";
  std::string list;
  for (uint32_t i = 0; i < count; ++i) {
    list += fmt::format(R"({}{{"address": "{}"{}}})", i == 0 ? "" : ", ",
                        backend_address(options.v6, first + i),
                        with_port ? fmt::format(R"(, "port": {})", backend_port) : "");
  }
  return list;
}

std::string service_text(const BedOptions& options, uint32_t service, uint32_t first_backend,
                         uint32_t backends) {
  return fmt::format(
      R"({{"address": "{}", "port": {}, "protocol": "{}", "mode": "{}", "scheduler": "rr",
           "backends": [{}]}})",
      vip_of(options.v6, service), vport, options.protocol, options.mode,
      backend_list(options, first_backend, backends));
}

std::string local_addresses(const BedOptions& options) {
  std::string list;
  for (uint32_t i = 0; i < options.local_addresses; ++i) {
    list += fmt::format(
        R"({}"{}")", i == 0 ? "" : ", ",
        options.v6 ? fmt::format("fd00:2:0:0:1::{:x}", i + 1) : fmt::format("10.2.200.{}", i + 1));
  }
  return list;
}

config::Config config_of(const BedOptions& options) {
  std::string services = service_text(options, 0, 0, options.backends);
  const uint32_t others = options.services - 1;
  uint32_t next = options.backends;
  for (uint32_t i = 0; i < others; ++i) {
    const uint32_t share = std::max(1U, (options.all_backends - options.backends) / others);
    services += ",\n" + service_text(options, i + 1, next, share);
    next += share;
  }
  std::string timeouts;
  if (options.timeout_s != 0) {
    timeouts =
        fmt::format(R"("timeouts": {{"udp_s": {0}, "tcp_syn_recv_s": {0}}},)", options.timeout_s);
  }
  const auto reading = config::read_text(
      fmt::format(R"({{"ports": [{{"name": "clients", "vdev": "net_ring0"}},
{{"name": "servers", "vdev": "net_ring1"}}],
"connections": {{"max_ipv4": {}, "max_ipv6": {}, "embryonic_percent": {}}},
"memory": {{"max_services": 65536, "max_backends": 65536}},
{} "forwarding": {{"local_addresses": [{}]}},
"services": [{}]}})",
                  options.capacity_v4, options.capacity_v6, options.timeout_s != 0 ? 100 : 25,
                  timeouts, local_addresses(options), services),
      "bench");
  if (!reading) fail(config::to_string(reading.error()));
  return reading->config;
}

}  // namespace

rte_mempool* make_bench_pool(uint32_t workers) {
  static int number = 0;
  rte_mempool* pool = rte_pktmbuf_pool_create(fmt::format("bench{}", ++number).c_str(),
                                              workers * (2 * descriptors + 2048) - 1, 256, 0,
                                              RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) fail("no memory for packet buffers");
  return pool;
}

Bed::Bed(const BedOptions& options, rte_mempool* pool, rte_mempool* own_pool)
    : options_(options), start_ns_(monotonic_ns()), config_(config_of(options)) {
  make_ports(pool);
  tests::WorldOptions world;
  world.workers = options.workers;
  world.capacity_v4 = options.capacity_v4;
  world.capacity_v6 = options.capacity_v6;
  world.max_services = std::max(64U, options.services);
  world.max_backends = std::max(256U, options.all_backends + options.backends);
  world.pages = options.pages;
  world.freed = control::BlockArena::Freed::keep;
  world.own_pool = own_pool;
  for (const uint16_t port : {client_port_, server_port_}) {
    dataplane::Interface interface{};
    interface.port = port;
    interface.mtu = 1500;
    world.interfaces.push_back(interface);
  }
  world_ = std::make_unique<tests::World>(world);
  for (uint32_t i = 0; i < options.workers; ++i) {
    for (const uint16_t port : {client_port_, server_port_}) {
      dataplane::WorkerPort& mine = world_->worker(i).add_port(port);
      mine.rx_queue = static_cast<uint16_t>(i);
      mine.tx_queue = static_cast<uint16_t>(i);
    }
  }
  const auto applied = world_->apply(
      config_, kernel(options.v6, std::max(options.backends, options.all_backends)), now().tick);
  if (!applied) fail(applied.error());
  requests_ = FrameWriter(shape(0x10));
  for (const uint16_t bytes : imix_bytes) {
    FlowShape of_size = shape(0x10);
    of_size.frame_bytes = std::max(of_size.frame_bytes, bytes);
    imix_.emplace_back(of_size);
  }
  openings_ = FrameWriter(shape(0x02));
  FlowShape flood = shape(0x02);
  flood.first_client = ip(options.v6 ? "2001:db8:77::8000:0" : "40.0.0.1");
  floods_ = FrameWriter(flood);
  FlowShape back = shape(0x10);
  back.destination_mac = mac("02:00:00:00:0d:02");
  back.source_mac = mac("02:00:00:00:0e:11");
  back.first_client = ip(backend_address(options.v6, 0));
  if (options.mode == "fullnat") {
    back.vip = ip(options.v6 ? "fd00:2:0:0:1::1" : "10.2.200.1");
  } else {
    back.vip = shape(0).first_client;
  }
  replies_ = FrameWriter(back);
}

void Bed::make_ports(rte_mempool* pool) {
  std::array<std::vector<Source*>, 2> sources;
  std::array<std::vector<Sink*>, 2> sinks;
  for (uint32_t i = 0; i < options_.workers; ++i) {
    clients_.push_back(std::make_unique<Source>(pool, i * 7919 + 17));
    servers_.push_back(std::make_unique<Source>(pool, i * 7919 + 4711));
    to_clients_.push_back(std::make_unique<Sink>());
    to_servers_.push_back(std::make_unique<Sink>());
    sources[0].push_back(clients_.back().get());
    sources[1].push_back(servers_.back().get());
    sinks[0].push_back(to_clients_.back().get());
    sinks[1].push_back(to_servers_.back().get());
  }
  static int number = 0;
  const std::string name = fmt::format("gen{}", ++number);
  if (options_.far_generator) {
    far_ends_.push_back(std::make_unique<FarEnd>(name + "c", pool, clients(0), to_clients(0)));
    far_ends_.push_back(std::make_unique<FarEnd>(name + "s", pool, servers(0), to_servers(0)));
    client_port_ = far_ends_[0]->port();
    server_port_ = far_ends_[1]->port();
  } else {
    client_port_ = make_generator_port(name + "c", pool, sources[0], sinks[0]);
    server_port_ = make_generator_port(name + "s", pool, sources[1], sinks[1]);
  }
}

Bed::~Bed() {
  world_.reset();
  if (!far_ends_.empty()) return;
  close_generator_port(client_port_);
  close_generator_port(server_port_);
}

void Bed::pump() {
  for (const auto& end : far_ends_)
    end->pump();
}

double Bed::full_pumps() const {
  const FarEnd& end = *far_ends_[0];
  return static_cast<double>(end.full_pumps()) / static_cast<double>(end.pumps());
}

// A turn with frames for it, whichever core they are made on later.
uint32_t Bed::step(uint32_t worker) {
  pump();
  return turn(worker);
}

FlowShape Bed::shape(uint8_t tcp_flags) const {
  FlowShape result;
  result.v6 = options_.v6;
  result.protocol = options_.protocol == "tcp" ? 6 : 17;
  result.tcp_flags = tcp_flags;
  result.frame_bytes = std::max<uint16_t>(options_.frame_bytes, options_.v6 ? 74 : 60);
  result.source_mac = mac("02:00:00:00:0c:01");
  result.destination_mac = mac("02:00:00:00:0d:01");
  result.vip = ip(vip_of(options_.v6, 0));
  result.vport = vport;
  result.first_client = ip(options_.v6 ? "2001:db8:77::1:0" : "20.0.0.1");
  return result;
}

void Bed::establish_on(uint32_t worker, uint64_t first, uint64_t flows,
                       std::vector<Learned>* learned) {
  std::vector<Learned> in_order;
  const uint32_t outer = options_.mode == "ipip" ? outer_ipv4_bytes : 0;
  for (uint64_t done = 0; done < flows; done += batch_flows) {
    const uint64_t count = std::min(batch_flows, flows - done);
    Traffic traffic{.choice = Choice::in_turn, .flows = count, .first_flow = first + done};
    for (const FrameWriter* writer : {&openings_, &requests_}) {
      traffic.writer = writer;
      const bool learns = learned != nullptr && writer == &openings_;
      if (learns) to_servers(worker).learn_into(&in_order, options_.v6, outer);
      clients(worker).set(traffic);
      const uint64_t until = clients(worker).made() + count;
      while (clients(worker).made() < until)
        step(worker);
      clients(worker).stop();
      while (step(worker) != 0) {
      }
      pump();
      to_servers(worker).learn_into(nullptr, false, 0);
    }
  }
  if (learned != nullptr) *learned = std::move(in_order);
}

void Bed::establish(uint64_t flows, std::vector<Learned>* learned) {
  const uint64_t share = flows / options_.workers;
  for (uint32_t i = 0; i < options_.workers; ++i)
    establish_on(i, i * share, share, learned);
  if (in_use() != share * options_.workers) {
    fail(fmt::format("{} connections of {} were made; {}", in_use(), flows, not_sent()));
  }
}

void Bed::swap_snapshot() {
  config_.services[0].backends[0].weight = static_cast<uint16_t>(1 + ++swaps_ % 2);
  control::SnapshotChange change;
  change.config = &config_;
  change.services = {config::key_of(config_.services[0])};
  change.now = now().tick;
  if (!world_->builder->apply(change)) fail("no snapshot");
  world_->store->poll();
}

std::vector<const FrameWriter*> Bed::imix() const {
  std::vector<const FrameWriter*> mix;
  for (const uint8_t size : imix_order)
    mix.push_back(&imix_[size]);
  return mix;
}

uint64_t Bed::in_use() const {
  const dataplane::ConnTableCounters counters = world_->connections->counters();
  return counters.in_use4 + counters.in_use6;
}

std::vector<uint32_t> Bed::established() const {
  std::vector<uint32_t> refs;
  world_->connections->for_each(
      0, ~uint32_t{0}, [&refs](dataplane::ConnRef ref, const dataplane::ConnCommon& entry) {
        if (!entry.state().has(dataplane::ConnFlag::embryonic)) refs.push_back(ref.value);
      });
  std::ranges::sort(refs);
  return refs;
}

double Bed::connection_bytes() const {
  const dataplane::ConnTable& table = *world_->connections;
  const auto capacity = static_cast<double>(table.capacity(net::Family::ipv4)) +
                        static_cast<double>(table.capacity(net::Family::ipv6));
  const size_t entry =
      options_.v6 ? sizeof(dataplane::Connection6) : sizeof(dataplane::Connection4);
  return static_cast<double>(entry) +
         static_cast<double>(sizeof(dataplane::Bucket) * table.bucket_count()) / capacity;
}

std::string Bed::not_sent() const {
  std::string text;
  for (uint32_t i = 0; i < dataplane::verdict_count; ++i) {
    const dataplane::VerdictInfo& info = dataplane::verdict_table[i];
    const uint64_t count = world_->counters->verdict(static_cast<Verdict>(i));
    if (info.kind == VerdictKind::sent || count == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", info.name, count);
  }
  return text;
}

}  // namespace headgate::bench
