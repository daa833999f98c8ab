#include "tests/support/snapshot_fixture.h"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "control/snapshot_walk.h"

namespace headgate::test {
namespace {

using control::elements;
using dataplane::NextHop;
using dataplane::none;

control::RegionMemory make_memory(const SnapshotLimits& limits) {
  auto memory = control::RegionMemory::create({.workers = limits.workers,
                                               .max_services = limits.max_services,
                                               .max_backends = limits.max_backends,
                                               .snapshot_bytes = limits.arena_bytes},
                                              control::RegionPages::plain);
  return std::move(memory.value());
}

std::string text(const NextHop& hop) {
  return fmt::format("state={} interface={} port={} vlan={} mtu={} mac={} from={} gateway={}",
                     static_cast<int>(hop.state), hop.interface, hop.port, hop.vlan, hop.mtu,
                     net::to_string(hop.destination), net::to_string(hop.source),
                     hop.gateway.family == net::Family::none ? "-" : net::to_string(hop.gateway));
}

std::string text(const net::IpAddress& address) {
  return address.family == net::Family::none ? "-" : net::to_string(address);
}

class Describer {
 public:
  Describer(dataplane::RegionView region, const dataplane::SnapshotRoot& root)
      : region_(region), root_(root) {}

  std::vector<std::string> lines() {
    control::for_each_service(region_, root_, [this](const auto& service) { add(service); });
    control::for_each_backend(region_, root_,
                              [this](const auto& row) { lines_.push_back("row " + text_of(row)); });
    control::for_each_route(region_, root_, [this](const auto& route) { add(route); });
    add_addresses();
    add_marks();
    add_neighbours();
    add_interfaces();
    add_settings();
    std::ranges::sort(lines_);
    return std::move(lines_);
  }

 private:
  [[nodiscard]] std::string hop_text(uint32_t next_hop) const {
    if (next_hop == none) return "none";
    return text(region_.element(root_.next_hops, next_hop));
  }

  [[nodiscard]] std::string text_of(const dataplane::BackendRow& row) const {
    const dataplane::ServiceBlock* service =
        control::find_service_by_id(region_, root_, row.service_id);
    return fmt::format("{} {} mode={} flags={} deadline={} tunnel={} hop: {}",
                       service == nullptr ? "-" : name(*service),
                       net::endpoint_to_string(row.address, row.port.host()),
                       static_cast<int>(row.mode), row.flags, row.deadline_tick,
                       text(row.tunnel_source), hop_text(row.next_hop));
  }

  [[nodiscard]] static std::string name(const dataplane::ServiceBlock& service) {
    return fmt::format("{} port {} proto {} mark {}", text(service.vip), service.port.host(),
                       service.protocol, service.firewall_mark);
  }

  void add(const dataplane::ServiceBlock& service) {
    std::string line =
        fmt::format("service {} scheduler={} flags={} persistence={}/{} gcd={} max={} scratch={}",
                    name(service), static_cast<int>(service.scheduler), service.flags,
                    service.persistence_ticks, service.persistence_prefix, service.weight_gcd,
                    service.weight_max, service.scheduler_scratch.count);
    for (const auto& backend : elements(region_, service.backends)) {
      const dataplane::BackendRow* row =
          dataplane::find_backend(region_, root_, backend.backend_id);
      line +=
          fmt::format(" [{} weight={} thresholds={}/{}]", row == nullptr ? "lost" : text_of(*row),
                      backend.weight, backend.upper_threshold, backend.lower_threshold);
    }
    for (const auto& address : elements(region_, service.local_addresses)) {
      line += " local " + text(address);
    }
    const auto table = elements(region_, service.maglev);
    uint64_t hash = table.size();
    for (const uint16_t entry : table)
      hash = dataplane::mix_hash(hash ^ uint64_t{entry} << 32);
    lines_.push_back(line + fmt::format(" maglev={}:{:x}", table.size(), hash));
  }

  void add(const dataplane::Route& route) {
    lines_.push_back(fmt::format("route {}/{} kind={} interface={} hop: {}", text(route.prefix),
                                 route.length, static_cast<int>(route.target.kind),
                                 route.target.interface, hop_text(route.target.next_hop)));
  }

