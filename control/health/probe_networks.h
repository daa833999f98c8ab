// The private networks that probe addresses come from: see dataplane/probe_table.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/net/address.h"

namespace headgate::control {

struct ProbeNetworks {
  net::Prefix v4;
  net::Prefix v6;

  bool operator==(const ProbeNetworks&) const = default;
};

// 198.18.0.0/15, which RFC 2544 keeps for benchmarks and nobody routes, and fd68:6561:6c74::/48
// (RFC 4193).
[[nodiscard]] inline ProbeNetworks default_probe_networks() {
  return {net::parse_prefix("198.18.0.0/15").value(),
          net::parse_prefix("fd68:6561:6c74::/48").value()};
}

// The address at `offset` of a network, within the low 64 bits.
[[nodiscard]] inline net::IpAddress address_in(const net::Prefix& network, uint64_t offset) {
  net::IpAddress address = net::masked(network.address, network.length);
  if (address.is_v4()) {
    return net::Ipv4Address::from_host(address.v4().host() + static_cast<uint32_t>(offset));
  }
  net::be64 low;
  std::memcpy(&low, address.bytes.data() + 8, sizeof(low));
  low = net::be64::from_host(low.host() + offset);
  std::memcpy(address.bytes.data() + 8, &low, sizeof(low));
  return address;
}

// The first address of a network: what the kernel believes to be the way to the others.
inline constexpr uint64_t probe_gateway_offset = 1;
[[nodiscard]] inline net::IpAddress probe_gateway(const net::Prefix& network) {
  return address_in(network, probe_gateway_offset);
}

}  // namespace headgate::control
