// Rewriting a packet for its mode: addresses and ports (NAT, FULLNAT), an outer header (IPIP), TTL.
// Checksums follow incrementally (RFC 1624), so a wrong one stays wrong, as with LVS; a UDP
// checksum of zero, "none", becomes a computed one, since the receiver of a translated packet
// should have it.
#pragma once

#include <array>
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
  ip.checksum = net::checksum_after_decrease(ip.checksum, net::be16::from_host(0x0100));
}

inline constexpr uint16_t tunnel_overhead(net::Family outer) noexcept {
  return outer == net::Family::ipv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
}

// Puts an outer IP header in front of the packet (RFC 2003, RFC 2473) and moves packet.l3 to it:
// TOS / traffic class copied (CE becomes ECT(0)), DF copied, TTL that of the inner header. `id` is
// the IPv4 id of an outer header without DF. False when the frame has no room left. What else the
// packet says, its family as well, stays that of the inner one: it is fit for transmit() only.
[[nodiscard]] inline bool encapsulate(Packet& packet, const net::IpAddress& source,
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

// What an outer header takes from the inner one.
// RFC 6040 would copy CE as well; LVS sends ECT(0) outside, and so do we.
inline uint8_t outer_class(uint8_t inner) noexcept {
  static constexpr uint8_t ecn_mask = 3;
  static constexpr uint8_t ect0 = 2;
  return (inner & ecn_mask) == ecn_mask ? static_cast<uint8_t>((inner & ~ecn_mask) | ect0) : inner;
}

struct InnerFields {
  uint8_t protocol;
  uint8_t traffic_class;
  uint8_t ttl;
  bool dont_fragment;
};

inline InnerFields inner_fields(const Packet& packet) noexcept {
  if (packet.is_v4()) {
    const net::Ipv4Header& ip = packet.ipv4();
    const bool dont_fragment = (ip.fragment.host() & net::ipv4_dont_fragment) != 0;
    return {net::protocol_ipip, ip.tos, ip.ttl, dont_fragment};
  }
  const net::Ipv6Header& ip = packet.ipv6();
  const auto traffic_class = static_cast<uint8_t>(ip.version_class_flow.host() >> 20);
  return {net::protocol_ipv6, traffic_class, ip.hop_limit, false};
}

// Word by word, so that the sum is over what is in registers.
inline void write_outer_ipv4(uint8_t* l3, const InnerFields& inner, uint16_t inner_length,
                             const net::IpAddress& source, const net::IpAddress& destination,
                             uint16_t id) noexcept {
  const auto total = net::be16::from_host(static_cast<uint16_t>(20 + inner_length));
  const auto own_id = net::be16::from_host(inner.dont_fragment ? 0 : id);
  const auto fragment = net::be16::from_host(inner.dont_fragment ? net::ipv4_dont_fragment : 0);
  std::array<uint32_t, 5> words{
      0x45U | uint32_t{outer_class(inner.traffic_class)} << 8 | uint32_t{total.raw()} << 16,
      own_id.raw() | uint32_t{fragment.raw()} << 16,
      inner.ttl | uint32_t{inner.protocol} << 8,
      source.v4().raw(),
      destination.v4().raw(),
  };
  const uint64_t sum = uint64_t{words[0]} + words[1] + words[2] + words[3] + words[4];
  words[2] |= uint32_t{net::checksum_finish(sum).raw()} << 16;
  std::memcpy(l3, words.data(), sizeof(words));
}

void write_outer_ipv6(uint8_t* l3, const InnerFields& inner, uint16_t inner_length,
                      const net::IpAddress& source, const net::IpAddress& destination) noexcept;

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

inline bool encapsulate(Packet& packet, const net::IpAddress& source,
                        const net::IpAddress& destination, uint16_t id) noexcept {
  const uint16_t overhead = tunnel_overhead(destination.family);
  const detail::InnerFields inner = detail::inner_fields(packet);
  const uint16_t inner_length = packet.l3_length;
  if (inner_length > 0xffff - overhead) [[unlikely]]
    return false;
  if (rte_pktmbuf_prepend(packet.mbuf, overhead) == nullptr) [[unlikely]]
    return false;
  packet.l3 -= overhead;
  packet.l3_length = static_cast<uint16_t>(inner_length + overhead);
  if (destination.is_v4()) {
    detail::write_outer_ipv4(packet.l3, inner, inner_length, source, destination, id);
  } else {
    detail::write_outer_ipv6(packet.l3, inner, inner_length, source, destination);
  }
  return true;
}

}  // namespace headgate::dataplane
