// The snapshot: the immutable configuration that workers read.
//
//   SnapshotRoot ──┬─ service slots ──> ServiceBlock (one per service) ──> backends, hash table
//                  ├─ mark rules         which packets are a firewall mark's, with an index
//                  ├─ address slots      VIPs, local addresses, the host's own
//                  ├─ backend chunks ──> 256 BackendRow each, by backend id
//                  ├─ next hops          NextHop rows: what to write into the Ethernet header
//                  ├─ neighbour slots    (interface, address) -> next hop
//                  ├─ routes             range of addresses -> Route, the longest prefix there
//                  ├─ interfaces         ports and their VLAN sub-ports
//                  ├─ ownership slots    what virtual routers (VRRP) say of an address
//                  └─ virtual MACs       those that are ours, by interface
//
// Control builds new blocks for what changed and shares the others, then publishes the root with
// one release store; a worker loads it once per burst (acquire) and sees that one generation
// throughout. Blocks are freed after a grace period of all workers. Everything here is trivially
// copyable, lives in the region and is written only before it is published. Byte order: be16/be32
// and address bytes are in network order, everything else in host order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "dataplane/net/address.h"
#include "dataplane/region.h"

namespace headgate::dataplane {

enum class Mode : uint8_t { dr = 0, nat = 1, fullnat = 2, ipip = 3 };
inline constexpr uint32_t mode_count = 4;

enum class SchedulerKind : uint8_t { rr, wrr, lc, wlc, sed, nq, sh, dh, fo, mh, ovf, lblc, lblcr };

inline constexpr uint32_t none = 0xffffffff;

// ---- services -------------------------------------------------------------------------------

// A backend id: row index in the low 24 bits, generation above. Ids are compared whole; the row
// index alone finds the BackendRow and the counter rows.
inline constexpr uint32_t backend_index_bits = 24;
[[nodiscard]] constexpr uint32_t backend_index(uint32_t id) noexcept {
  return id & ((1U << backend_index_bits) - 1);
}

// A backend as its service's scheduler sees it, in the order of the file.
struct ServiceBackend {
  uint32_t backend_id;
  uint32_t weight;           // 0: takes no new connections
  uint32_t upper_threshold;  // connections, active and inactive; 0: none
  uint32_t lower_threshold;  // 0: three quarters of the upper one
};

enum ServiceFlag : uint32_t {
  service_hash_with_port = 1U << 0,         // sh and mh hash the source port as well
  service_no_fallback = 1U << 1,            // sh and mh: refuse instead of the next backend (LVS)
  service_newest_first = 1U << 2,           // rr and others start with the backend added last (LVS)
  service_udp_inactive = 1U << 3,           // UDP flows count as inactive connections (LVS)
  service_mid_stream_hash = 1U << 4,        // `mid_stream: hash`
  service_quiescent_reschedules = 1U << 5,  // templates of weight-0 backends are rescheduled
  service_one_packet = 1U << 6,             // one-packet scheduling
};

struct ServiceBlock {
  uint32_t id;      // index of the counter rows; stable through changes
  uint32_t serial;  // differs whenever the block's content does
  net::IpAddress vip;
  uint8_t protocol;  // net::protocol_tcp, net::protocol_udp; 0 for a firewall mark
  net::be16 port;    // 0: all ports
  SchedulerKind scheduler;
  uint8_t reserved[3];
  uint32_t firewall_mark;      // 0: none
  uint32_t flags;              // ServiceFlag
  uint32_t persistence_ticks;  // 0: not persistent
  uint8_t persistence_prefix;  // client addresses are masked to this many bits
  uint8_t reserved2[3];
  uint32_t weight_gcd;  // over backends with weight; 0 when there is none
  uint32_t weight_max;
  OffsetArray<ServiceBackend> backends;
  // Maglev table: index into `backends`, or 0xffff where no backend has weight. For mh its size is
  // the configured prime; sh and dh choose by such a table too; other services with DR or IPIP
  // backends have a smaller one, used by the stateless fallback. Empty where there is no use for
  // it.
  OffsetArray<uint16_t> maglev;
  OffsetArray<net::IpAddress> local_addresses;  // FULLNAT sources, of the VIP's family
  // Memory for the workers' schedulers, the one part of a block that workers write: an area of
  // scheduler_scratch_bytes(backends.count) for each, by worker, on a cache line of its own and not
  // initialised. Empty where that is 0: small services need none.
  OffsetArray<std::byte> scheduler_scratch;
};
inline constexpr uint16_t maglev_empty = 0xffff;

// Open addressing with linear probing from service_key_hash(); the load is at most one half.
struct ServiceSlot {
  uint32_t hash;
  uint32_t reserved;
  Offset<ServiceBlock> block;  // none: the probe ends here
};

// ---- firewall marks ---------------------------------------------------------------------------

// A rule with one range of destination ports. Of those that fit a packet the one of the lowest
// order counts.
struct MarkRule {
  uint32_t order;
  uint32_t mark;        // not 0
  uint16_t first_port;  // host order, both included
  uint16_t last_port;
  uint8_t protocol;  // 0: TCP and UDP
  uint8_t destination_bits;
  uint8_t source_bits;
  uint8_t reserved[3];
  net::IpAddress destination;  // masked
  net::IpAddress source;       // masked; without family: any
};
static_assert(sizeof(MarkRule) == 52);

// The rules whose destination is this one address.
struct MarkSlot {  // open addressing from address_hash(); family none: the probe ends here
  net::IpAddress address;
  uint8_t reserved[3];
  uint32_t first;  // of SnapshotRoot::mark_rules
  uint32_t count;
};

// ---- backends -------------------------------------------------------------------------------

enum BackendFlag : uint8_t {
  backend_removed = 1U << 0,    // no longer in the configuration; its connections live on
  backend_cut = 1U << 1,        // connections are dropped in silence (on_backend_removed: drop)
  backend_expire = 1U << 2,     // connections are expired at their next packet
  backend_quiescent = 1U << 3,  // weight 0: takes no new connections
  // Of a quiescent one: a client that opens a connection anew is scheduled anew, whatever state it
  // was in (on_backend_removed: expire).
  backend_reopens = 1U << 4,
  // Out of its service: a connection ends at its next packet, and TCP's ends are told by resets
  // (on_down: reset). Not of connections of which nothing is heard: resets need a packet's numbers.
  backend_reset = 1U << 5,
};

// What an established connection needs of its backend: one cache line, found by id.
struct alignas(64) BackendRow {
  uint32_t id;  // none: free
  uint32_t service_id;
  uint32_t next_hop;       // towards `address`; none: no route
  uint32_t deadline_tick;  // connections end then (drain); 0: never
  Mode mode;
  uint8_t flags;   // BackendFlag
  net::be16 port;  // 0: the packet's own destination port is kept
  net::IpAddress address;
  net::IpAddress tunnel_source;  // outer source of IPIP, of the address's family
  uint8_t reserved[10];
};
static_assert(sizeof(BackendRow) == 64);

inline constexpr uint32_t backend_chunk_rows = 256;
struct BackendChunk {
  std::array<BackendRow, backend_chunk_rows> rows;
};

// ---- interfaces, neighbours, routes ------------------------------------------------------------

// A port, or a VLAN of a port: the place where addresses and routes of the kernel's twin belong.
struct Interface {
  uint16_t port;  // DPDK port
  uint16_t vlan;  // VLAN id; 0: untagged
  uint16_t mtu;   // of layer 3
  net::MacAddress mac;
  net::Ipv4Address ipv4;  // primary addresses, sources of ICMP errors; zero: none
  net::Ipv6Address ipv6;
};

enum class NextHopState : uint8_t {
  unresolved,  // the neighbour's MAC is not known: hold the packet and ask
  resolved,
  unreachable,  // the kernel says: host unreachable (also no route at all)
  prohibited,   // administratively prohibited
  blackhole,    // dropped without a word
  local,        // an address of this host: to the twin
};

struct alignas(64) NextHop {
  NextHopState state;
  uint8_t reserved;
  uint16_t interface;  // index of `interfaces`
  uint16_t port;
  uint16_t vlan;                // 0: untagged
  uint16_t mtu;                 // of the path through this next hop, layer 3
  net::MacAddress destination;  // resolved: the neighbour's MAC
  net::MacAddress source;       // the interface's MAC
  net::IpAddress gateway;       // the neighbour's address
  uint8_t reserved2[25];
};
static_assert(sizeof(NextHop) == 64);

struct NeighbourSlot {  // open addressing from neighbour_hash(); next_hop none: the probe ends here
  net::IpAddress address;
  uint8_t reserved;
  uint16_t interface;
  uint32_t next_hop;
};

// What the longest matching prefix says.
enum class RouteKind : uint8_t { gateway, on_link, unreachable, prohibited, blackhole, local };
struct RouteTarget {
  RouteKind kind;
  uint8_t reserved;
  uint16_t interface;  // on_link: where the destination is a neighbour
  uint32_t next_hop;   // gateway: its row
};
struct Route {
  net::IpAddress prefix;
  uint8_t length;
  uint8_t reserved[2];
  RouteTarget target;
};
// The addresses from `first`, in host order, up to the next range's have this route as their
// longest prefix.
struct RouteRange4 {
  uint32_t first;
  uint32_t route;  // index of the table's routes; none: there is none
};
struct RouteRange6 {
  uint64_t first_high;
  uint64_t first_low;
  uint32_t route;
  uint32_t reserved;
};
template <typename Range>
struct RouteTable {
  OffsetArray<Range> ranges;  // from address zero on, ascending; empty without routes
  OffsetArray<Route> routes;  // in the order of their prefixes
};

// ---- addresses ---------------------------------------------------------------------------------

// Workers answer ARP, ND and, unless the twin holds it, echo for VIPs and local addresses, but not
// while another router is master of them: see OwnershipSlot.
enum AddressFlag : uint8_t {
  address_vip = 1U << 0,    // has services, by itself or as the one destination of a mark rule
  address_local = 1U << 1,  // a FULLNAT source of ours
  address_host = 1U << 2,   // held by the kernel's twin
  // A backend's: what it sends to the host is told apart (health checks).
  address_backend = 1U << 3,
};
struct AddressSlot {  // open addressing from address_hash(); family none: the probe ends here
  net::IpAddress address;
  uint8_t flags;  // AddressFlag
};

// ---- ownership (VRRP) --------------------------------------------------------------------------

// Addresses of which there is something to say; the table is empty on a box without VRRP. It and
// `virtual_macs` are no part of what a reload builds: a change of mastership replaces them alone,
// beside whatever is being built.
struct OwnershipSlot {  // open addressing from address_hash(); family none: the probe ends here
  net::IpAddress address;
  uint8_t inactive;  // 1: another router is master
  // Of the virtual router whose MAC is said in answers to questions on `interface`; 0: none.
  uint8_t vrid;
  uint8_t reserved;
  uint16_t interface;
};

// VRIDs whose virtual MAC (RFC 9568 section 7.3) is ours on one interface, a bit each.
struct VirtualMacs {
  std::array<uint64_t, 4> ipv4;
  std::array<uint64_t, 4> ipv6;

