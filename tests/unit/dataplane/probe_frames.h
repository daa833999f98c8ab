// Frames of TCP, UDP and ICMP errors for tests of probes, and whether their checksums are right.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/net/address.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace headgate::test {

using Bytes = std::vector<uint8_t>;

inline net::IpAddress ip(std::string_view text) {
  return net::parse_ip(text).value();
}

struct FrameSpec {
  net::IpAddress source;
  net::IpAddress destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t protocol = net::protocol_tcp;
  uint8_t tcp_flags = net::tcp_ack;
  uint16_t vlan = 0;
  std::string payload{};
};

template <typename T>
void append(Bytes& to, const T& header) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  to.insert(to.end(), bytes, bytes + sizeof(header));
}

inline uint64_t pseudo_sum(const net::IpAddress& source, const net::IpAddress& destination,
                           uint8_t protocol, size_t length) {
  const size_t bytes = source.bits() / 8;
  return net::pseudo_header_sum({source.bytes.data(), bytes}, {destination.bytes.data(), bytes},
                                protocol, static_cast<uint32_t>(length));
}

// The IP packet around a transport segment whose checksum is at `checksum_at`.
inline Bytes ip_packet(const net::IpAddress& source, const net::IpAddress& destination,
                       uint8_t protocol, Bytes l4, size_t checksum_at) {
  const bool no_pseudo = protocol == net::protocol_icmp;
  const uint64_t sum =
      net::checksum_add(no_pseudo ? 0 : pseudo_sum(source, destination, protocol, l4.size()), l4);
  const net::be16 checksum = net::checksum_finish(sum);
  std::memcpy(l4.data() + checksum_at, &checksum, sizeof(checksum));
  Bytes packet;
  if (source.is_v4()) {
    net::Ipv4Header header{};
    header.version_ihl = 0x45;
    header.total_length = net::be16::from_host(static_cast<uint16_t>(sizeof(header) + l4.size()));
    header.fragment = net::be16::from_host(net::ipv4_dont_fragment);
    header.ttl = 64;
    header.protocol = protocol;
    header.source = source.v4();
    header.destination = destination.v4();
    header.checksum = net::checksum_finish(
        net::checksum_add(0, {reinterpret_cast<const uint8_t*>(&header), sizeof(header)}));
    append(packet, header);
  } else {
    net::Ipv6Header header{};
    header.version_class_flow = net::be32::from_host(6U << 28);
    header.payload_length = net::be16::from_host(static_cast<uint16_t>(l4.size()));
    header.next_header = protocol;
    header.hop_limit = 64;
    header.source = source.v6();
    header.destination = destination.v6();
    append(packet, header);
  }
  packet.insert(packet.end(), l4.begin(), l4.end());
  return packet;
}

inline Bytes packet_of(const FrameSpec& spec) {
  Bytes l4;
  size_t checksum_at = offsetof(net::TcpHeader, checksum);
  if (spec.protocol == net::protocol_tcp) {
    net::TcpHeader tcp{};
    tcp.source_port = net::be16::from_host(spec.source_port);
    tcp.destination_port = net::be16::from_host(spec.destination_port);
    tcp.sequence = net::be32::from_host(1000);
    tcp.offset_reserved = 5 << 4;
    tcp.flags = spec.tcp_flags;
    append(l4, tcp);
  } else {
    net::UdpHeader udp{};
    udp.source_port = net::be16::from_host(spec.source_port);
    udp.destination_port = net::be16::from_host(spec.destination_port);
    udp.length = net::be16::from_host(static_cast<uint16_t>(sizeof(udp) + spec.payload.size()));
    append(l4, udp);
    checksum_at = offsetof(net::UdpHeader, checksum);
  }
  l4.insert(l4.end(), spec.payload.begin(), spec.payload.end());
  return ip_packet(spec.source, spec.destination, spec.protocol, std::move(l4), checksum_at);
}

inline constexpr net::MacAddress twin_mac{{2, 0, 0, 0, 0, 1}};
inline constexpr net::MacAddress other_mac{{2, 0, 0, 0, 0, 9}};

inline Bytes framed(const Bytes& packet, uint16_t vlan, net::MacAddress source,
                    net::MacAddress destination) {
  Bytes frame;
  const net::be16 type = net::ethertype_of_ip(packet.front());
  append(frame, net::EthernetHeader{destination, source,
                                    vlan == 0 ? type : net::be16::from_host(net::ethertype_vlan)});
  if (vlan != 0) append(frame, net::VlanTag{net::be16::from_host(vlan), type});
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

// By the kernel, or to it.
inline Bytes frame_of(const FrameSpec& spec, net::MacAddress source = twin_mac,
                      net::MacAddress destination = other_mac) {
  return framed(packet_of(spec), spec.vlan, source, destination);
}

// About the packet `about`, of which `quoted` bytes are told.
inline Bytes icmp_error(const net::IpAddress& from, const net::IpAddress& to, const Bytes& about,
                        size_t quoted, uint8_t code = 3) {
  net::IcmpHeader icmp{};
  icmp.type = from.is_v4() ? net::icmp4_unreachable : net::icmp6_unreachable;
  icmp.code = code;
  Bytes l4;
  append(l4, icmp);
  l4.insert(l4.end(), about.begin(), about.begin() + static_cast<ptrdiff_t>(quoted));
  return ip_packet(from, to, from.is_v4() ? net::protocol_icmp : net::protocol_icmpv6,
                   std::move(l4), offsetof(net::IcmpHeader, checksum));
}

}  // namespace headgate::test
