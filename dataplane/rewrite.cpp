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

// What the datagram says of itself (RFC 768), where that fits into the IP packet; what follows it
// there, the receiver does not sum.
uint16_t datagram_length(const Packet& packet) noexcept {
  const uint16_t length = packet.udp().length.host();
  const bool fits = length >= sizeof(net::UdpHeader) && length <= packet.l4_length;
  return fits ? length : packet.l4_length;
}

}  // namespace

void compute_udp_checksum(Packet& packet) noexcept {
  const uint16_t length = datagram_length(packet);
  const net::IpAddress source = packet.source();
  const net::IpAddress destination = packet.destination();
  const size_t address_length = source.bits() / 8;
  uint64_t sum =
      net::pseudo_header_sum({source.bytes.data(), address_length},
                             {destination.bytes.data(), address_length}, net::protocol_udp, length);
  const auto offset =
      static_cast<uint32_t>(packet.l4 - rte_pktmbuf_mtod(packet.mbuf, const uint8_t*));
  packet.udp().checksum = {};
  sum += sum_of_frame(packet.mbuf, offset, length);
  const net::be16 checksum = net::checksum_finish(sum);
  packet.udp().checksum = checksum.raw() == 0 ? net::be16::from_raw(0xffff) : checksum;
}

void detail::write_outer_ipv6(uint8_t* l3, const InnerFields& inner, uint16_t inner_length,
                              const net::IpAddress& source,
                              const net::IpAddress& destination) noexcept {
  net::Ipv6Header& ip = *reinterpret_cast<net::Ipv6Header*>(l3);
  const uint32_t traffic_class = outer_class(inner.traffic_class);
  ip.version_class_flow = net::be32::from_host((6U << 28) | (traffic_class << 20));
  ip.payload_length = net::be16::from_host(inner_length);
  ip.next_header = inner.protocol;
  ip.hop_limit = inner.ttl;
  ip.source = source.v6();
  ip.destination = destination.v6();
}

}  // namespace headgate::dataplane