  void add_addresses() {
    for (const auto& slot : elements(region_, root_.address_slots)) {
      if (slot.address.family == net::Family::none) continue;
      lines_.push_back(fmt::format("address {} flags={}", text(slot.address), slot.flags));
    }
  }

  void add_marks() {
    for (const auto& rule : elements(region_, root_.mark_rules)) {
      lines_.push_back(fmt::format("rule {} mark {} to {}/{} from {}/{} proto {} ports {}-{}",
                                   rule.order, rule.mark, text(rule.destination),
                                   rule.destination_bits, text(rule.source), rule.source_bits,
                                   rule.protocol, rule.first_port, rule.last_port));
    }
    for (const auto& slot : elements(region_, root_.mark_slots)) {
      if (slot.address.family == net::Family::none) continue;
      lines_.push_back(
          fmt::format("rules of {}: {} from {}", text(slot.address), slot.count, slot.first));
    }
  }

  void add_neighbours() {
    control::for_each_neighbour(
        region_, root_, [this](const NextHop& hop) { lines_.push_back("neighbour " + text(hop)); });
    for (const auto& slot : elements(region_, root_.neighbour_slots)) {
      if (slot.next_hop == none) continue;
      lines_.push_back(fmt::format("neighbour slot {} interface={}: {}", text(slot.address),
                                   slot.interface, hop_text(slot.next_hop)));
    }
  }

  void add_interfaces() {
    for (const auto& i : elements(region_, root_.interfaces)) {
      lines_.push_back(fmt::format("interface {}.{} mtu={} mac={} {} {}", i.port, i.vlan, i.mtu,
                                   net::to_string(i.mac), text(i.ipv4), text(i.ipv6)));
    }
    for (const auto& port : elements(region_, root_.ports)) {
      std::string line = fmt::format("port untagged={}", port.untagged_interface);
      for (const uint16_t interface : elements(region_, port.vlan_interfaces)) {
        if (interface != dataplane::none16) line += fmt::format(" {}", interface);
      }
      lines_.push_back(line);
    }
  }

  void add_settings() {
    const dataplane::Settings& settings = root_.settings;
    std::string line = "settings";
    for (const uint32_t ticks : settings.timeout_ticks)
      line += fmt::format(" {}", ticks);
    lines_.push_back(line + fmt::format(" rst={} icmp={} arp={} echo={} embryonic={}/{}",
                                        settings.rst_per_second, settings.icmp_per_second,
                                        settings.answers_per_second, settings.echo_per_second,
                                        settings.embryonic_limit, settings.embryonic_pressure));
  }

