#include "control/vrrp/frames.h"

#include <array>
#include <cstring>
#include <utility>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "vrrp/advert.h"

namespace headgate::control {
namespace {

// Bytes of a known number, put together from front to back.
class Writer {
 public:
  explicit Writer(size_t size) : bytes_(size) {}

  void append(std::span<const uint8_t> part) {
    if (part.empty()) return;
    std::memcpy(bytes_.data() + used_, part.data(), part.size());
    used_ += part.size();
  }
  template <typename T>
  void append_header(const T& header) {
    append({reinterpret_cast<const uint8_t*>(&header), sizeof(header)});
  }
  [[nodiscard]] std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
  size_t used_ = 0;
};

net::Ipv6Header ipv6_header(uint8_t traffic_class, size_t payload, uint8_t next_header,
                            uint8_t hop_limit) {
  net::Ipv6Header header{};
  header.version_class_flow = net::be32::from_host(6U << 28 | uint32_t{traffic_class} << 20);
  header.payload_length = net::be16::from_host(static_cast<uint16_t>(payload));
  header.next_header = next_header;
  header.hop_limit = hop_limit;
  return header;
}

net::Ipv4Header ipv4_header(size_t payload, const net::IpAddress& source,
                            const net::IpAddress& destination, uint8_t ttl, uint16_t id) {
  net::Ipv4Header header{};
  header.version_ihl = 0x45;
  header.tos = advert_tos;
  header.total_length = net::be16::from_host(static_cast<uint16_t>(sizeof(header) + payload));
  header.id = net::be16::from_host(id);
  header.ttl = ttl;
  header.protocol = vrrp::protocol_number;
  header.source = source.v4();
  header.destination = destination.v4();
  header.checksum =
      net::checksum_finish(net::checksum_of_20_bytes(reinterpret_cast<const uint8_t*>(&header)));
  return header;
}

}  // namespace

net::MacAddress multicast_mac(const net::IpAddress& group) {
  const auto& at = group.bytes;
  if (group.is_v4()) {
    return {{0x01, 0x00, 0x5e, static_cast<uint8_t>(at[1] & 0x7f), at[2], at[3]}};
  }
  return {{0x33, 0x33, at[12], at[13], at[14], at[15]}};
}

std::vector<uint8_t> advert_ipv4_packet(std::span<const uint8_t> message,
                                        const net::IpAddress& source,
                                        const net::IpAddress& destination, uint8_t ttl,
                                        uint16_t id) {
  Writer packet(sizeof(net::Ipv4Header) + message.size());
  packet.append_header(ipv4_header(message.size(), source, destination, ttl, id));
  packet.append(message);
  return packet.take();
}

EthernetFrame advert_frame(std::span<const uint8_t> message, const net::IpAddress& source,
                           const net::IpAddress& group, const net::MacAddress& sender, uint8_t ttl,
                           uint16_t id) {
  const size_t header_size = group.is_v4() ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  Writer frame(sizeof(net::EthernetHeader) + header_size + message.size());
  const uint16_t type = group.is_v4() ? net::ethertype_ipv4 : net::ethertype_ipv6;
  frame.append_header(
      net::EthernetHeader{multicast_mac(group), sender, net::be16::from_host(type)});
  if (group.is_v4()) {
    frame.append_header(ipv4_header(message.size(), source, group, ttl, id));
  } else {
    net::Ipv6Header header = ipv6_header(advert_tos, message.size(), vrrp::protocol_number, ttl);
    header.source = source.v6();
    header.destination = group.v6();
    frame.append_header(header);
  }
  frame.append(message);
  return frame.take();
}

EthernetFrame gratuitous_arp_frame(const net::MacAddress& sender, const net::IpAddress& address) {
  net::ArpHeader arp{};
  arp.hardware_type = net::be16::from_host(1);
  arp.protocol_type = net::be16::from_host(net::ethertype_ipv4);
  arp.hardware_length = sizeof(net::MacAddress);
  arp.protocol_length = sizeof(net::Ipv4Address);
  arp.operation = net::be16::from_host(net::arp_request);
  arp.sender_mac = sender;
  arp.sender_ip = address.v4();
  arp.target_mac = net::broadcast_mac;  // means nothing in a request; as keepalived has it
  arp.target_ip = address.v4();
  Writer frame(sizeof(net::EthernetHeader) + sizeof(arp));
  frame.append_header(
      net::EthernetHeader{net::broadcast_mac, sender, net::be16::from_host(net::ethertype_arp)});
  frame.append_header(arp);
  return frame.take();
}

EthernetFrame unsolicited_na_frame(const net::MacAddress& sender, const net::IpAddress& address,
                                   bool router) {
  constexpr uint32_t router_flag = 0x80000000;
  constexpr uint32_t override_flag = 0x20000000;
  static constexpr net::Ipv6Address all_nodes{
      {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01}};
  struct {
    net::IcmpHeader icmp{};
    net::NeighbourMessage message{};
    std::array<uint8_t, 2> option{2, 1};  // target link-layer address, of 8 bytes
    net::MacAddress mac;
  } payload;
  static_assert(sizeof(payload) == 32);
  payload.icmp.type = net::icmp6_neighbour_advertisement;
  payload.icmp.rest = net::be32::from_host(override_flag | (router ? router_flag : 0));
  payload.message.target = address.v6();
  payload.mac = sender;
  const std::span bytes(reinterpret_cast<const uint8_t*>(&payload), sizeof(payload));
  const uint64_t sum =
      net::pseudo_header_sum(address.bytes, all_nodes.bytes, net::protocol_icmpv6, sizeof(payload));
  payload.icmp.checksum = net::checksum_finish(net::checksum_add(sum, bytes));

  net::Ipv6Header header = ipv6_header(0, sizeof(payload), net::protocol_icmpv6, 255);
  header.source = address.v6();
  header.destination = all_nodes;
  Writer frame(sizeof(net::EthernetHeader) + sizeof(header) + sizeof(payload));
  frame.append_header(net::EthernetHeader{multicast_mac(net::IpAddress(all_nodes)), sender,
                                          net::be16::from_host(net::ethertype_ipv6)});
  frame.append_header(header);
  frame.append(bytes);
  return frame.take();
}

}  // namespace headgate::control
