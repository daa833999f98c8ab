// Rewriting a packet for its mode: addresses and ports (NAT, FULLNAT), an outer header (IPIP), TTL.
// Checksums follow incrementally (RFC 1624), so a wrong one stays wrong, as with LVS; a UDP
// checksum of zero, "none", becomes a computed one, since the receiver of a translated packet
// should have it.
#pragma once

#include <cstdint>

#include "dataplane/packet.h"

namespace headgate::dataplane {

// Replaces the source and its port / the destination and its port of a TCP or UDP packet. Addresses
// have the packet's family.
void translate_source(Packet& packet, const net::IpAddress& address, net::be16 port) noexcept;
void translate_destination(Packet& packet, const net::IpAddress& address, net::be16 port) noexcept;
// Both at once, as FULLNAT does.
void translate(Packet& packet, const net::IpAddress& source, net::be16 source_port,
               const net::IpAddress& destination, net::be16 destination_port) noexcept;

// One less, with the IPv4 header checksum. The caller has made sure that it is at least 2.
void decrement_ttl(Packet& packet) noexcept;

inline constexpr uint16_t tunnel_overhead(net::Family outer) noexcept {
  return outer == net::Family::ipv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
}

// Puts an outer IP header in front of the packet (RFC 2003, RFC 2473) and moves packet.l3 to it:
// TOS / traffic class copied (CE becomes ECT(0)), DF copied, TTL that of the inner header. `id` is
// the IPv4 id of an outer header without DF. False when the frame has no room left.
[[nodiscard]] bool encapsulate(Packet& packet, const net::IpAddress& source,
                               const net::IpAddress& destination, uint16_t id) noexcept;

}  // namespace headgate::dataplane
