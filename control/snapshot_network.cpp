#include "control/snapshot_network.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "control/slot_table.h"
#include "control/snapshot_services.h"

namespace headgate::control {
namespace {

using dataplane::BackendRow;
using dataplane::NextHop;
using dataplane::NextHopState;
using dataplane::RouteKind;

constexpr uint32_t vlan_ids = 4096;

template <typename T>
std::span<const T> constant(const std::vector<T>& elements) {
  return elements;
}

// One family's routes as a table of the snapshot.
std::expected<void, Error> put_routes(SnapshotDraft& draft, net::Family family, Part lengths_part,
                                      Part slots_part, dataplane::RouteTable& target) {
  const auto& routes = draft.network().routes();
  const auto count = std::ranges::count_if(
      routes, [family](const auto& route) { return route.first.address.family == family; });
  dataplane::RouteSlot empty{};
  empty.length = dataplane::route_slot_empty;
  SlotTable<dataplane::RouteSlot> table(static_cast<size_t>(count), empty);
  std::vector<uint8_t> lengths;
  for (const auto& [prefix, route] : routes) {
    if (prefix.address.family != family) continue;
    if (std::ranges::find(lengths, prefix.length) == lengths.end()) {
      lengths.push_back(prefix.length);
    }
    dataplane::RouteSlot& slot =
        table.find(dataplane::route_hash(prefix.address, prefix.length),
                   [](const auto& s) { return s.length == dataplane::route_slot_empty; });
    slot.prefix = prefix.address;
    slot.length = prefix.length;
    slot.target.kind = route.kind;
    slot.target.interface = route.interface;
    slot.target.next_hop =
        route.kind == RouteKind::gateway
            ? draft.model.next_hops.use({route.interface, route.mtu_limit, route.gateway})
            : dataplane::none;
  }
  std::ranges::sort(lengths, std::greater{});
  auto done = draft.blocks.put_array(draft.part(lengths_part), target.lengths, constant(lengths));
  if (done) done = draft.blocks.put_array(draft.part(slots_part), target.slots, table.slots());
  return done;
}

void find_ways_anew(SnapshotDraft& draft) {
  for (uint32_t index = 0; index < draft.model.identity.backend_end(); ++index) {
    BackendRow row = draft.row(index);
    if (row.id == dataplane::none) continue;
    const Reach way = reach(draft, row.address);
    row.next_hop = way.next_hop;
    if (row.mode == dataplane::Mode::ipip) row.tunnel_source = way.source;
    draft.set_row(index, row);
  }
}

// Who refers to a next hop's row. `needed`: packets go there by a backend or a route, while a row
// that is merely used is there because the kernel knows the neighbour.
struct Usage {
  std::vector<bool> used;
  std::vector<bool> needed;
};

Usage usage_of(SnapshotDraft& draft) {
  NextHopTable& table = draft.model.next_hops;
  std::vector<uint32_t> known;
  for (const KernelNeighbour& neighbour : draft.network().neighbours()) {
    known.push_back(table.use({neighbour.interface, 0, neighbour.address}));
  }
  std::vector<uint32_t> gateways;
  for (const NetworkView::Gateway& gateway : draft.network().gateways()) {
    gateways.push_back(table.use({gateway.interface, gateway.mtu_limit, gateway.address}));
  }
  Usage usage{std::vector<bool>(table.end()), std::vector<bool>(table.end())};
  for (const uint32_t index : known)
    usage.used[index] = true;
  for (const uint32_t index : gateways)
    usage.needed[index] = true;
  for (uint32_t index = 0; index < draft.model.identity.backend_end(); ++index) {
    const BackendRow& row = draft.row(index);
    if (row.id != dataplane::none && row.next_hop != dataplane::none) {
      usage.needed[row.next_hop] = true;
    }
  }
  for (uint32_t i = 0; i < table.end(); ++i)
    usage.used[i] = usage.used[i] || usage.needed[i];
  return usage;
}

NextHop fixed_row(NextHopState state) {
  NextHop hop{};
  hop.state = state;
  hop.interface = dataplane::none16;
  hop.port = dataplane::none16;
  return hop;
}

NextHop row_of(const SnapshotDraft& draft, const NextHopKey& key) {
  const dataplane::Interface& interface = draft.network().interfaces()[key.interface];
  NextHop hop{};
  hop.state = NextHopState::unresolved;
  hop.interface = key.interface;
  hop.port = interface.port;
  hop.vlan = interface.vlan;
  hop.mtu = key.mtu_limit == 0 ? interface.mtu : std::min(interface.mtu, key.mtu_limit);
  hop.source = interface.mac;
  hop.gateway = key.gateway;
  const net::MacAddress* const mac = draft.network().find_neighbour(key.interface, key.gateway);
  if (mac != nullptr) {
    hop.state = NextHopState::resolved;
    hop.destination = *mac;
  }
  return hop;
}

std::vector<NextHop> all_rows(const SnapshotDraft& draft) {
  const NextHopTable& table = draft.model.next_hops;
  std::vector<NextHop> rows;
  rows.reserve(table.end());
  rows.push_back(fixed_row(NextHopState::unreachable));
  rows.push_back(fixed_row(NextHopState::prohibited));
  rows.push_back(fixed_row(NextHopState::blackhole));
  rows.push_back(fixed_row(NextHopState::local));
  for (uint32_t i = next_hop_fixed_rows; i < table.end(); ++i) {
    const bool free = table.key(i).gateway.family == net::Family::none || table.is_going(i);
    rows.push_back(free ? fixed_row(NextHopState::unreachable) : row_of(draft, table.key(i)));
  }
  return rows;
}

std::expected<void, Error> put_neighbour_slots(SnapshotDraft& draft,
                                               std::span<const NextHop> rows) {
  const NextHopTable& table = draft.model.next_hops;
  const auto is_neighbour = [&](uint32_t i) {
    return rows[i].gateway.family != net::Family::none && table.key(i).mtu_limit == 0;
  };
  size_t count = 0;
  for (uint32_t i = 0; i < rows.size(); ++i)
    count += is_neighbour(i);
  dataplane::NeighbourSlot empty{};
  empty.next_hop = dataplane::none;
  SlotTable<dataplane::NeighbourSlot> slots(count, empty);
  for (uint32_t i = 0; i < rows.size(); ++i) {
    if (!is_neighbour(i)) continue;
    dataplane::NeighbourSlot& slot =
        slots.find(dataplane::neighbour_hash(rows[i].gateway, rows[i].interface),
                   [](const auto& s) { return s.next_hop == dataplane::none; });
    slot.address = rows[i].gateway;
    slot.interface = rows[i].interface;
    slot.next_hop = i;
  }
  return draft.blocks.put_array(draft.part(Part::neighbour_slots), draft.root.neighbour_slots,
                                slots.slots());
}

std::vector<WantedNeighbour> wanted_of(std::span<const NextHop> rows,
                                       const std::vector<bool>& needed) {
  std::vector<WantedNeighbour> wanted;
  for (uint32_t i = next_hop_fixed_rows; i < rows.size(); ++i) {
    if (needed[i] && rows[i].state == NextHopState::unresolved) {
      wanted.push_back({rows[i].interface, rows[i].gateway});
    }
  }
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
  return wanted;
}

}  // namespace

std::expected<void, Error> put_network(SnapshotDraft& draft, const KernelState& state,
                                       KernelParts parts) {
  draft.new_network = draft.network().with(state, parts);
  draft.marks.next_hops = true;
  if (parts.links) {
    draft.marks.addresses = true;
    if (auto done = put_interfaces(draft); !done) return done;
  }
  if (parts.routes) {
    auto done = put_routes(draft, net::Family::ipv4, Part::lengths_v4, Part::slots_v4,
                           draft.root.routes_v4);
    if (!done) return done;
    done = put_routes(draft, net::Family::ipv6, Part::lengths_v6, Part::slots_v6,
                      draft.root.routes_v6);
    if (!done) return done;
  }
  if (parts.links || parts.routes) find_ways_anew(draft);
  return {};
}

std::expected<void, Error> put_interfaces(SnapshotDraft& draft) {
  return draft.blocks.put_array(draft.part(Part::interfaces), draft.root.interfaces,
                                constant(draft.network().interfaces()));
}

std::expected<void, Error> put_ports(SnapshotDraft& draft) {
  const std::vector<dataplane::Interface>& interfaces = draft.network().interfaces();
  std::vector<dataplane::PortEntry> entries;
  std::vector<std::vector<uint16_t>> vlans;  // by port, empty without VLANs
  for (uint16_t i = 0; i < interfaces.size(); ++i) {
    const dataplane::Interface& interface = interfaces[i];
    while (entries.size() <= interface.port) {
      entries.emplace_back().untagged_interface = dataplane::none16;
      vlans.emplace_back();
    }
    if (interface.vlan == 0) {
      entries[interface.port].untagged_interface = i;
      continue;
    }
    if (vlans[interface.port].empty()) {
      vlans[interface.port].assign(vlan_ids, dataplane::none16);
    }
    vlans[interface.port][interface.vlan] = i;
  }
  if (entries.empty()) return {};

  const size_t tables = static_cast<size_t>(
      std::ranges::count_if(vlans, [](const auto& table) { return !table.empty(); }));
  Block& block = draft.part(Part::ports);
  const size_t entry_bytes = entries.size() * sizeof(dataplane::PortEntry);
  const size_t table_bytes = vlan_ids * sizeof(uint16_t);
  if (auto done = draft.blocks.replace(block, entry_bytes + tables * table_bytes); !done) {
    return done;
  }
  uint64_t end = entry_bytes;
  for (size_t port = 0; port < entries.size(); ++port) {
    if (vlans[port].empty()) continue;
    std::memcpy(draft.blocks.at(block) + end, vlans[port].data(), table_bytes);
    entries[port].vlan_interfaces = {.first = {block.offset + end}, .count = vlan_ids};
    end += table_bytes;
  }
  std::memcpy(draft.blocks.at(block), entries.data(), entry_bytes);
  draft.root.ports = {.first = {block.offset}, .count = static_cast<uint32_t>(entries.size())};
  return {};
}

std::expected<void, Error> put_next_hops(SnapshotDraft& draft) {
  const Usage usage = usage_of(draft);
  draft.model.next_hops.sweep(usage.used);
  const std::vector<NextHop> rows = all_rows(draft);
  auto done =
      draft.blocks.put_array(draft.part(Part::next_hops), draft.root.next_hops, constant(rows));
  if (done) done = put_neighbour_slots(draft, rows);
  if (done) draft.new_wanted = wanted_of(rows, usage.needed);
  return done;
}

}  // namespace headgate::control
