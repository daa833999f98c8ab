#include "dataplane/parse.h"

#include "dataplane/net/checksum.h"
#include "dataplane/rx_checksum.h"

namespace headgate::dataplane {
namespace {

using net::EthernetHeader;
using net::Ipv4Header;
using net::Ipv6Header;

constexpr ParseResult dropped(Verdict verdict) noexcept {
  return {FrameKind::drop, verdict};
}
constexpr ParseResult found(FrameKind kind) noexcept {
  return {kind, Verdict::twin_not_ours};
}

// Frames of layer 2 that keep a link alive.
constexpr bool is_link_control(uint16_t type) noexcept {
  return type < net::ethertype_first || type == net::ethertype_slow_protocols ||
         type == net::ethertype_lldp;
}

// IP multicast that keeps neighbours, groups and routes alive. A flood of other multicast must not
// get in its way.
constexpr bool is_multicast_control(uint8_t protocol) noexcept {
  return protocol == net::protocol_igmp || protocol == net::protocol_icmpv6 ||
         protocol == net::protocol_ospf || protocol == net::protocol_vrrp ||
         protocol == 0;  // hop-by-hop options: MLD (RFC 3810)
}

constexpr ParseResult multicast(uint8_t protocol) noexcept {
  return found(is_multicast_control(protocol) ? FrameKind::twin_control : FrameKind::twin_other);
}

// RFC 1122 section 3.2.1.3: 0/8, 127/8, 224/4 and 240/4 are never the source of a packet on the
// wire (240/4 holds the broadcast address).
bool is_bad_source(net::Ipv4Address source) noexcept {
  const auto first = static_cast<uint8_t>(source.host() >> 24);
  return first == 0 || first == 127 || first >= 224;
}

// RFC 4291: the unspecified address, the loopback address and multicast are no sources.
bool is_bad_source(const net::Ipv6Address& source) noexcept {
  static constexpr net::Ipv6Address loopback{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  return source.bytes[0] == 0xff || source == net::Ipv6Address{} || source == loopback;
}

// Cuts the frame to `length` bytes; false when it has fewer.
bool trim_to(rte_mbuf* mbuf, uint32_t length) noexcept {
  const uint32_t surplus = mbuf->pkt_len - length;
  if (mbuf->pkt_len < length) return false;
  return surplus == 0 || rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(surplus)) == 0;
}

ParseResult parse_transport(Packet& packet, uint32_t contiguous) noexcept {
  switch (packet.protocol) {
    case net::protocol_tcp: {
      if (packet.l4_length < sizeof(net::TcpHeader) || contiguous < sizeof(net::TcpHeader)) {
        return dropped(Verdict::drop_truncated);
      }
      std::memcpy(&packet.ports, packet.l4, sizeof(packet.ports));
      packet.tcp_flags = packet.tcp().flags;
      return found(FrameKind::flow);
    }
    case net::protocol_udp: {
      if (packet.l4_length < sizeof(net::UdpHeader) || contiguous < sizeof(net::UdpHeader)) {
        return dropped(Verdict::drop_truncated);
      }
      std::memcpy(&packet.ports, packet.l4, sizeof(packet.ports));
      return found(FrameKind::flow);
    }
    case net::protocol_icmp:
    case net::protocol_icmpv6: {
      const bool same_family = (packet.protocol == net::protocol_icmp) == packet.is_v4();
      if (!same_family) return found(FrameKind::other_ip);
      if (packet.l4_length < sizeof(net::IcmpHeader) || contiguous < sizeof(net::IcmpHeader)) {
        return dropped(Verdict::drop_truncated);
      }
      return found(FrameKind::icmp);
    }
    default:
      return found(FrameKind::other_ip);
  }
}

ParseResult parse_ipv4(Packet& packet, uint32_t contiguous) noexcept {
  if (contiguous < sizeof(Ipv4Header)) return dropped(Verdict::drop_truncated);
  const Ipv4Header& ip = packet.ipv4();
  const uint8_t header_length = ip.header_length();
  if ((ip.version_ihl >> 4) != 4 || header_length < sizeof(Ipv4Header)) {
    return dropped(Verdict::drop_malformed);
  }
  packet.l3_length = ip.total_length.host();
  if (packet.l3_length < header_length) return dropped(Verdict::drop_malformed);
  if (contiguous < header_length ||
      !trim_to(packet.mbuf, uint32_t{packet.l2_length} + packet.l3_length)) {
    return dropped(Verdict::drop_truncated);
  }
  if (!ipv4_checksum_is_verified(packet.mbuf->ol_flags) &&
      net::checksum_fold(net::checksum_add(0, {packet.l3, header_length})) != 0xffff) {
    return dropped(Verdict::drop_ip_checksum);
  }
  packet.protocol = ip.protocol;
  packet.l4 = packet.l3 + header_length;
  packet.l4_length = static_cast<uint16_t>(packet.l3_length - header_length);
  const bool multicast_destination = (ip.destination.host() >> 28) >= 14;
  if (multicast_destination) return multicast(ip.protocol);
  if (is_bad_source(ip.source)) return dropped(Verdict::drop_bad_source);
  if (ip.is_fragment()) return found(FrameKind::fragment);
  return parse_transport(packet, contiguous - header_length);
}

// Walks the extension headers of RFC 8200 up to the transport header. The chain is bounded: a
// packet with more of them than any sender has reason for is malformed.
ParseResult parse_ipv6_chain(Packet& packet, uint32_t contiguous) noexcept {
  static constexpr int longest_chain = 8;
  uint8_t next = packet.ipv6().next_header;
  uint32_t offset = sizeof(Ipv6Header);
  for (int i = 0; i < longest_chain; ++i) {
    uint32_t length = 0;
    switch (next) {
      case 0:     // hop-by-hop options
      case 43:    // routing
      case 60: {  // destination options
        if (offset + 8 > contiguous || offset + 8 > packet.l3_length) {
          return dropped(Verdict::drop_truncated);
        }
        length = (packet.l3[offset + 1] + 1U) * 8;
        break;
      }
      case 44: {
        if (offset + sizeof(net::Ipv6FragmentHeader) > packet.l3_length ||
            offset + sizeof(net::Ipv6FragmentHeader) > contiguous) {
          return dropped(Verdict::drop_truncated);
        }
        packet.l4 = packet.l3 + offset;
        packet.l4_length = static_cast<uint16_t>(packet.l3_length - offset);
        packet.protocol = next;
        return found(FrameKind::fragment);
      }
      default: {
        packet.protocol = next;
        packet.l4 = packet.l3 + offset;
        packet.l4_length = static_cast<uint16_t>(packet.l3_length - offset);
        return parse_transport(packet, contiguous - offset);
      }
    }
    next = packet.l3[offset];
    offset += length;
    if (offset > packet.l3_length || offset > contiguous) return dropped(Verdict::drop_truncated);
  }
  return dropped(Verdict::drop_malformed);
}

// IPv6 multicast is the kernel's, but a solicitation for an address of ours may be answered here:
// the solicited-node groups (RFC 4291 section 2.7.1) are looked into.
ParseResult parse_ipv6_multicast(Packet& packet, uint32_t contiguous) noexcept {
  const net::Ipv6Header& ip = packet.ipv6();
  const auto& group = ip.destination.bytes;
  const bool solicited_node = group[1] == 0x02 && group[11] == 1 && group[12] == 0xff;
  if (solicited_node && ip.next_header == net::protocol_icmpv6) {
    const ParseResult result = parse_ipv6_chain(packet, contiguous);
    if (result.kind == FrameKind::icmp && packet.icmp().type == net::icmp6_neighbour_solicitation) {
      return result;
    }
  }
  return multicast(ip.next_header);
}

ParseResult parse_ipv6(Packet& packet, uint32_t contiguous) noexcept {
  if (contiguous < sizeof(Ipv6Header)) return dropped(Verdict::drop_truncated);
  const Ipv6Header& ip = packet.ipv6();
  if ((ip.version_class_flow.host() >> 28) != 6) return dropped(Verdict::drop_malformed);
  const uint32_t length = sizeof(Ipv6Header) + ip.payload_length.host();
  if (length > 0xffff || !trim_to(packet.mbuf, packet.l2_length + length)) {
    return dropped(Verdict::drop_truncated);
  }
  packet.l3_length = static_cast<uint16_t>(length);
  if (ip.destination.bytes[0] == 0xff) return parse_ipv6_multicast(packet, contiguous);
  if (is_bad_source(ip.source)) {
    // Duplicate address detection (RFC 4862) comes from the unspecified address.
    const bool unspecified_nd =
        ip.source == net::Ipv6Address{} && ip.next_header == net::protocol_icmpv6;
    return unspecified_nd ? found(FrameKind::twin_control) : dropped(Verdict::drop_bad_source);
  }
  return parse_ipv6_chain(packet, contiguous);
}

// What stands in front of layer 3. False when the frame is too short for it.
bool parse_ethernet(rte_mbuf* mbuf, Packet& packet, uint16_t& type, uint16_t& vlan) noexcept {
  packet.mbuf = mbuf;
  packet.interface = none16;
  packet.l2_length = sizeof(EthernetHeader);
  packet.tcp_flags = 0;
  packet.ports = 0;  // a fragment has a protocol, but none of these
  if (mbuf->data_len < sizeof(EthernetHeader)) return false;
  const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  type = reinterpret_cast<const EthernetHeader*>(frame)->type.host();
  vlan = 0;
  if (type != net::ethertype_vlan) return true;
  if (mbuf->data_len < sizeof(EthernetHeader) + sizeof(net::VlanTag)) return false;
  const auto& tag = *reinterpret_cast<const net::VlanTag*>(frame + sizeof(EthernetHeader));
  vlan = tag.tci.host() & net::vlan_id_mask;  // 0: a priority tag, as if untagged
  type = tag.type.host();
  packet.l2_length += sizeof(net::VlanTag);
  return true;
}

// `type`: that of IPv4 or IPv6.
ParseResult parse_layer3(Packet& packet, uint16_t type) noexcept {
  const uint32_t contiguous = packet.mbuf->data_len - uint32_t{packet.l2_length};
  packet.l3 = rte_pktmbuf_mtod_offset(packet.mbuf, uint8_t*, packet.l2_length);
  packet.family = type == net::ethertype_ipv4 ? net::Family::ipv4 : net::Family::ipv6;
  return packet.is_v4() ? parse_ipv4(packet, contiguous) : parse_ipv6(packet, contiguous);
}

}  // namespace

uint16_t interface_of(RegionView region, const SnapshotRoot& root, uint16_t port,
                      uint16_t vlan) noexcept {
  if (port >= root.ports.count) return none16;
  const PortEntry& entry = region.element(root.ports, port);
  if (vlan == 0) return entry.untagged_interface;
  if (vlan >= entry.vlan_interfaces.count) return none16;
  return region.element(entry.vlan_interfaces, vlan);
}

bool take_virtual_mac(RegionView region, const SnapshotRoot& root, uint16_t interface,
                      net::EthernetHeader& ethernet) noexcept {
  const net::MacAddress mac = ethernet.destination;
  const net::Family family = mac.bytes[4] == 1 ? net::Family::ipv4 : net::Family::ipv6;
  const uint8_t vrid = mac.bytes[5];
  if (mac != net::virtual_mac(family, vrid) || interface >= root.virtual_macs.count ||
      !region.element(root.virtual_macs, interface).has(family, vrid)) {
    return false;
  }
  ethernet.destination = region.element(root.interfaces, interface).mac;
  return true;
}

ParseResult parse_frame(RegionView region, const SnapshotRoot& root, rte_mbuf* mbuf, uint16_t port,
                        Packet& packet) noexcept {
  uint16_t type = 0;
  uint16_t vlan = 0;
  if (!parse_ethernet(mbuf, packet, type, vlan)) return dropped(Verdict::drop_truncated);
  auto& ethernet = *rte_pktmbuf_mtod(mbuf, EthernetHeader*);
  packet.interface = interface_of(region, root, port, vlan);
  if (packet.interface == none16) return found(FrameKind::twin_other);
  const bool for_us =
      ethernet.destination == region.element(root.interfaces, packet.interface).mac ||
      take_virtual_mac(region, root, packet.interface, ethernet);
  if (!for_us && !ethernet.destination.is_multicast()) return dropped(Verdict::drop_not_for_us);
  if (type == net::ethertype_arp) return found(FrameKind::arp);
  if (type != net::ethertype_ipv4 && type != net::ethertype_ipv6) {
    return found(is_link_control(type) ? FrameKind::twin_control : FrameKind::twin_other);
  }
  const ParseResult result = parse_layer3(packet, type);
  if (for_us || result.kind == FrameKind::drop) return result;
  // A broadcast or multicast frame never carries a connection's packet (RFC 1122 section 3.3.6).
  if (result.kind == FrameKind::twin_control) return result;
  const bool solicitation = result.kind == FrameKind::icmp && !packet.is_v4() &&
                            packet.ipv6().destination.bytes[0] == 0xff;
  return solicitation ? result : found(FrameKind::twin_other);
}

ParseResult parse_ip(Packet& packet) noexcept {
  uint16_t type = 0;
  uint16_t vlan = 0;
  if (!parse_ethernet(packet.mbuf, packet, type, vlan)) return dropped(Verdict::drop_truncated);
  if (type != net::ethertype_ipv4 && type != net::ethertype_ipv6) {
    return found(FrameKind::twin_other);
  }
  return parse_layer3(packet, type);
}

}  // namespace headgate::dataplane
