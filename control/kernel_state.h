// What the kernel knows about the twins: a plain copy of its links, addresses, routes and
// neighbours, kept by KernelMirror (netlink.h) and turned into the snapshot by its builder.
//
// Interfaces are numbered as in the snapshot: the ports in their order, then the VLANs of the first
// port, of the second, and so on. What lies on interfaces that are not ours (lo, a management NIC)
// has interface `foreign_interface`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/net/address.h"

namespace headgate::control {

inline constexpr uint16_t foreign_interface = 0xffff;

struct KernelInterface {
  std::string name;      // of the TAP
  int kernel_index = 0;  // 0: not there (a port without a twin, or deleted by someone)
  net::MacAddress mac;
  uint16_t mtu = 0;
  bool up = false;  // administratively
  bool operator==(const KernelInterface&) const = default;
};

// An address that the host holds, on any interface, lo included. Tentative and failed (DAD)
// addresses are not here.
struct KernelAddress {
  uint16_t interface = foreign_interface;
  net::Prefix prefix;       // with host bits
  bool secondary = false;   // not the first of its subnet
  bool link_local = false;  // IPv6 scope link
  bool operator==(const KernelAddress&) const = default;
  auto operator<=>(const KernelAddress&) const = default;
};

enum class KernelRouteKind : uint8_t { unicast, unreachable, prohibited, blackhole, local };

struct KernelNextHop {
  uint16_t interface = foreign_interface;
  net::IpAddress gateway;  // family none: on link. May be of the other family (RFC 5549).
  uint32_t weight = 1;
  bool operator==(const KernelNextHop&) const = default;
  auto operator<=>(const KernelNextHop&) const = default;
};

// The route that wins for its prefix: among several, those with a next hop on one of our interfaces
// go before foreign ones (workers cannot send through those), then the lowest metric counts.
struct KernelRoute {
  net::Prefix prefix;  // masked; length 0: the default route
  KernelRouteKind kind = KernelRouteKind::unicast;
  uint32_t metric = 0;
  uint32_t mtu = 0;                 // 0: the interface's
  net::IpAddress source;            // preferred source; family none: the kernel chooses
  std::vector<KernelNextHop> hops;  // unicast: at least one, those through our interfaces first
  bool operator==(const KernelRoute&) const = default;
  auto operator<=>(const KernelRoute&) const = default;
};

// A neighbour on one of our interfaces whose MAC is known and usable (REACHABLE, STALE, DELAY,
// PROBE, PERMANENT or NOARP).
struct KernelNeighbour {
  uint16_t interface = 0;
  net::IpAddress address;
  net::MacAddress mac;
  bool operator==(const KernelNeighbour&) const = default;
  auto operator<=>(const KernelNeighbour&) const = default;
};

// Each vector but `interfaces` is sorted and without duplicates.
struct KernelState {
  std::vector<KernelInterface> interfaces;  // by our interface index
  std::vector<KernelAddress> addresses;
  std::vector<KernelRoute> routes;  // tables main and default; local addresses are in `addresses`
  std::vector<KernelNeighbour> neighbours;
  bool operator==(const KernelState&) const = default;
};

// Parts of a KernelState that differ from an earlier one.
struct KernelParts {
  bool links = false;  // links and addresses
  bool routes = false;
  bool neighbours = false;

  [[nodiscard]] bool any() const { return links || routes || neighbours; }
  KernelParts& operator|=(const KernelParts& other) {
    links |= other.links;
    routes |= other.routes;
    neighbours |= other.neighbours;
    return *this;
  }
  bool operator==(const KernelParts&) const = default;
};

}  // namespace headgate::control
