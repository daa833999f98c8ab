#include "control/snapshot_network.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "control/route_ranges.h"
#include "control/snapshot_services.h"

namespace headgate::control {
namespace {

using dataplane::BackendRow;
using dataplane::RouteKind;

constexpr uint32_t vlan_ids = 4096;

template <typename T>
std::span<const T> constant(const std::vector<T>& elements) {
  return elements;
}

// One family's routes as a table of the snapshot.
template <typename Range>
std::expected<void, Error> put_routes(SnapshotDraft& draft, net::Family family, Part routes_part,
                                      Part ranges_part, dataplane::RouteTable<Range>& target) {
  std::vector<dataplane::Route> routes;
  for (const auto& [prefix, route] : draft.network().routes()) {
    if (prefix.address.family != family) continue;
    dataplane::Route& row = routes.emplace_back();
    row.prefix = prefix.address;
    row.length = prefix.length;
    row.target.kind = route.kind;
    row.target.interface = route.interface;
    row.target.next_hop =
        route.kind == RouteKind::gateway
            ? draft.model.next_hops.use({route.interface, route.mtu_limit, route.gateway})
            : dataplane::none;
  }
  std::ranges::sort(routes, {}, [](const dataplane::Route& route) {
    return net::Prefix{route.prefix, route.length};
  });
  const std::vector<Range> ranges = route_ranges<Range>(routes);
  auto done = draft.blocks.put_array(draft.part(routes_part), target.routes, constant(routes));
  if (done) done = draft.blocks.put_array(draft.part(ranges_part), target.ranges, constant(ranges));
  return done;
}

// Whether an address may be routed differently now.
class Affected {
 public:
  Affected(const SnapshotDraft& draft, KernelParts parts)
      : all_(parts.links), prefixes_(changed_prefixes(draft)) {
    // Beyond this many it takes longer to ask than to look up the way.
    if (prefixes_.size() > 32) all_ = true;
  }

  [[nodiscard]] bool operator()(const net::IpAddress& address) const {
    return all_ || std::ranges::any_of(prefixes_, [&](const net::Prefix& prefix) {
             return prefix.contains(address);
           });
  }

 private:
  using Entry = std::pair<net::Prefix, NetworkView::Route>;
  [[nodiscard]] static std::vector<net::Prefix> changed_prefixes(const SnapshotDraft& draft) {
    std::vector<net::Prefix> changed;
    const auto compare = [&](const std::vector<Entry>& these, const std::vector<Entry>& others) {
      auto other = others.begin();
      for (const Entry& entry : these) {
        while (other != others.end() && other->first < entry.first)
          ++other;
        if (other == others.end() || *other != entry) changed.push_back(entry.first);
      }
    };
    compare(draft.network().routes(), draft.model.network.routes());
    compare(draft.model.network.routes(), draft.network().routes());
    return changed;
  }

  bool all_;
  std::vector<net::Prefix> prefixes_;
};

void find_ways_anew(SnapshotDraft& draft, KernelParts parts) {
  const Affected affected(draft, parts);
  for (uint32_t index = 0; index < draft.model.identity.backend_end(); ++index) {
    if (draft.row(index).id == dataplane::none || !affected(draft.row(index).address)) continue;
    BackendRow row = draft.row(index);
    const Reach way = reach(draft, row.address);
    row.next_hop = way.next_hop;
    row.tunnel_source = way.source;
    draft.set_row(index, row);
  }
}

}  // namespace

std::expected<void, Error> put_network(SnapshotDraft& draft, const KernelState& state,
                                       KernelParts parts) {
  draft.new_network = draft.network().with(state, parts);
  draft.marks.next_hops = true;
  if (parts.links) {
    draft.marks.addresses = true;
    const Block before = draft.part(Part::interfaces);
    if (auto done = put_interfaces(draft); !done) return done;
    draft.marks.interfaces = draft.part(Part::interfaces) != before;
  }
  if (parts.routes) {
    auto done = put_routes(draft, net::Family::ipv4, Part::routes_v4, Part::ranges_v4,
                           draft.root.routes_v4);
    if (!done) return done;
    done = put_routes(draft, net::Family::ipv6, Part::routes_v6, Part::ranges_v6,
                      draft.root.routes_v6);
    if (!done) return done;
  }
  if (parts.links || parts.routes) find_ways_anew(draft, parts);
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
  const auto count = static_cast<uint16_t>(interfaces.size());
  for (uint16_t i = 0; i < count; ++i) {
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

}  // namespace headgate::control
