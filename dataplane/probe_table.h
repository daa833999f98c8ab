// Probes through the data path: health checks that ask a service's own address by way of one of its
// backends, as a client's packet would reach it, with ordinary sockets of the kernel.
//
//   socket ──> 198.18.0.7:80 ──> twin ──> exception thread ──> worker ──> backend, by DR or IPIP
//                                         to 192.0.2.1:80      ┌──────────────┘
//   socket <── 198.18.0.7:80 <── twin <── exception thread <── worker <── from 192.0.2.1:80
//
// A probe address stands for a service and a backend. It never leaves this machine: the exception
// thread puts the service's address in its place, and back again in what the server answers. So the
// kernel never sees the VIP, which may be its own or another router's, and a server that has lost
// its VIP or its tunnel does not answer. Control hands out the addresses
// (control/health/probe_addresses.h) and tells them by this table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dataplane/net/address.h"
#include "dataplane/net/endian.h"

namespace headgate::dataplane {

struct ProbeEntry {
  net::IpAddress address;  // of a probe network, of the VIP's family
  net::IpAddress vip;
  net::be16 port;  // of the service; 0: the one that is asked
  uint8_t protocol = 0;
  uint32_t backend_id = 0;  // never 0: see control/identity.h

  bool operator==(const ProbeEntry&) const = default;
};

// Immutable once it is handed over.
struct ProbeTable {
  std::vector<net::Prefix> networks;  // what the kernel sends there is a probe, or ends there
  std::vector<ProbeEntry> entries;    // ascending by address, one each

  [[nodiscard]] bool holds(const net::IpAddress& address) const noexcept {
    return std::ranges::any_of(
        networks, [&](const net::Prefix& network) { return network.contains(address); });
  }
  [[nodiscard]] const ProbeEntry* find(const net::IpAddress& address) const noexcept {
    const auto found = std::ranges::lower_bound(entries, address, {}, &ProbeEntry::address);
    return found == entries.end() || found->address != address ? nullptr : &*found;
  }
};

}  // namespace headgate::dataplane