  [[nodiscard]] bool has(net::Family family, uint8_t vrid) const noexcept {
    const auto& bits = family == net::Family::ipv4 ? ipv4 : ipv6;
    return (bits[vrid / 64] >> (vrid % 64) & 1) != 0;
  }
};

// ---- settings ----------------------------------------------------------------------------------

inline constexpr uint32_t tcp_state_limit = 16;
struct Settings {
  std::array<uint32_t, tcp_state_limit> timeout_ticks;  // by ConnState
  uint32_t embryonic_timeout_pressure_ticks;            // of embryonic connections under pressure
  uint32_t embryonic_limit;                             // connections, all workers together
  uint32_t embryonic_pressure;                          // where pressure begins, likewise
  uint32_t rst_per_second;                              // originated, per worker
  uint32_t icmp_per_second;
  uint32_t answers_per_second;  // ARP and ND for VIPs
  uint32_t echo_per_second;     // pings of VIPs
  uint8_t routing;     // 1: what belongs to no connection and comes from a backend goes to the twin
  uint8_t conn_reuse;  // 1: a SYN in TIME_WAIT or CLOSE is scheduled anew
  uint8_t sloppy_tcp;  // 1: ACK and FIN without connection are scheduled
  uint8_t reserved;
};

struct PortEntry {
  uint16_t untagged_interface;  // none16: the port is not ours
  uint16_t reserved[3];
  OffsetArray<uint16_t> vlan_interfaces;  // 4096 indexes by VLAN id, or empty without VLANs
};
inline constexpr uint16_t none16 = 0xffff;

// ---- the root ----------------------------------------------------------------------------------

struct SnapshotRoot {
  uint64_t generation;                     // 1, 2, 3, …
  OffsetArray<ServiceSlot> service_slots;  // a power of two, or empty
  OffsetArray<AddressSlot> address_slots;  // likewise
  // First `mark_networks` rules whose destination is a network, by their order; then those of
  // single addresses, each address's together and by their order. Empty without rules.
  OffsetArray<MarkRule> mark_rules;
  OffsetArray<MarkSlot> mark_slots;  // a power of two, or empty
  OffsetArray<Offset<BackendChunk>> backend_chunks;
  OffsetArray<NextHop> next_hops;
  OffsetArray<NeighbourSlot> neighbour_slots;  // a power of two, or empty
  RouteTable<RouteRange4> routes_v4;
  RouteTable<RouteRange6> routes_v6;
  OffsetArray<Interface> interfaces;
  OffsetArray<PortEntry> ports;  // by DPDK port id
  OffsetArray<uint32_t> reserved_acls;
  OffsetArray<OwnershipSlot> ownership_slots;  // a power of two, or empty
  OffsetArray<VirtualMacs> virtual_macs;       // by interface, or empty
  // Differs whenever connections are to end, or to end sooner, that may send nothing more: a
  // backend got a deadline, `backend_expire` or `backend_reset`, a time-out became shorter.
  uint32_t sweep_serial;
  uint32_t mark_networks;
  Settings settings;
};
static_assert(std::is_trivially_copyable_v<SnapshotRoot>);
static_assert(std::is_trivially_copyable_v<ServiceBlock>);

// ---- lookups (hot) -----------------------------------------------------------------------------

[[nodiscard]] inline uint32_t mix_hash(uint64_t value) noexcept {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ULL;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ULL;
  value ^= value >> 32;
  return static_cast<uint32_t>(value);
}

[[nodiscard]] inline uint32_t address_hash(const net::IpAddress& address) noexcept {
  uint64_t low;
  uint64_t high;
  std::memcpy(&low, address.bytes.data(), 8);
  std::memcpy(&high, address.bytes.data() + 8, 8);
  return mix_hash(low ^ (high * 0x9e3779b97f4a7c15ULL) ^ static_cast<uint8_t>(address.family));
}
[[nodiscard]] inline uint32_t service_key_hash(const net::IpAddress& vip, uint8_t protocol,
                                               net::be16 port) noexcept {
  return mix_hash(address_hash(vip) | (static_cast<uint64_t>(port.raw()) << 32) |
                  (static_cast<uint64_t>(protocol) << 48));
}
// A firewall-mark service is keyed by its mark and family.
[[nodiscard]] inline uint32_t service_mark_hash(uint32_t mark, net::Family family) noexcept {
  return mix_hash(mark | (static_cast<uint64_t>(family) << 56));
}
[[nodiscard]] inline uint32_t neighbour_hash(const net::IpAddress& address,
                                             uint16_t interface) noexcept {
  return mix_hash(address_hash(address) | (static_cast<uint64_t>(interface) << 32));
}

// The service of exactly this VIP, protocol and port (port 0: the service for all ports), or null.
[[nodiscard]] inline const ServiceBlock* find_service(RegionView region, const SnapshotRoot& root,
                                                      const net::IpAddress& vip, uint8_t protocol,
                                                      net::be16 port) noexcept {
  const uint32_t count = root.service_slots.count;
  if (count == 0) return nullptr;
  const uint32_t hash = service_key_hash(vip, protocol, port);
  for (uint32_t i = 0; i < count; ++i) {
    const ServiceSlot& slot = region.element(root.service_slots, (hash + i) & (count - 1));
    if (!slot.block) return nullptr;
    if (slot.hash != hash) continue;
    const ServiceBlock* service = region.at(slot.block);
    if (service->protocol == protocol && service->port == port && service->vip == vip &&
        service->firewall_mark == 0) {
      return service;
    }
  }
  return nullptr;
}

// The service of this mark and family, or null.
[[nodiscard]] inline const ServiceBlock* find_marked_service(RegionView region,
                                                             const SnapshotRoot& root,
                                                             uint32_t mark,
                                                             net::Family family) noexcept {
  const uint32_t count = root.service_slots.count;
  const uint32_t hash = service_mark_hash(mark, family);
  for (uint32_t i = 0; i < count; ++i) {
    const ServiceSlot& slot = region.element(root.service_slots, (hash + i) & (count - 1));
    if (!slot.block) return nullptr;
    if (slot.hash != hash) continue;
    const ServiceBlock* service = region.at(slot.block);
    if (service->firewall_mark == mark && service->vip.family == family) return service;
  }
  return nullptr;
}

// Flags of an address, 0 when it is not ours.
[[nodiscard]] inline uint8_t find_address(RegionView region, const SnapshotRoot& root,
                                          const net::IpAddress& address) noexcept {
  const uint32_t count = root.address_slots.count;
  const uint32_t hash = address_hash(address);
  for (uint32_t i = 0; i < count; ++i) {
    const AddressSlot& slot = region.element(root.address_slots, (hash + i) & (count - 1));
    if (slot.address.family == net::Family::none) return 0;
    if (slot.address == address) return slot.flags;
  }
  return 0;
}

// What virtual routers say of an address, or null.
[[nodiscard]] inline const OwnershipSlot* find_ownership(RegionView region,
                                                         const SnapshotRoot& root,
                                                         const net::IpAddress& address) noexcept {
  const uint32_t count = root.ownership_slots.count;
  if (count == 0) return nullptr;
  const uint32_t hash = address_hash(address);
  for (uint32_t i = 0; i < count; ++i) {
    const OwnershipSlot& slot = region.element(root.ownership_slots, (hash + i) & (count - 1));
    if (slot.address.family == net::Family::none) return nullptr;
    if (slot.address == address) return &slot;
  }
  return nullptr;
}
[[nodiscard]] inline bool is_inactive(RegionView region, const SnapshotRoot& root,
                                      const net::IpAddress& address) noexcept {
  const OwnershipSlot* slot = find_ownership(region, root, address);
  return slot != nullptr && slot->inactive != 0;
}

// The row of a backend, or null when the id is of an earlier generation.
[[nodiscard]] inline const BackendRow* find_backend(RegionView region, const SnapshotRoot& root,
                                                    uint32_t id) noexcept {
  const uint32_t index = backend_index(id);
  const uint32_t chunk = index / backend_chunk_rows;
  if (chunk >= root.backend_chunks.count) return nullptr;
  const Offset<BackendChunk> offset = region.element(root.backend_chunks, chunk);
  if (!offset) return nullptr;
  const BackendRow* row = &region.at(offset)->rows[index % backend_chunk_rows];
  return row->id == id ? row : nullptr;
}

// The next hop of a neighbour on an interface, or `none`.
[[nodiscard]] inline uint32_t find_neighbour(RegionView region, const SnapshotRoot& root,
                                             const net::IpAddress& address,
                                             uint16_t interface) noexcept {
  const uint32_t count = root.neighbour_slots.count;
  const uint32_t hash = neighbour_hash(address, interface);
  for (uint32_t i = 0; i < count; ++i) {
    const NeighbourSlot& slot = region.element(root.neighbour_slots, (hash + i) & (count - 1));
    if (slot.next_hop == none) return none;
    if (slot.interface == interface && slot.address == address) return slot.next_hop;
  }
  return none;
}

// The route of the last range that does not begin above an address, found by halving;
// `above(range)` tells.
template <typename Range, typename Above>
[[nodiscard]] uint32_t route_of_range(RegionView region, const OffsetArray<Range>& ranges,
                                      Above above) noexcept {
  if (ranges.count == 0) return none;
  const Range* at = region.at(ranges.first);
  for (uint32_t left = ranges.count; left > 1;) {
    const uint32_t half = left / 2;
    at += above(at[half]) ? 0 : half;
    left -= half;
  }
  return at->route;
}

// The target of the longest prefix that holds `address`, or null when there is none.
[[nodiscard]] inline const RouteTarget* find_route(RegionView region, const SnapshotRoot& root,
                                                   const net::IpAddress& address) noexcept {
  if (address.is_v4()) {
    const uint32_t wanted = address.v4().host();
    const uint32_t route =
        route_of_range(region, root.routes_v4.ranges,
                       [&](const RouteRange4& range) { return range.first > wanted; });
    return route == none ? nullptr : &region.element(root.routes_v4.routes, route).target;
  }
  std::array<net::be64, 2> words;
  std::memcpy(words.data(), address.bytes.data(), sizeof(words));
  const uint64_t high = words[0].host();
  const uint64_t low = words[1].host();
  const uint32_t route =
      route_of_range(region, root.routes_v6.ranges, [&](const RouteRange6& range) {
        return range.first_high > high || (range.first_high == high && range.first_low > low);
      });
  return route == none ? nullptr : &region.element(root.routes_v6.routes, route).target;
}

}  // namespace headgate::dataplane
