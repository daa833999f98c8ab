#include "tests/unit/config/support.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config/reader.h"
#include "config/validate.h"

namespace headgate::config {
namespace {

using Random = std::mt19937;

uint32_t pick(Random& random, uint32_t low, uint32_t high) {
  return std::uniform_int_distribution<uint32_t>(low, high)(random);
}
bool half(Random& random) {
  return pick(random, 0, 1) == 1;
}

// Gives a value now and then.
template <typename T>
void maybe(Random& random, T& out, auto value) {
  if (half(random)) out = static_cast<T>(value);
}
template <typename T>
void maybe(Random& random, std::optional<T>& out, auto value) {
  if (half(random)) out = static_cast<T>(value);
}

net::IpAddress address(std::string_view text) {
  return *net::parse_ip(text);
}
net::Prefix prefix(std::string_view text) {
  return *net::parse_prefix(text);
}

void random_twin_part(Random& random, uint32_t number, std::vector<net::Prefix>& addresses,
                      std::vector<Route>& routes) {
  if (half(random)) addresses.push_back(prefix(fmt::format("10.{}.0.7/24", number)));
  if (half(random)) addresses.push_back(prefix(fmt::format("fd00:{:x}::7/64", number)));
  for (uint32_t i = pick(random, 0, 2); i > 0; --i) {
    Route route;
    route.to = prefix(fmt::format("172.{}.{}.0/24", number, i));
    if (half(random)) route.via = address("10.0.0.1");
    if (half(random)) route.source = address("10.0.0.7");
    maybe(random, route.metric, pick(random, 0, 1000));
    routes.push_back(route);
  }
}

Port random_port(Random& random, uint32_t number) {
  Port port;
  port.name = fmt::format("p{}", number);
  const uint32_t kind = pick(random, 0, 2);
  if (kind == 0) port.pci = fmt::format("0000:3b:00.{}", number);
  if (kind == 1) port.interface = fmt::format("eth{}", number);
  if (kind == 2) port.vdev = fmt::format("net_pcap{},iface=\"a b\"", number);
  if (kind == 1) maybe(random, port.driver, Driver::af_packet);
  maybe(random, port.queues, pick(random, 1, 16));
  maybe(random, port.rx_descriptors, 512);
  maybe(random, port.tx_descriptors, 512);
  maybe(random, port.mtu, 9000);
  maybe(random, port.promiscuous, true);
  if (half(random)) port.rss_key = std::vector<uint8_t>(40, static_cast<uint8_t>(number));
  if (pick(random, 0, 3) == 0) {
    port.twin.enabled = false;
    return port;
  }
  if (half(random)) port.twin.name = fmt::format("t{}", number);
  maybe(random, port.twin.mtu, 1400);
  random_twin_part(random, number, port.twin.addresses, port.twin.routes);
  for (uint32_t i = pick(random, 0, 2); i > 0; --i) {
    Vlan& vlan = port.vlans.emplace_back();
    vlan.id = static_cast<uint16_t>(i * 100);
    if (half(random)) vlan.name = fmt::format("v{}-{}", number, i);
    maybe(random, vlan.mtu, 1300);
    random_twin_part(random, number * 10 + i + 16, vlan.addresses, vlan.routes);
  }
  return port;
}

Backend random_backend(Random& random, const Service& service, uint32_t number) {
  Backend backend;
  const bool v4 = family_of(service) == net::Family::ipv4;
  backend.address = address(fmt::format("{}{}", v4 ? "10.9.0." : "fd09::", number + 1));
  if (half(random)) backend.name = fmt::format("rs{}", number);
  maybe(random, backend.port, pick(random, 1, 65535));
  maybe(random, backend.weight, pick(random, 0, 65535));
  maybe(random, backend.mode, pick(random, 0, 3));
  if (half(random)) {
    backend.upper_threshold = pick(random, 10, 100000);
    maybe(random, backend.lower_threshold, backend.upper_threshold / 2);
  }
  maybe(random, backend.enabled, false);
  maybe(random, backend.drain_deadline_s, pick(random, 0, 600));
  return backend;
}

Service random_service(Random& random, uint32_t number) {
  Service service;
  const bool v4 = half(random);
  if (half(random)) service.name = fmt::format("svc.{}", number);
  if (pick(random, 0, 3) == 0) {
    service.firewall_mark = number + 1;
    service.family = v4 ? net::Family::ipv4 : net::Family::ipv6;
  } else {
    service.address = address(fmt::format("{}{}", v4 ? "192.0.2." : "2001:db8::", number + 1));
    maybe(random, service.protocol, Protocol::udp);
    service.port = static_cast<uint16_t>(pick(random, 0, 65535));
  }
  maybe(random, service.mode, pick(random, 0, 3));
  maybe(random, service.scheduler, pick(random, 0, 9));
  maybe(random, service.fallback, false);
  maybe(random, service.hash_port, true);
  maybe(random, service.maglev_table_size, 4099);
  if (half(random) || service.port == 0) {
    service.persistence.emplace();
    maybe(random, service.persistence->timeout_s, pick(random, 1, 1000));
    maybe(random, service.persistence->netmask, pick(random, 1, v4 ? 32 : 128));
  }
  maybe(random, service.mid_stream, MidStream::hash);
  if (half(random)) service.local_addresses = {address("10.8.0.1"), address("fd08::1")};
  maybe(random, service.on_backend_removed, pick(random, 0, 2));
  maybe(random, service.drain_deadline_s, pick(random, 0, 600));
  maybe(random, service.newest_first, true);
  maybe(random, service.udp_counts_as_active, false);
  for (uint32_t i = pick(random, 0, 4); i > 0; --i) {
    service.backends.push_back(random_backend(random, service, i));
  }
  return service;
}

void random_settings(Random& random, Config& config) {
  maybe(random, config.daemon.name, "edge-1");
  maybe(random, config.daemon.run_dir, "/run/a b: \"c\"");
  maybe(random, config.daemon.socket, "/run/null");
  maybe(random, config.daemon.socket_mode, 0600);
  maybe(random, config.daemon.file_prefix, "yes");
  maybe(random, config.daemon.idle, Idle::adaptive);
  maybe(random, config.daemon.log_level, pick(random, 0, 3));
  if (half(random)) config.workers.cores = {3, 1, 7};
  maybe(random, config.memory.huge_pages, pick(random, 0, 3));
  maybe(random, config.memory.memory_mb, 512);
  maybe(random, config.memory.mbufs_per_port, 8192);
  maybe(random, config.memory.snapshot_mb, 64);
  maybe(random, config.memory.max_services, 100);
  maybe(random, config.memory.max_backends, 1000);
  maybe(random, config.connections.max_ipv4, 5000);
  maybe(random, config.connections.embryonic_percent, 100);
  maybe(random, config.timeouts.tcp_established_s, 7200);
  maybe(random, config.timeouts.udp_s, 30);
  maybe(random, config.rates.rst_per_s, 0);
  maybe(random, config.forwarding.routing, true);
  maybe(random, config.forwarding.maglev_table_size, 251);
  config.forwarding.local_addresses = {address("10.7.0.1"), address("fd07::1")};
}

}  // namespace

std::vector<std::string> lines_of(const std::vector<Error>& errors) {
  std::vector<std::string> lines;
  lines.reserve(errors.size());
  for (const Error& error : errors)
    lines.push_back(to_string(error));
  return lines;
}

std::vector<std::string> problems_of(std::string_view text) {
  const auto reading = read_text(text, "t.yaml");
  return lines_of(reading ? reading->warnings : reading.error());
}

std::vector<std::string> problems_after_port(std::string_view text) {
  std::string whole = "ports: [{name: p, pci: 0000:01:00.0}]\n" + std::string(text);
  // Below, so that lines keep their numbers.
  if (text.contains("firewall_mark: 7")) {
    const bool v6 = text.contains("firewall_mark: 7, family: ipv6");
    whole += fmt::format("firewall_marks: [{{mark: 7, destination: 192.0.2.7}}{}]\n",
                         v6 ? ", {mark: 7, destination: \"2001:db8::7\"}" : "");
  }
  return problems_of(whole);
}

Config read_good(std::string_view text) {
  const auto reading = read_text(text, "t.yaml");
  if (reading) {
    EXPECT_TRUE(reading->warnings.empty()) << to_string(reading->warnings);
  }
  return read_good_but_warnings(text);
}

Config read_good_but_warnings(std::string_view text) {
  const auto reading = read_text(text, "t.yaml");
  if (!reading) {
    ADD_FAILURE() << to_string(reading.error()) << text;
    return {};
  }
  return reading->config;
}

Config random_config(std::mt19937& random) {
  Config config;
  random_settings(random, config);
  for (uint32_t i = pick(random, 1, 3); i > 0; --i)
    config.ports.push_back(random_port(random, i));
  for (uint32_t i = pick(random, 0, 5); i > 0; --i) {
    config.services.push_back(random_service(random, i));
  }
  random_vrrp(random, config);
  random_health(random, config);
  std::ignore = normalize(config);
  return config;
}

std::string source_file(std::string_view path) {
  const std::string full = std::string(HEADGATE_SOURCE_ROOT) + "/" + std::string(path);
  std::ifstream file(full, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << full;
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace headgate::config
