#include "dataplane/originate.h"

#include <algorithm>

#include "dataplane/net/checksum.h"

namespace headgate::dataplane {
namespace {

constexpr uint8_t own_ttl = 64;
constexpr uint16_t l2_room = sizeof(net::EthernetHeader);
constexpr net::Ipv6Address all_nodes{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr net::MacAddress all_nodes_mac{{0x33, 0x33, 0, 0, 0, 1}};
// An ICMPv4 error has at most 576 bytes (RFC 1812 section 4.3.2.3), an ICMPv6 one 1280 (RFC 4443
// section 2.4).
constexpr uint16_t icmp4_error_limit = 576;
constexpr uint16_t icmp6_error_limit = 1280;

// What a question for an address's MAC gets.
enum class Question : uint8_t {
  ours,
  kernels,  // no VIP or local address of ours: the twin's, if anybody's
  // Another router is master, yet the twin holds the address: two answers would be one too many.
  withheld,
};

Question question_about(const Worker& worker, const net::IpAddress& address) noexcept {
  const uint8_t flags = find_address(worker.region, *worker.root, address);
  if ((flags & (address_vip | address_local)) == 0) return Question::kernels;
  if (!is_inactive(worker.region, *worker.root, address)) return Question::ours;
  return (flags & address_host) != 0 ? Question::withheld : Question::kernels;
}

void leave_question(Worker& worker, Packet& packet, Question question) noexcept {
  if (question == Question::withheld) {
    return drop(worker, packet.mbuf, Verdict::drop_vip_inactive);
  }
  to_twin(worker, packet.mbuf, TwinClass::control, Verdict::twin_control);
}

// The MAC of an address of ours as a question on this interface is answered: the virtual router's
// where it has one (RFC 9568 sections 8.1.2 and 8.2.2).
net::MacAddress mac_of(const Worker& worker, const net::IpAddress& address,
                       uint16_t interface) noexcept {
  const OwnershipSlot* slot = find_ownership(worker.region, *worker.root, address);
  if (slot != nullptr && slot->vrid != 0 && slot->interface == interface) {
    return net::virtual_mac(address.family, slot->vrid);
  }
  return worker.interface(interface).mac;
}

bool may_answer(Worker& worker) noexcept {
  return worker.answer_bucket.take(worker.now.ns, worker.root->settings.answers_per_second);
}

// An empty packet of `length` bytes of IP behind room for the Ethernet header, or null.
rte_mbuf* new_packet(Worker& worker, uint16_t length) noexcept {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(worker.shared.mempool);
  if (mbuf == nullptr) return nullptr;
  if (rte_pktmbuf_append(mbuf, static_cast<uint16_t>(l2_room + length)) == nullptr) {
    rte_pktmbuf_free(mbuf);
    return nullptr;
  }
  return mbuf;
}

// Copies `length` bytes of the IP packet, which may lie in several segments.
bool copy_of_packet(const Packet& packet, uint16_t length, uint8_t* to) noexcept {
  const auto offset =
      static_cast<uint32_t>(packet.l3 - rte_pktmbuf_mtod(packet.mbuf, const uint8_t*));
  const void* bytes = rte_pktmbuf_read(packet.mbuf, offset, length, to);
  if (bytes == nullptr) return false;
  if (bytes != to) std::copy_n(static_cast<const uint8_t*>(bytes), length, to);
  return true;
}

void write_ip_header(uint8_t* at, const net::IpAddress& source, const net::IpAddress& destination,
                     uint8_t protocol, uint8_t traffic_class, uint16_t id, bool dont_fragment,
                     uint16_t payload_length) noexcept {
  if (source.is_v4()) {
    auto& ip = *reinterpret_cast<net::Ipv4Header*>(at);
    ip = {};
    ip.version_ihl = 0x45;
    ip.tos = traffic_class;
    ip.total_length = net::be16::from_host(static_cast<uint16_t>(sizeof(ip) + payload_length));
    ip.id = net::be16::from_host(id);
    ip.fragment = net::be16::from_host(dont_fragment ? net::ipv4_dont_fragment : 0);
    ip.ttl = own_ttl;
    ip.protocol = protocol;
    ip.source = source.v4();
    ip.destination = destination.v4();
    ip.checksum = net::checksum_finish(net::checksum_add(0, {at, sizeof(ip)}));
    return;
  }
  auto& ip = *reinterpret_cast<net::Ipv6Header*>(at);
  ip.version_class_flow = net::be32::from_host((6U << 28) | (uint32_t{traffic_class} << 20));
  ip.payload_length = net::be16::from_host(payload_length);
  ip.next_header = protocol;
  ip.hop_limit = own_ttl;
  ip.source = source.v6();
  ip.destination = destination.v6();
}

uint16_t ip_header_length(const net::IpAddress& address) noexcept {
  return address.is_v4() ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
}

uint64_t pseudo_sum(const net::IpAddress& source, const net::IpAddress& destination,
                    uint8_t protocol, uint16_t length) noexcept {
  const size_t bytes = source.bits() / 8;
  return net::pseudo_header_sum({source.bytes.data(), bytes}, {destination.bytes.data(), bytes},
                                protocol, length);
}

void send_own(Worker& worker, rte_mbuf* mbuf, const net::IpAddress& destination,
              Verdict verdict) noexcept {
  worker.counters.worker->originated.add(1);
  transmit(worker, mbuf, l2_room, route_to(worker, destination), verdict);
}

struct TypeAndCode {
  uint8_t type;
  uint8_t code;
};

TypeAndCode type_and_code(IcmpError error, bool v4) noexcept {
  switch (error) {
    case IcmpError::port_unreachable:
      return v4 ? TypeAndCode{net::icmp4_unreachable, 3} : TypeAndCode{net::icmp6_unreachable, 4};
    case IcmpError::protocol_unreachable:
      // ICMPv6 says it with a parameter problem: unrecognized next header.
      return v4 ? TypeAndCode{net::icmp4_unreachable, 2} : TypeAndCode{4, 1};
    case IcmpError::host_unreachable:
      return v4 ? TypeAndCode{net::icmp4_unreachable, 1} : TypeAndCode{net::icmp6_unreachable, 3};
    case IcmpError::time_exceeded:
      return v4 ? TypeAndCode{net::icmp4_time_exceeded, 0}
                : TypeAndCode{net::icmp6_time_exceeded, 0};
    case IcmpError::too_big:
      return v4 ? TypeAndCode{net::icmp4_unreachable, 4}
                : TypeAndCode{net::icmp6_packet_too_big, 0};
  }
  return {net::icmp4_unreachable, 0};
}

// The second word of the message: the MTU, or the place of the unrecognized next header.
net::be32 rest_of(const Packet& packet, IcmpError error, uint16_t mtu) noexcept {
  if (error == IcmpError::too_big) return net::be32::from_host(mtu);
  if (error == IcmpError::protocol_unreachable && !packet.is_v4()) {
    const bool direct = packet.l4 == packet.l3 + sizeof(net::Ipv6Header);
    return net::be32::from_host(direct ? offsetof(net::Ipv6Header, next_header)
                                       : static_cast<uint32_t>(sizeof(net::Ipv6Header)));
  }
  return {};
}

// RFC 1122 section 3.2.2: no error about an error, and none to a source that is no single host.
bool deserves_error(const Packet& packet) noexcept {
  if (packet.protocol == net::protocol_icmp && packet.is_v4()) {
    const uint8_t type = packet.icmp().type;
    return type == net::icmp4_echo_request || type == net::icmp4_echo_reply;
  }
  if (packet.protocol == net::protocol_icmpv6 && !packet.is_v4()) {
    return packet.icmp().type >= 128;  // RFC 4443: errors are 0 to 127
  }
  return true;
}

// RFC 1812 section 4.3.2.5: precedence 6, and the TOS bits of the packet.
uint8_t error_traffic_class(const Packet& packet) noexcept {
  static constexpr uint8_t internetwork_control = 0xc0;
  static constexpr uint8_t tos_bits = 0x1e;
  if (!packet.is_v4()) return 0;
  return static_cast<uint8_t>((packet.ipv4().tos & tos_bits) | internetwork_control);
}

// A request for IPv4 over Ethernet that wants an answer. One that announces its sender's own
// address (RFC 5227 section 3) does not.
bool is_arp_question(const net::ArpHeader& arp) noexcept {
  return arp.hardware_type.host() == 1 && arp.protocol_type.host() == net::ethertype_ipv4 &&
         arp.hardware_length == sizeof(net::MacAddress) &&
         arp.protocol_length == sizeof(net::Ipv4Address) &&
         arp.operation.host() == net::arp_request && !arp.sender_mac.is_multicast() &&
         arp.sender_ip != arp.target_ip;
}

// RFC 4861 section 7.1.1: hop limit 255, code 0, a right checksum, at least 24 bytes (which the
// caller has looked at).
bool is_valid_solicitation(const Packet& packet) noexcept {
  return packet.ipv6().hop_limit == 255 && packet.icmp().code == 0 &&
         net::checksum_fold(net::checksum_add(pseudo_sum(packet.source(), packet.destination(),
                                                         net::protocol_icmpv6, packet.l4_length),
                                              {packet.l4, packet.l4_length})) == 0xffff;
}

bool is_unspecified(const net::IpAddress& address) noexcept {
  return address.bytes == decltype(address.bytes){};
}

uint8_t traffic_class_of(const Packet& packet) noexcept {
  if (packet.is_v4()) return packet.ipv4().tos;
  return static_cast<uint8_t>(packet.ipv6().version_class_flow.host() >> 20);
}

struct ResetNumbers {
  net::be32 sequence;
  net::be32 acknowledgement;
  uint8_t flags;
};

// On account of the TCP segment `packet`.
void send_reset(Worker& worker, const Packet& packet, const Endpoints& ends,
                const ResetNumbers& numbers) noexcept {
  if (!worker.rst_bucket.take(worker.now.ns, worker.root->settings.rst_per_second)) return;
  const uint16_t header = ip_header_length(ends.source);
  rte_mbuf* mbuf = new_packet(worker, static_cast<uint16_t>(header + sizeof(net::TcpHeader)));
  if (mbuf == nullptr) return;
  auto* l3 = rte_pktmbuf_mtod_offset(mbuf, uint8_t*, l2_room);
  auto& reset = *reinterpret_cast<net::TcpHeader*>(l3 + header);
  reset = {};
  reset.source_port = ends.source_port;
  reset.destination_port = ends.destination_port;
  reset.offset_reserved = 5 << 4;
  reset.flags = numbers.flags;
  reset.sequence = numbers.sequence;
  reset.acknowledgement = numbers.acknowledgement;
  reset.checksum = net::checksum_finish(
      net::checksum_add(pseudo_sum(ends.source, ends.destination, net::protocol_tcp, sizeof(reset)),
                        {reinterpret_cast<const uint8_t*>(&reset), sizeof(reset)}));
  write_ip_header(l3, ends.source, ends.destination, net::protocol_tcp, traffic_class_of(packet), 0,
                  true, sizeof(reset));
  send_own(worker, mbuf, ends.destination, Verdict::sent_rst);
}

}  // namespace

void answer_arp(Worker& worker, Packet& packet) noexcept {
  if (packet.mbuf->data_len < packet.l2_length + sizeof(net::ArpHeader)) {
    return drop(worker, packet.mbuf, Verdict::drop_truncated);
  }
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  auto& ethernet = *reinterpret_cast<net::EthernetHeader*>(frame);
  auto& arp = *reinterpret_cast<net::ArpHeader*>(frame + packet.l2_length);
  const Question question =
      is_arp_question(arp) ? question_about(worker, arp.target_ip) : Question::kernels;
  if (question != Question::ours) return leave_question(worker, packet, question);
  if (!may_answer(worker)) return drop(worker, packet.mbuf, Verdict::drop_rate_limited);
  // Whatever followed the request is not sent back.
  const auto length = static_cast<uint16_t>(packet.l2_length + sizeof(net::ArpHeader));
  if (rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(packet.mbuf->pkt_len - length)) != 0) {
    return drop(worker, packet.mbuf, Verdict::drop_malformed);
  }
  const net::Ipv4Address asked_for = arp.target_ip;
  const net::MacAddress mac = mac_of(worker, asked_for, packet.interface);
  ethernet.destination = arp.sender_mac;
  ethernet.source = mac;
  arp.operation = net::be16::from_host(net::arp_reply);
  arp.target_mac = arp.sender_mac;
  arp.target_ip = arp.sender_ip;
  arp.sender_mac = mac;
  arp.sender_ip = asked_for;
  transmit_frame(worker, packet.mbuf, worker.interface(packet.interface).port,
                 Verdict::sent_arp_reply);
}

void answer_echo(Worker& worker, Packet& packet) noexcept {
  const uint32_t rate = worker.root->settings.echo_per_second;
  if (!worker.echo_bucket.take(worker.now.ns, rate))
    return drop(worker, packet.mbuf, Verdict::drop_rate_limited);
  const NextHop& hop = route_to(worker, packet.source());
  net::ChecksumDelta delta;
  net::IcmpHeader& icmp = packet.icmp();
  const std::array<uint8_t, 2> before{icmp.type, icmp.code};
  icmp.type = packet.is_v4() ? net::icmp4_echo_reply : net::icmp6_echo_reply;
  const std::array<uint8_t, 2> after{icmp.type, icmp.code};
  delta.replace(before, after);
  icmp.checksum = delta.apply(icmp.checksum);  // the pseudo-header's sum does not mind the swap
  if (packet.is_v4()) {
    net::Ipv4Header& ip = packet.ipv4();
    std::swap(ip.source, ip.destination);
    ip.ttl = own_ttl;
    ip.id = net::be16::from_host(worker.ip_id++);
    ip.fragment = {};
    ip.checksum = {};
    ip.checksum = net::checksum_finish(net::checksum_add(0, {packet.l3, ip.header_length()}));
  } else {
    net::Ipv6Header& ip = packet.ipv6();
    std::swap(ip.source, ip.destination);
    ip.hop_limit = own_ttl;
  }
  transmit(worker, packet.mbuf, packet.l2_length, hop, Verdict::sent_echo_reply);
}

void answer_solicitation(Worker& worker, Packet& packet) noexcept {
  static constexpr uint16_t shortest = sizeof(net::IcmpHeader) + sizeof(net::NeighbourMessage);
  const auto contiguous = static_cast<uint32_t>(
      packet.mbuf->data_len - (packet.l4 - rte_pktmbuf_mtod(packet.mbuf, uint8_t*)));
  if (packet.l4_length < shortest || contiguous < packet.l4_length) {
    return drop(worker, packet.mbuf, Verdict::drop_truncated);
  }
  auto& message = *reinterpret_cast<net::NeighbourMessage*>(packet.l4 + sizeof(net::IcmpHeader));
  const net::Ipv6Address target = message.target;
  const Question question =
      is_valid_solicitation(packet) ? question_about(worker, target) : Question::kernels;
  if (question != Question::ours) return leave_question(worker, packet, question);
  if (!may_answer(worker)) return drop(worker, packet.mbuf, Verdict::drop_rate_limited);

  // The advertisement: our MAC as its only option, override flag, and solicited flag (section 4.4).
  // Who asks from the unspecified address, to learn whether the address is free, is told with all
  // others on the link (section 7.2.4).
  static constexpr uint16_t length = shortest + 8;
  static constexpr uint32_t override_flag = 0x20000000;
  static constexpr uint32_t solicited_flag = 0x40000000;
  const auto l4_offset = static_cast<uint16_t>(packet.l2_length + sizeof(net::Ipv6Header));
  const bool nobody = is_unspecified(packet.source());
  const net::Ipv6Address asker = nobody ? all_nodes : packet.source().v6();
  const net::MacAddress mac = mac_of(worker, target, packet.interface);
  rte_mbuf* mbuf = packet.mbuf;
  const auto frame_length = static_cast<uint16_t>(l4_offset + length);
  if (mbuf->nb_segs != 1 || mbuf->data_off + frame_length > mbuf->buf_len) {
    return drop(worker, mbuf, Verdict::drop_no_mbuf);
  }
  mbuf->data_len = frame_length;
  mbuf->pkt_len = frame_length;
  auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
  auto& ethernet = *reinterpret_cast<net::EthernetHeader*>(frame);
  ethernet.destination = nobody ? all_nodes_mac : ethernet.source;
  ethernet.source = mac;
  write_ip_header(frame + packet.l2_length, target, asker, net::protocol_icmpv6, 0, 0, false,
                  length);
  packet.ipv6().hop_limit = 255;
  uint8_t* l4 = frame + l4_offset;
  auto& icmp = *reinterpret_cast<net::IcmpHeader*>(l4);
  icmp = {net::icmp6_neighbour_advertisement,
          0,
          {},
          net::be32::from_host(nobody ? override_flag : override_flag | solicited_flag)};
  std::copy_n(target.bytes.begin(), 16, l4 + sizeof(icmp));
  l4[shortest] = 2;  // target link-layer address
  l4[shortest + 1] = 1;
  std::copy_n(mac.bytes.begin(), 6, l4 + shortest + 2);
  icmp.checksum = net::checksum_finish(
      net::checksum_add(pseudo_sum(target, asker, net::protocol_icmpv6, length), {l4, length}));
  transmit_frame(worker, mbuf, worker.interface(packet.interface).port, Verdict::sent_nd_reply);
}

uint16_t originate_icmp_error(Worker& worker, const Packet& packet, IcmpError error,
                              const net::IpAddress& from, uint16_t mtu) noexcept {
  if (!deserves_error(packet) || from.family != packet.family || is_unspecified(from)) {
    return 0;
  }
  if (!worker.icmp_bucket.take(worker.now.ns, worker.root->settings.icmp_per_second)) {
    return 0;
  }
  const uint16_t header = ip_header_length(from);
  const uint16_t limit = packet.is_v4() ? icmp4_error_limit : icmp6_error_limit;
  const auto room = static_cast<uint16_t>(limit - header - sizeof(net::IcmpHeader));
  const uint16_t quoted = std::min(packet.l3_length, room);
  const auto length = static_cast<uint16_t>(sizeof(net::IcmpHeader) + quoted);
  rte_mbuf* mbuf = new_packet(worker, static_cast<uint16_t>(header + length));
  if (mbuf == nullptr) return 0;
  auto* l3 = rte_pktmbuf_mtod_offset(mbuf, uint8_t*, l2_room);
  uint8_t* l4 = l3 + header;
  if (!copy_of_packet(packet, quoted, l4 + sizeof(net::IcmpHeader))) {
    rte_pktmbuf_free(mbuf);
    return 0;
  }
  const auto [type, code] = type_and_code(error, packet.is_v4());
  auto& icmp = *reinterpret_cast<net::IcmpHeader*>(l4);
  icmp = {type, code, {}, rest_of(packet, error, mtu)};
  const uint8_t protocol = packet.is_v4() ? net::protocol_icmp : net::protocol_icmpv6;
  const uint64_t pseudo = packet.is_v4() ? 0 : pseudo_sum(from, packet.source(), protocol, length);
  icmp.checksum = net::checksum_finish(net::checksum_add(pseudo, {l4, length}));
  write_ip_header(l3, from, packet.source(), protocol, error_traffic_class(packet), worker.ip_id++,
                  false, length);
  send_own(worker, mbuf, packet.source(), Verdict::sent_icmp_error);
  return static_cast<uint16_t>(header + length);
}

void originate_reset(Worker& worker, const Packet& packet) noexcept {
  if (packet.protocol != net::protocol_tcp || (packet.tcp_flags & net::tcp_rst) != 0) return;
  const net::TcpHeader& segment = packet.tcp();
  const Endpoints ends{packet.destination(), packet.source(), segment.destination_port,
                       segment.source_port};
  if ((packet.tcp_flags & net::tcp_ack) != 0) {
    return send_reset(worker, packet, ends, {segment.acknowledgement, {}, net::tcp_rst});
  }
  const uint32_t data_offset = (segment.offset_reserved >> 4) * 4U;
  const uint32_t data = packet.l4_length > data_offset ? packet.l4_length - data_offset : 0;
  const uint32_t syn = (packet.tcp_flags & net::tcp_syn) != 0 ? 1 : 0;
  const uint32_t fin = (packet.tcp_flags & net::tcp_fin) != 0 ? 1 : 0;
  const auto seen = net::be32::from_host(segment.sequence.host() + data + syn + fin);
  send_reset(worker, packet, ends, {{}, seen, net::tcp_rst | net::tcp_ack});
}

void originate_reset_onward(Worker& worker, const Packet& packet, const Endpoints& ends) noexcept {
  const net::TcpHeader& segment = packet.tcp();
  // Whose own SYN is not answered yet takes a reset only if it acknowledges that SYN.
  const auto flags = static_cast<uint8_t>(net::tcp_rst | (packet.tcp_flags & net::tcp_ack));
  send_reset(worker, packet, ends, {segment.sequence, segment.acknowledgement, flags});
}

}  // namespace headgate::dataplane
