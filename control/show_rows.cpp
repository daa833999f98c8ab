#include "control/show_rows.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "config/names.h"
#include "control/health_rows.h"
#include "control/snapshot_walk.h"

namespace headgate::control {

namespace json = boost::json;
using dataplane::BackendRow;
using dataplane::ServiceBlock;

namespace {

void add_traffic(json::object& row, const TrafficTotals& totals) {
  row["active"] = totals.active;
  row["inactive"] = totals.inactive;
  row["connections"] = totals.connections;
  row["in_packets"] = totals.in_packets;
  row["out_packets"] = totals.out_packets;
  row["in_bytes"] = totals.in_bytes;
  row["out_bytes"] = totals.out_bytes;
  row["refused"] = totals.refused;
}

void add_rate(json::object& row, const TrafficRate& rate) {
  row["connections_per_s"] = rate.connections;
  row["in_packets_per_s"] = rate.in_packets;
  row["out_packets_per_s"] = rate.out_packets;
  row["in_bytes_per_s"] = rate.in_bytes;
  row["out_bytes_per_s"] = rate.out_bytes;
}

// All of it zero without an id.
void add_backend_traffic(json::object& row, const State& state, uint32_t id,
                         const TrafficTotals& totals) {
  add_traffic(row, totals);
  row["unanswered"] = totals.unanswered;
  add_rate(row, id == dataplane::none ? TrafficRate{}
                                      : state.rates.backend(dataplane::backend_index(id)));
}

// Seconds until what is left of the backend's connections ends; null without a deadline.
json::value ends_in(const State& state, const BackendRow& row) {
  if (row.deadline_tick == 0) return nullptr;
  const auto ticks = static_cast<int32_t>(row.deadline_tick - state.surroundings.now());
  return ticks <= 0 ? 0U : static_cast<uint32_t>(ticks) / dataplane::ticks_per_second;
}

const BackendRow* row_of(const State& state, uint32_t id) {
  const dataplane::SnapshotRoot* root = state.store.current();
  if (root == nullptr || id == dataplane::none) return nullptr;
  return dataplane::find_backend(state.region, *root, id);
}

std::string_view state_name(dataplane::NextHopState state) {
  switch (state) {
    case dataplane::NextHopState::unresolved:
      return "unresolved";
    case dataplane::NextHopState::resolved:
      return "resolved";
    case dataplane::NextHopState::unreachable:
      return "unreachable";
    case dataplane::NextHopState::prohibited:
      return "prohibited";
    case dataplane::NextHopState::blackhole:
      return "blackhole";
    case dataplane::NextHopState::local:
      return "local";
  }
  return "unknown";
}

}  // namespace

const ServiceBlock* find_block(const State& state, const config::ServiceKey& key) {
  const dataplane::SnapshotRoot* root = state.store.current();
  if (root == nullptr) return nullptr;
  if (key.firewall_mark == 0) {
    return dataplane::find_service(state.region, *root, key.address, key.protocol,
                                   net::be16::from_host(key.port));
  }
  return dataplane::find_marked_service(state.region, *root, key.firewall_mark, key.family);
}

uint32_t find_backend_id(const State& state, const ServiceBlock& block,
                         const config::BackendKey& key, uint32_t& hint) {
  const auto list = elements(state.region, block.backends);
  const auto matches = [&](const dataplane::ServiceBackend& backend) {
    const BackendRow* row = row_of(state, backend.backend_id);
    return row != nullptr && is_backend(*row, key);
  };
  if (hint < list.size() && matches(list[hint])) return list[hint++].backend_id;
  const auto found = std::ranges::find_if(list, matches);
  if (found == list.end()) return dataplane::none;
  hint = static_cast<uint32_t>(found - list.begin()) + 1;
  return found->backend_id;
}

std::vector<BackendRow> removed_backends(const State& state) {
  std::vector<BackendRow> rows;
  const dataplane::SnapshotRoot* root = state.store.current();
  if (root == nullptr) return rows;
  for_each_backend(state.region, *root, [&](const BackendRow& row) {
    if ((row.flags & dataplane::backend_removed) != 0) rows.push_back(row);
  });
  std::ranges::sort(rows, {}, [](const BackendRow& row) {
    return std::pair(row.service_id, dataplane::backend_index(row.id));
  });
  return rows;
}

bool is_backend(const BackendRow& row, const config::BackendKey& key) {
  // A row without a port keeps the packet's own.
  return row.address == key.address && (row.port.host() == 0 || row.port.host() == key.port);
}

json::object service_row(const State& state, const config::Service& service) {
  json::object row;
  row["service"] = to_string(config::key_of(service));
  row["name"] = service.name;
  row["mode"] = config::name_of(service.mode);
  row["scheduler"] = config::name_of(service.scheduler);
  row["persistence_s"] =
      service.persistence ? json::value(service.persistence->timeout_s) : json::value(nullptr);
  row["persistence_netmask"] = service.persistence && service.persistence->netmask
                                   ? json::value(*service.persistence->netmask)
                                   : json::value(nullptr);
  row["fallback"] = service.fallback;
  row["hash_port"] = service.hash_port;
  row["list_fallback"] = service.list_fallback;
  row["one_packet"] = service.one_packet;
  json::array& local_addresses = row["local_addresses"].emplace_array();
  for (const net::IpAddress& address : service.local_addresses)
    local_addresses.emplace_back(net::to_string(address));
  add_pool(row, state, service);
  row["backends"] = service.backends.size();
  const ServiceBlock* block = find_block(state, config::key_of(service));
  add_traffic(row, block == nullptr ? TrafficTotals{} : state.counters.service(block->id));
  add_rate(row, block == nullptr ? TrafficRate{} : state.rates.service(block->id));
  return row;
}

json::object backend_row(const State& state, const config::Service& service,
                         const config::Backend& backend, uint32_t id) {
  const BackendRow* known = row_of(state, id);
  const TrafficTotals totals = id == dataplane::none
                                   ? TrafficTotals{}
                                   : state.counters.backend(dataplane::backend_index(id));
  json::object row;
  row["service"] = to_string(config::key_of(service));
  row["service_name"] = service.name;
  row["backend"] = to_string(config::key_of(backend));
  row["name"] = backend.name;
  row["mode"] = config::name_of(mode_of(service, backend));
  add_health(row, state, service, backend, totals);
  row["weight"] = backend.weight;
  row["upper_threshold"] = backend.upper_threshold;
  row["lower_threshold"] = backend.lower_threshold;
  row["ends_in_s"] = known == nullptr ? json::value(nullptr) : ends_in(state, *known);
  add_backend_traffic(row, state, id, totals);
  return row;
}

json::object removed_backend_row(const State& state, std::string_view service,
                                 uint16_t service_port, const BackendRow& known) {
  const uint16_t port = known.port.host() == 0 ? service_port : known.port.host();
  json::object row;
  row["service"] = service;
  row["service_name"] = "";
  row["backend"] =
      port == 0 ? net::to_string(known.address) : net::endpoint_to_string(known.address, port);
  row["name"] = "";
  row["mode"] = config::name_of(static_cast<config::Mode>(known.mode));
  row["state"] = "removed";
  row["since"] = nullptr;
  row["for_s"] = nullptr;
  row["reason"] = "";
  row["history"] = json::array{};
  row["use"] = "out";
  row["effective_weight"] = 0;
  row["weight"] = 0;
  row["upper_threshold"] = 0;
  row["lower_threshold"] = 0;
  row["ends_in_s"] = ends_in(state, known);
  add_backend_traffic(row, state, known.id,
                      state.counters.backend(dataplane::backend_index(known.id)));
  return row;
}

json::object port_row(const PortStatus& port) {
  json::object row;
  row["port"] = port.name;
  row["driver"] = port.driver;
  row["mac"] = net::to_string(port.mac);
  row["link"] = !port.link_up         ? "down"
                : port.link_mbps == 0 ? "up"
                                      : fmt::format("{} Mbit/s", port.link_mbps);
  row["link_up"] = port.link_up;
  row["mtu"] = port.mtu;
  row["rx_queues"] = port.rx_queues;
  row["tx_queues"] = port.tx_queues;
  row["twin"] = port.twin.empty() ? json::value(nullptr) : json::value(port.twin);
  row["rx_packets"] = port.rx_packets;
  row["rx_bytes"] = port.rx_bytes;
  row["tx_packets"] = port.tx_packets;
  row["tx_bytes"] = port.tx_bytes;
  row["rx_missed"] = port.rx_missed;
  row["rx_errors"] = port.rx_errors;
  row["rx_no_mbuf"] = port.rx_no_mbuf;
  row["tx_errors"] = port.tx_errors;
  return row;
}

json::object worker_row(const State& state, uint32_t worker) {
  const auto& counters = state.counters.worker(worker);
  uint64_t connections = 0;
  for (const auto& service : dataplane::counter_rows(state.region, worker).services) {
    connections += service.connections.get();
  }
  const auto& cores = state.surroundings.cores;
  json::object row;
  row["worker"] = worker;
  row["core"] = worker < cores.size() ? json::value(cores[worker]) : json::value(nullptr);
  row["polls"] = counters.polls.get();
  row["busy_polls"] = counters.busy_polls.get();
  row["busy_percent"] = state.load.busy_percent(worker);
  row["sleeps"] = counters.sleeps.get();
  row["received"] = counters.received.get();
  row["from_twin"] = counters.from_twin.get();
  row["connections"] = connections;
  row["generation"] = counters.snapshot_generation.get();
  return row;
}

json::object neighbour_row(const State& state, const dataplane::NextHop& hop) {
  const auto& names = state.surroundings.interfaces;
  json::object row;
  row["interface"] = hop.interface < names.size() ? names[hop.interface] : "-";
  row["address"] = net::to_string(hop.gateway);
  row["mac"] = hop.state == dataplane::NextHopState::resolved
                   ? json::value(net::to_string(hop.destination))
                   : json::value(nullptr);
  row["state"] = state_name(hop.state);
  return row;
}

}  // namespace headgate::control
