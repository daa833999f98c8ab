// Rewriting a packet for its mode: addresses and ports (NAT, FULLNAT), an outer header (IPIP), TTL.
// Checksums follow incrementally (RFC 1624), so a wrong one stays wrong, as with LVS; a UDP
// checksum of zero, "none", becomes a computed one, since the receiver of a translated packet
// should have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/conn.h"
#include "dataplane/net/checksum.h"
#include "dataplane/packet.h"

namespace headgate::dataplane {

// Gives a TCP or UDP packet the addresses and ports that its connection says.
inline void translate(Packet& packet, const Translation4& to) noexcept;
inline void translate(Packet& packet, const Translation6& to) noexcept;

// Sums the datagram anew. For a packet that came without a checksum.
void compute_udp_checksum(Packet& packet) noexcept;

// One less, with the IPv4 header checksum. The caller has made sure that it is at least 2.
inline void decrement_ttl(Packet& packet) noexcept {
  if (!packet.is_v4()) {
    --packet.ipv6().hop_limit;
    return;
  }
  net::Ipv4Header& ip = packet.ipv4();
  --ip.ttl;
  // RFC 1624, equation 3, with m' = m - 0x0100: ~m + m' is that, whatever m was.
  constexpr auto less = static_cast<uint16_t>(~net::be16::from_host(0x0100).raw());
  ip.checksum =
      net::checksum_finish_short(static_cast<uint16_t>(~ip.checksum.raw()) + uint32_t{less});
}

inline constexpr uint16_t tunnel_overhead(net::Family outer) noexcept {
  return outer == net::Family::ipv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
}

// Puts an outer IP header in front of the packet (RFC 2003, RFC 2473) and moves packet.l3 to it:
// TOS / traffic class copied (CE becomes ECT(0)), DF copied, TTL that of the inner header. `id` is
// the IPv4 id of an outer header without DF. False when the frame has no room left.
[[nodiscard]] bool encapsulate(Packet& packet, const net::IpAddress& source,
                               const net::IpAddress& destination, uint16_t id) noexcept;

// ---- What runs per packet ----

namespace detail {

// The transport checksum after a change of addresses and ports.
inline void update_transport(Packet& packet, const net::ChecksumDelta& delta) noexcept {
  if (packet.protocol == net::protocol_tcp) {
    packet.tcp().checksum = delta.apply(packet.tcp().checksum);
  } else if (packet.udp().checksum.raw() == 0) [[unlikely]] {
    compute_udp_checksum(packet);
  } else {
    packet.udp().checksum = delta.apply_udp(packet.udp().checksum);
  }
}

// TCP and UDP have both ports in the same place.
inline void replace_ports(Packet& packet, uint32_t ports, net::ChecksumDelta& delta) noexcept {
  uint32_t before;
  std::memcpy(&before, packet.l4, sizeof(before));
  delta.replace_word(before, ports);
  std::memcpy(packet.l4, &ports, sizeof(ports));
}

}  // namespace detail

inline void translate(Packet& packet, const Translation4& to) noexcept {
  uint8_t* addresses = packet.l3 + offsetof(net::Ipv4Header, source);
  uint64_t before;
  std::memcpy(&before, addresses, sizeof(before));
  std::memcpy(addresses, &to.addresses, sizeof(to.addresses));
  net::ChecksumDelta delta;
  delta.replace_word(static_cast<uint32_t>(before), static_cast<uint32_t>(to.addresses));
  delta.replace_word(static_cast<uint32_t>(before >> 32),
                     static_cast<uint32_t>(to.addresses >> 32));
  packet.ipv4().checksum = delta.apply(packet.ipv4().checksum);
  detail::replace_ports(packet, to.ports, delta);
  detail::update_transport(packet, delta);
}

inline void translate(Packet& packet, const Translation6& to) noexcept {
  net::Ipv6Header& ip = packet.ipv6();
  net::ChecksumDelta delta;
  delta.replace_value(ip.source, to.source);
  delta.replace_value(ip.destination, to.destination);
  ip.source = to.source;
  ip.destination = to.destination;
  detail::replace_ports(packet, to.ports, delta);
  detail::update_transport(packet, delta);
}

}  // namespace headgate::dataplane