  dataplane::RegionView region_;
  const dataplane::SnapshotRoot& root_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<dataplane::Interface> two_interfaces() {
  dataplane::Interface untagged{};
  untagged.mtu = 1500;
  untagged.mac = mac("02:00:00:00:00:01");
  dataplane::Interface tagged = untagged;
  tagged.vlan = 100;
  return {untagged, tagged};
}

SnapshotFixture::SnapshotFixture(const SnapshotLimits& limits,
                                 std::vector<dataplane::Interface> interfaces)
    : memory(make_memory(limits)),
      grace(limits.workers + 1),
      arena(std::make_unique<control::BlockArena>(memory.view(), memory.header().snapshot,
                                                  control::BlockArena::Freed::overwrite)),
      store(std::make_unique<control::SnapshotStore>(memory.view(), *arena, grace)),
      counters(std::make_unique<control::CounterView>(memory.view())),
      builder(std::make_unique<control::SnapshotBuilder>(*arena, *store, *counters,
                                                         std::move(interfaces))) {}

uint64_t SnapshotFixture::apply(const control::SnapshotChange& change) const {
  const auto generation = builder->apply(change);
  EXPECT_TRUE(generation.has_value()) << generation.error().text;
  return generation.value_or(0);
}

uint64_t SnapshotFixture::apply_config(const config::Config& config, dataplane::Tick now) const {
  control::SnapshotChange change;
  change.config = &config;
  change.settings = true;
  change.all_services = true;
  change.now = now;
  return apply(change);
}

uint64_t SnapshotFixture::apply_service(const config::Config& config,
                                        const config::Service& service, dataplane::Tick now) const {
  control::SnapshotChange change;
  change.config = &config;
  change.services = {config::key_of(service)};
  change.now = now;
  return apply(change);
}

uint64_t SnapshotFixture::apply_kernel(const control::KernelState& state) const {
  control::SnapshotChange change;
  change.kernel = &state;
  change.kernel_parts = {.links = true, .routes = true, .neighbours = true};
  return apply(change);
}

const dataplane::ServiceBlock* SnapshotFixture::service(const config::Service& service) const {
  const config::ServiceKey key = config::key_of(service);
  return dataplane::find_service(region(), root(), key.address, key.protocol,
                                 net::be16::from_host(key.port));
}

const dataplane::BackendRow* SnapshotFixture::backend(const config::Service& service,
                                                      const config::Backend& backend) const {
  const auto id = builder->backend_id(config::key_of(service), config::key_of(backend));
  return id ? dataplane::find_backend(region(), root(), *id) : nullptr;
}

uint8_t SnapshotFixture::address_flags(std::string_view address) const {
  return dataplane::find_address(region(), root(), ip(address));
}

net::IpAddress ip(std::string_view text) {
  return net::parse_ip(text).value();
}
net::Prefix prefix(std::string_view text) {
  return net::parse_prefix(text).value();
}
net::MacAddress mac(std::string_view text) {
  return net::parse_mac(text).value();
}

config::Service make_service(std::string_view vip, uint16_t port, config::Mode mode,
                             const std::vector<std::string_view>& backends) {
  config::Service service;
  service.address = ip(vip);
  service.port = port;
  service.mode = mode;
  for (const std::string_view backend : backends) {
    service.backends.push_back(make_backend(backend, port));
  }
  return service;
}

config::Backend make_backend(std::string_view address, uint16_t port, uint16_t weight) {
  config::Backend backend;
  backend.address = ip(address);
  backend.port = port;
  backend.weight = weight;
  return backend;
}

control::KernelState two_networks() {
  control::KernelState state;
  for (uint16_t i = 0; i < 2; ++i) {
    control::KernelInterface interface;
    interface.name = fmt::format("hg{}", i);
    interface.kernel_index = i + 10;
    interface.mac = mac("02:00:00:00:00:01");
    interface.mtu = 1500;
    interface.up = true;
    state.interfaces.push_back(interface);
    for (const auto& [address, network] :
         {std::pair{fmt::format("10.{}.0.1/24", i + 1), fmt::format("10.{}.0.0/24", i + 1)},
          std::pair{fmt::format("fd0{}::1/64", i + 1), fmt::format("fd0{}::/64", i + 1)}}) {
      state.addresses.push_back({.interface = i, .prefix = prefix(address)});
      control::KernelRoute route;
      route.prefix = prefix(network);
      route.hops = {{.interface = i, .gateway = {}}};
      state.routes.push_back(route);
    }
  }
  for (const auto& [network, gateway] :
       {std::pair{"0.0.0.0/0", "10.1.0.254"}, std::pair{"::/0", "fd01::fe"}}) {
    control::KernelRoute route;
    route.prefix = prefix(network);
    route.hops = {{.interface = 0, .gateway = ip(gateway)}};
    state.routes.push_back(route);
  }
  std::ranges::sort(state.addresses);
  std::ranges::sort(state.routes);
  return state;
}

void add_neighbour(control::KernelState& state, uint16_t interface, std::string_view address,
                   std::string_view mac_text) {
  state.neighbours.push_back(
      {.interface = interface, .address = ip(address), .mac = mac(mac_text)});
  std::ranges::sort(state.neighbours);
}

std::vector<std::string> describe(dataplane::RegionView region,
                                  const dataplane::SnapshotRoot& root) {
  return Describer(region, root).lines();
}

}  // namespace headgate::test
