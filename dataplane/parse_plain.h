// The frames that nearly all are: untagged, for our MAC, IPv4 without options or IPv6 without
// extension headers, TCP or UDP, whole. They are told and taken apart in one go; every other frame,
// wrong ones included, is for parse_frame(), which would find the same in these.
#pragma once

#include <cstddef>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/packet.h"
#include "dataplane/rx_checksum.h"

namespace headgate::dataplane {

// Where a burst came in.
struct Ingress {
  uint16_t port;
  uint16_t interface;  // of untagged frames; none16: the port is not ours
  uint64_t mac;        // the interface's, as load_mac() gives it; no_mac: no frame's
};
inline constexpr uint64_t no_mac = ~uint64_t{0};

namespace detail {

template <typename T>
[[nodiscard]] T load(const void* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// Six bytes and what follows them; the caller makes sure of two more.
[[nodiscard]] inline uint64_t load_mac(const void* at) noexcept {
  return load<uint64_t>(at) << 16;
}

// 0/8, 127/8, 224/4 and 240/4; for a destination that is multicast the latter two.
[[nodiscard]] inline bool is_plain_source(uint8_t first) noexcept {
  return static_cast<uint8_t>(first - 1) < 223 && first != 127;
}
[[nodiscard]] inline bool is_plain_destination(uint8_t first) noexcept {
  return first < 224;
}

// ::, ::1 and ff00::/8 are not.
[[nodiscard]] inline bool is_plain_source(const net::Ipv6Address& source) noexcept {
  const auto high = load<uint64_t>(source.bytes.data());
  const auto low = load<net::be64>(source.bytes.data() + 8).host();
  return (high != 0 || low > 1) && source.bytes[0] != 0xff;
}

// What the two families' parsers find out, before anything is written.
struct PlainHeaders {
  const uint8_t* l4;
  uint32_t l3_length;
  uint32_t l4_length;
  uint8_t protocol;
};

// Ports and flags; cuts off what follows the IP packet, where that takes no walk through segments.
[[nodiscard]] inline bool parse_plain_transport(Packet& packet, rte_mbuf* mbuf, uint8_t* frame,
                                                const PlainHeaders& found) noexcept {
  const auto offset = static_cast<uint32_t>(found.l4 - frame);
  const bool is_tcp = found.protocol == net::protocol_tcp;
  if (!is_tcp && found.protocol != net::protocol_udp) return false;
  const uint32_t header = is_tcp ? sizeof(net::TcpHeader) : sizeof(net::UdpHeader);
  if (mbuf->data_len < offset + header || found.l4_length < header) return false;
  const uint32_t length = offset + found.l4_length;
  if (mbuf->pkt_len != length) {
    if (mbuf->pkt_len < length || mbuf->nb_segs != 1) return false;
    mbuf->pkt_len = length;
    mbuf->data_len = static_cast<uint16_t>(length);
  }
  packet.mbuf = mbuf;
  packet.l3 = frame + sizeof(net::EthernetHeader);
  packet.l4 = frame + offset;
  packet.l2_length = sizeof(net::EthernetHeader);
  packet.l3_length = static_cast<uint16_t>(found.l3_length);
  packet.l4_length = static_cast<uint16_t>(found.l4_length);
  packet.protocol = found.protocol;
  packet.tcp_flags = is_tcp ? found.l4[offsetof(net::TcpHeader, flags)] : uint8_t{0};
  std::memcpy(&packet.ports, found.l4, sizeof(packet.ports));
  return true;
}

[[nodiscard]] inline bool parse_plain_ipv4(Packet& packet, rte_mbuf* mbuf,
                                           uint8_t* frame) noexcept {
  uint8_t* l3 = frame + sizeof(net::EthernetHeader);
  const auto& ip = *reinterpret_cast<const net::Ipv4Header*>(l3);
  const uint32_t length = ip.total_length.host();
  if (ip.version_ihl != 0x45 || ip.is_fragment() || length < sizeof(ip)) return false;
  if (!is_plain_source(l3[offsetof(net::Ipv4Header, source)]) ||
      !is_plain_destination(l3[offsetof(net::Ipv4Header, destination)])) {
    return false;
  }
  if (!ipv4_checksum_is_verified(mbuf->ol_flags) && !net::checksum_of_20_bytes_is_right(l3)) {
    return false;
  }
  const PlainHeaders found{.l4 = l3 + sizeof(ip),
                           .l3_length = length,
                           .l4_length = length - static_cast<uint32_t>(sizeof(ip)),
                           .protocol = ip.protocol};
  if (!parse_plain_transport(packet, mbuf, frame, found)) return false;
  packet.family = net::Family::ipv4;
  packet.key4 = flow_key<FlowKey4>(l3 + offsetof(net::Ipv4Header, source), found.l4, ip.protocol);
  return true;
}

[[nodiscard]] inline bool parse_plain_ipv6(Packet& packet, rte_mbuf* mbuf,
                                           uint8_t* frame) noexcept {
  uint8_t* l3 = frame + sizeof(net::EthernetHeader);
  const auto& ip = *reinterpret_cast<const net::Ipv6Header*>(l3);
  if (mbuf->data_len < sizeof(net::EthernetHeader) + sizeof(ip)) return false;
  const uint32_t payload = ip.payload_length.host();
  const uint32_t length = payload + static_cast<uint32_t>(sizeof(ip));
  if ((l3[0] >> 4) != 6 || length > 0xffff) return false;
  if (!is_plain_source(ip.source) || ip.destination.bytes[0] == 0xff) return false;
  const PlainHeaders found{
      .l4 = l3 + sizeof(ip), .l3_length = length, .l4_length = payload, .protocol = ip.next_header};
  if (!parse_plain_transport(packet, mbuf, frame, found)) return false;
  packet.family = net::Family::ipv6;
  packet.key6 =
      flow_key<FlowKey6>(l3 + offsetof(net::Ipv6Header, source), found.l4, ip.next_header);
  return true;
}

}  // namespace detail

// True: `packet` is a flow's, all its fields are valid but for the hash. False: nothing is said,
// `packet` and the frame are as good as untouched.
[[nodiscard]] inline bool parse_plain(const Ingress& ingress, rte_mbuf* mbuf,
                                      Packet& packet) noexcept {
  constexpr uint32_t shortest = sizeof(net::EthernetHeader) + sizeof(net::Ipv4Header);
  auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
  if (mbuf->data_len < shortest || detail::load_mac(frame) != ingress.mac) return false;
  packet.interface = ingress.interface;
  switch (reinterpret_cast<const net::EthernetHeader*>(frame)->type.host()) {
    case net::ethertype_ipv4:
      return detail::parse_plain_ipv4(packet, mbuf, frame);
    case net::ethertype_ipv6:
      return detail::parse_plain_ipv6(packet, mbuf, frame);
    default:
      return false;
  }
}

}  // namespace headgate::dataplane
