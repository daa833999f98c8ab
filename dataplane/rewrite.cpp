#include "dataplane/rewrite.h"

#include "dataplane/net/checksum.h"

namespace headgate::dataplane {
namespace {

// Sum over `length` bytes from `offset` of a frame that may have several segments.
uint64_t sum_of_frame(const rte_mbuf* mbuf, uint32_t offset, uint32_t length) noexcept {
  uint64_t sum = 0;
  bool odd = false;  // the bytes so far are an odd number: the next segment's are shifted by one
  for (; mbuf != nullptr && length > 0; mbuf = mbuf->next) {
    if (offset >= mbuf->data_len) {
      offset -= mbuf->data_len;
      continue;
    }
    const uint32_t here = std::min<uint32_t>(length, mbuf->data_len - offset);
    const auto* bytes = rte_pktmbuf_mtod_offset(mbuf, const uint8_t*, offset);
    const uint16_t part = net::checksum_fold(net::checksum_add(0, {bytes, here}));
    sum += odd ? static_cast<uint16_t>((part << 8) | (part >> 8)) : part;
    odd ^= (here & 1) != 0;
    length -= here;
    offset = 0;
  }
  return sum;
}

// RFC 6040 would copy CE as well; LVS sends ECT(0) outside, and so do we.
uint8_t outer_class(uint8_t inner) noexcept {
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

InnerFields inner_fields(const Packet& packet) noexcept {
  if (packet.is_v4()) {
    const net::Ipv4Header& ip = packet.ipv4();
    const bool dont_fragment = (ip.fragment.host() & net::ipv4_dont_fragment) != 0;
    return {net::protocol_ipip, ip.tos, ip.ttl, dont_fragment};
  }
  const net::Ipv6Header& ip = packet.ipv6();
  const auto traffic_class = static_cast<uint8_t>(ip.version_class_flow.host() >> 20);
  return {net::protocol_ipv6, traffic_class, ip.hop_limit, false};
}

void write_outer_ipv4(net::Ipv4Header& ip, const InnerFields& inner, uint16_t inner_length,
                      const net::IpAddress& source, const net::IpAddress& destination,
                      uint16_t id) noexcept {
  ip = {};
  ip.version_ihl = 0x45;
  ip.tos = outer_class(inner.traffic_class);
  ip.total_length = net::be16::from_host(static_cast<uint16_t>(sizeof(ip) + inner_length));
  ip.id = net::be16::from_host(inner.dont_fragment ? 0 : id);
  ip.fragment = net::be16::from_host(inner.dont_fragment ? net::ipv4_dont_fragment : 0);
  ip.ttl = inner.ttl;
  ip.protocol = inner.protocol;
  ip.source = source.v4();
  ip.destination = destination.v4();
  ip.checksum = net::checksum_finish(
      net::checksum_add(0, {reinterpret_cast<const uint8_t*>(&ip), sizeof(ip)}));
}

void write_outer_ipv6(net::Ipv6Header& ip, const InnerFields& inner, uint16_t inner_length,
                      const net::IpAddress& source, const net::IpAddress& destination) noexcept {
  const uint32_t traffic_class = outer_class(inner.traffic_class);
  ip.version_class_flow = net::be32::from_host((6U << 28) | (traffic_class << 20));
  ip.payload_length = net::be16::from_host(inner_length);
  ip.next_header = inner.protocol;
  ip.hop_limit = inner.ttl;
  ip.source = source.v6();
  ip.destination = destination.v6();
}

}  // namespace

void compute_udp_checksum(Packet& packet) noexcept {
  const net::IpAddress source = packet.source();
  const net::IpAddress destination = packet.destination();
  const size_t address_length = source.bits() / 8;
  uint64_t sum = net::pseudo_header_sum({source.bytes.data(), address_length},
                                        {destination.bytes.data(), address_length},
                                        net::protocol_udp, packet.l4_length);
  const auto offset =
      static_cast<uint32_t>(packet.l4 - rte_pktmbuf_mtod(packet.mbuf, const uint8_t*));
  packet.udp().checksum = {};
  sum += sum_of_frame(packet.mbuf, offset, packet.l4_length);
  const net::be16 checksum = net::checksum_finish(sum);
  packet.udp().checksum = checksum.raw() == 0 ? net::be16::from_raw(0xffff) : checksum;
}

bool encapsulate(Packet& packet, const net::IpAddress& source, const net::IpAddress& destination,
                 uint16_t id) noexcept {
  const uint16_t overhead = tunnel_overhead(destination.family);
  const InnerFields inner = inner_fields(packet);
  const uint16_t inner_length = packet.l3_length;
  if (inner_length > 0xffff - overhead) return false;
  if (rte_pktmbuf_prepend(packet.mbuf, overhead) == nullptr) return false;
  packet.l3 -= overhead;
  packet.l3_length = static_cast<uint16_t>(inner_length + overhead);
  if (destination.is_v4()) {
    write_outer_ipv4(packet.ipv4(), inner, inner_length, source, destination, id);
  } else {
    write_outer_ipv6(packet.ipv6(), inner, inner_length, source, destination);
  }
  return true;
}

}  // namespace headgate::dataplane
