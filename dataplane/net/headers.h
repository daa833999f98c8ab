// Header views: the layouts of Ethernet, VLAN, ARP, IPv4, IPv6, TCP, UDP and ICMP as they lie in a
// packet. Every field is bytes or a big-endian type, so a view may start at any offset.
// Sources: IEEE 802.3/802.1Q, RFC 826, 791, 8200, 9293, 768, 792, 4443, 4861.
#pragma once

#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/net/endian.h"

namespace headgate::net {

inline constexpr uint16_t ethertype_ipv4 = 0x0800;
inline constexpr uint16_t ethertype_arp = 0x0806;
inline constexpr uint16_t ethertype_vlan = 0x8100;
inline constexpr uint16_t ethertype_ipv6 = 0x86dd;
inline constexpr uint16_t ethertype_first = 0x0600;  // below: the length of an 802.3 frame (STP)
inline constexpr uint16_t ethertype_slow_protocols = 0x8809;  // LACP
inline constexpr uint16_t ethertype_lldp = 0x88cc;

// Of a frame that carries the IP packet with this first byte.
[[nodiscard]] constexpr be16 ethertype_of_ip(uint8_t first_byte) noexcept {
  return be16::from_host((first_byte >> 4) == 4 ? ethertype_ipv4 : ethertype_ipv6);
}

inline constexpr uint8_t protocol_icmp = 1;
inline constexpr uint8_t protocol_igmp = 2;
inline constexpr uint8_t protocol_ipip = 4;
inline constexpr uint8_t protocol_tcp = 6;
inline constexpr uint8_t protocol_udp = 17;
inline constexpr uint8_t protocol_ipv6 = 41;
inline constexpr uint8_t protocol_icmpv6 = 58;
inline constexpr uint8_t protocol_none = 59;  // IPv6: nothing follows
inline constexpr uint8_t protocol_ospf = 89;
inline constexpr uint8_t protocol_vrrp = 112;
inline constexpr uint8_t protocol_sctp = 132;

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  be16 type;
};
static_assert(sizeof(EthernetHeader) == 14);

struct VlanTag {
  be16 tci;   // priority 3 bits, DEI 1, VLAN id 12
  be16 type;  // of what follows
};
static_assert(sizeof(VlanTag) == 4);
inline constexpr uint16_t vlan_id_mask = 0x0fff;

struct ArpHeader {
  be16 hardware_type;
  be16 protocol_type;
  uint8_t hardware_length;
  uint8_t protocol_length;
  be16 operation;
  MacAddress sender_mac;
  Ipv4Address sender_ip;
  MacAddress target_mac;
  Ipv4Address target_ip;
};
static_assert(sizeof(ArpHeader) == 28);
inline constexpr uint16_t arp_request = 1;
inline constexpr uint16_t arp_reply = 2;

struct Ipv4Header {
  uint8_t version_ihl;
  uint8_t tos;
  be16 total_length;
  be16 id;
  be16 fragment;  // flags 3 bits, offset 13 bits in units of 8 bytes
  uint8_t ttl;
  uint8_t protocol;
  be16 checksum;
  Ipv4Address source;
  Ipv4Address destination;

  [[nodiscard]] uint8_t header_length() const noexcept {
    return static_cast<uint8_t>((version_ihl & 0x0f) * 4);
  }
  [[nodiscard]] bool is_fragment() const noexcept { return (fragment.host() & 0x3fff) != 0; }
};
static_assert(sizeof(Ipv4Header) == 20);
inline constexpr uint16_t ipv4_dont_fragment = 0x4000;
inline constexpr uint16_t ipv4_more_fragments = 0x2000;
inline constexpr uint16_t ipv4_offset_mask = 0x1fff;

struct Ipv6Header {
  be32 version_class_flow;  // version 4 bits, traffic class 8, flow label 20
  be16 payload_length;
  uint8_t next_header;
  uint8_t hop_limit;
  Ipv6Address source;
  Ipv6Address destination;
};
static_assert(sizeof(Ipv6Header) == 40);

struct Ipv6FragmentHeader {
  uint8_t next_header;
  uint8_t reserved;
  be16 offset_flags;  // offset 13 bits, reserved 2, more 1
  be32 id;
};
static_assert(sizeof(Ipv6FragmentHeader) == 8);

struct TcpHeader {
  be16 source_port;
  be16 destination_port;
  be32 sequence;
  be32 acknowledgement;
  uint8_t offset_reserved;  // data offset in words in the upper 4 bits
  uint8_t flags;
  be16 window;
  be16 checksum;
  be16 urgent;
};
static_assert(sizeof(TcpHeader) == 20);
inline constexpr uint8_t tcp_fin = 0x01;
inline constexpr uint8_t tcp_syn = 0x02;
inline constexpr uint8_t tcp_rst = 0x04;
inline constexpr uint8_t tcp_psh = 0x08;
inline constexpr uint8_t tcp_ack = 0x10;

struct UdpHeader {
  be16 source_port;
  be16 destination_port;
  be16 length;
  be16 checksum;  // 0: none (IPv4 only)
};
static_assert(sizeof(UdpHeader) == 8);

struct IcmpHeader {  // ICMPv4 and ICMPv6 alike
  uint8_t type;
  uint8_t code;
  be16 checksum;
  be32 rest;  // id and sequence, MTU, pointer, or unused
};
static_assert(sizeof(IcmpHeader) == 8);
inline constexpr uint8_t icmp4_echo_reply = 0;
inline constexpr uint8_t icmp4_unreachable = 3;
inline constexpr uint8_t icmp4_echo_request = 8;
inline constexpr uint8_t icmp4_time_exceeded = 11;
inline constexpr uint8_t icmp6_unreachable = 1;
inline constexpr uint8_t icmp6_packet_too_big = 2;
inline constexpr uint8_t icmp6_time_exceeded = 3;
inline constexpr uint8_t icmp6_echo_request = 128;
inline constexpr uint8_t icmp6_echo_reply = 129;
inline constexpr uint8_t icmp6_neighbour_solicitation = 135;
inline constexpr uint8_t icmp6_neighbour_advertisement = 136;

struct NeighbourMessage {  // RFC 4861 sections 4.3 and 4.4, after the ICMPv6 header
  Ipv6Address target;
};
static_assert(sizeof(NeighbourMessage) == 16);

}  // namespace headgate::net
