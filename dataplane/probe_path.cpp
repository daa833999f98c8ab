#include "dataplane/probe_path.h"

#include <cstring>
#include <optional>
#include <utility>

#include "dataplane/exception.h"
#include "dataplane/net/checksum.h"
#include "dataplane/parse.h"
#include "dataplane/rewrite.h"

namespace headgate::dataplane {
namespace {

// Where a frame goes, without the changes that parsing makes to it; nothing when it is no IP.
std::optional<net::IpAddress> destination_of(const rte_mbuf* mbuf) noexcept {
  const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  uint32_t l3 = sizeof(net::EthernetHeader);
  if (mbuf->data_len < l3 + sizeof(net::VlanTag)) return std::nullopt;
  uint16_t type = reinterpret_cast<const net::EthernetHeader*>(frame)->type.host();
  if (type == net::ethertype_vlan) {
    type = reinterpret_cast<const net::VlanTag*>(frame + l3)->type.host();
    l3 += sizeof(net::VlanTag);
  }
  if (type == net::ethertype_ipv4 && mbuf->data_len >= l3 + sizeof(net::Ipv4Header)) {
    return reinterpret_cast<const net::Ipv4Header*>(frame + l3)->destination;
  }
  if (type == net::ethertype_ipv6 && mbuf->data_len >= l3 + sizeof(net::Ipv6Header)) {
    return reinterpret_cast<const net::Ipv6Header*>(frame + l3)->destination;
  }
  return std::nullopt;
}

// Words as they lie in the header.
uint32_t ports_of(net::be16 source, net::be16 destination) noexcept {
  return source.raw() | uint32_t{destination.raw()} << 16;
}

// Gives a TCP or UDP packet these ends.
void readdress(Packet& packet, const Endpoints& ends) noexcept {
  const uint32_t ports = ports_of(ends.source_port, ends.destination_port);
  if (!packet.is_v4()) {
    return translate(packet, Translation6{ends.source.v6(), ends.destination.v6(), ports});
  }
  const uint64_t addresses = ends.source.v4().raw() | uint64_t{ends.destination.v4().raw()} << 32;
  translate(packet, Translation4{addresses, ports});
}

void note_end(ProbeFlow& flow, uint8_t tcp_flags, ProbeEnd fin) noexcept {
  if ((tcp_flags & net::tcp_fin) != 0) flow.ends |= fin;
  if ((tcp_flags & net::tcp_rst) != 0) flow.ends |= probe_reset;
}

// The start of the packet that an ICMP error is about.
struct Quote {
  uint8_t* l3;
  uint8_t* l4;
  uint32_t l4_bytes;  // quoted of it; the ports at least
  uint8_t protocol;
};

bool reports_error(const Packet& packet) noexcept {
  static constexpr uint8_t icmp4_parameter_problem = 12;
  const uint8_t type = packet.icmp().type;
  if (!packet.is_v4()) return type < 128;  // RFC 4443
  return type == net::icmp4_unreachable || type == net::icmp4_time_exceeded ||
         type == icmp4_parameter_problem;
}

std::optional<Quote> quote_in(const Packet& packet) noexcept {
  static constexpr uint32_t least_l4 = 8;  // RFC 792
  const auto at = static_cast<uint32_t>(packet.l4 - rte_pktmbuf_mtod(packet.mbuf, uint8_t*));
  if (!reports_error(packet) || at + packet.l4_length > packet.mbuf->data_len) return std::nullopt;
  const uint32_t bytes = packet.l4_length - uint32_t{sizeof(net::IcmpHeader)};
  Quote quote{packet.l4 + sizeof(net::IcmpHeader), nullptr, 0, 0};
  uint32_t header = sizeof(net::Ipv6Header);
  if (bytes < header + least_l4 && !packet.is_v4()) return std::nullopt;
  if (packet.is_v4()) {
    if (bytes < sizeof(net::Ipv4Header)) return std::nullopt;
    const auto& ip = *reinterpret_cast<const net::Ipv4Header*>(quote.l3);
    header = ip.header_length();
    const bool is_first = (ip.fragment.host() & net::ipv4_offset_mask) == 0;
    const bool fits = header >= sizeof(net::Ipv4Header) && bytes >= header + least_l4;
    if ((ip.version_ihl >> 4) != 4 || !is_first || !fits) return std::nullopt;
    quote.protocol = ip.protocol;
  } else {
    quote.protocol = reinterpret_cast<const net::Ipv6Header*>(quote.l3)->next_header;
  }
  quote.l4 = quote.l3 + header;
  quote.l4_bytes = bytes - header;
  const bool has_ports = quote.protocol == net::protocol_tcp || quote.protocol == net::protocol_udp;
  return has_ports ? std::optional(quote) : std::nullopt;
}

// Of the quoted packet, as its sender on this machine knows it.
template <typename Header, typename Address>
void readdress_quote(const Quote& quote, Header& ip, const Address& probe,
                     const ProbeSocket& socket) noexcept {
  net::ChecksumDelta delta;
  delta.replace_value(ip.destination, probe);
  ip.destination = probe;
  if constexpr (sizeof(ip) == sizeof(net::Ipv4Header)) ip.checksum = delta.apply(ip.checksum);
  const uint32_t ports = ports_of(socket.host_port, socket.probe_port);
  uint32_t before;
  std::memcpy(&before, quote.l4, sizeof(before));
  delta.replace_word(before, ports);
  std::memcpy(quote.l4, &ports, sizeof(ports));
  if (quote.protocol == net::protocol_udp) {
    auto& udp = *reinterpret_cast<net::UdpHeader*>(quote.l4);
    if (udp.checksum.raw() != 0) udp.checksum = delta.apply_udp(udp.checksum);
  } else if (quote.l4_bytes >= sizeof(net::TcpHeader)) {
    auto& tcp = *reinterpret_cast<net::TcpHeader*>(quote.l4);
    tcp.checksum = delta.apply(tcp.checksum);
  }
}

// The server itself reports: by the kernel's reckoning that is the probe address.
void replace_reporter(Packet& packet, const net::IpAddress& probe) noexcept {
  if (!packet.is_v4()) {
    packet.ipv6().source = probe.v6();
    return;
  }
  net::Ipv4Header& ip = packet.ipv4();
  net::ChecksumDelta delta;
  delta.replace_value(ip.source, probe.v4());
  ip.source = probe.v4();
  ip.checksum = delta.apply(ip.checksum);
}

// The worker has seen to it that it was right.
void sum_icmp(Packet& packet) noexcept {
  packet.icmp().checksum = {};
  uint64_t sum = 0;
  if (!packet.is_v4()) {
    sum = net::pseudo_header_sum(packet.source().bytes, packet.destination().bytes,
                                 net::protocol_icmpv6, packet.l4_length);
  }
  packet.icmp().checksum =
      net::checksum_finish(net::checksum_add(sum, {packet.l4, packet.l4_length}));
}

// The twin takes frames without a tag, for its own MAC.
void address_to_twin(Packet& packet, const ProbeFlow& flow) noexcept {
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  const uint32_t surplus = packet.l2_length - uint32_t{sizeof(net::EthernetHeader)};
  if (surplus != 0) {
    std::memmove(frame + surplus, frame, 2 * sizeof(net::MacAddress));
    rte_pktmbuf_adj(packet.mbuf, static_cast<uint16_t>(surplus));
  }
  rte_pktmbuf_mtod(packet.mbuf, net::EthernetHeader*)->destination = flow.host_mac;
}

}  // namespace

void ProbePath::set(std::shared_ptr<const ProbeTable> table) {
  std::unique_ptr<ProbeFlows> flows;
  if (table != nullptr && !std::exchange(has_flows_, true)) flows = std::make_unique<ProbeFlows>();
  const std::lock_guard lock(mutex_);
  next_ = std::move(table);
  if (flows != nullptr) next_flows_ = std::move(flows);
  has_next_.store(true, std::memory_order_release);
}

void ProbePath::refresh() {
  if (!has_next_.load(std::memory_order_acquire)) return;
  std::shared_ptr<const ProbeTable> former;  // freed without the lock
  const std::lock_guard lock(mutex_);
  former = std::exchange(table_, std::move(next_));
  if (next_flows_ != nullptr) flows_ = std::move(next_flows_);
  has_next_.store(false, std::memory_order_relaxed);
}

void ProbePath::count(ProbeCount what) noexcept {  // single writer
  std::atomic<uint64_t>& counter = counters_[static_cast<uint32_t>(what)];
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

ProbePath::Leaving ProbePath::leave(rte_mbuf* mbuf, uint16_t twin, uint64_t now_ns) noexcept {
  mbuf->hash.usr = 0;
  if (table_ == nullptr) return Leaving::ordinary;
  const auto destination = destination_of(mbuf);
  if (!destination || !table_->holds(*destination)) return Leaving::ordinary;
  Packet packet(mbuf);
  const ParseResult parsed = parse_ip(packet);
  return send(packet, parsed, twin, now_ns);
}

ProbePath::Leaving ProbePath::send(Packet& packet, ParseResult parsed, uint16_t twin,
                                   uint64_t now_ns) noexcept {
  const auto dropped = [this](ProbeCount why) {
    count(why);
    return Leaving::dropped;
  };
  if (parsed.kind != FrameKind::flow) return dropped(ProbeCount::drop_not_supported);
  const ProbeEntry* entry = table_->find(packet.destination());
  if (entry == nullptr) return dropped(ProbeCount::drop_unknown);
  if (entry->protocol != packet.protocol) return dropped(ProbeCount::drop_not_supported);
  const bool begins = (packet.tcp_flags & (net::tcp_syn | net::tcp_ack)) == net::tcp_syn;
  const ProbeSocket socket{packet.source(), entry->address, packet.source_port(),
                           packet.destination_port(), packet.protocol};
  ProbeFlow* flow = flows_->use(socket, *entry, begins, now_ns);
  if (flow == nullptr) return dropped(ProbeCount::drop_no_port);
  flow->twin = twin;
  flow->host_mac = rte_pktmbuf_mtod(packet.mbuf, const net::EthernetHeader*)->source;
  note_end(*flow, packet.tcp_flags, probe_host_fin);
  readdress(packet, {socket.host, flow->vip, flows_->wire_port(*flow), flow->vip_port});
  packet.mbuf->hash.usr = entry->backend_id;
  count(ProbeCount::sent);
  return Leaving::probe;
}

ProbePath::Arriving ProbePath::arrive(rte_mbuf* mbuf, uint16_t& twin, uint64_t now_ns) noexcept {
  Packet packet(mbuf);
  ProbeFlow* flow = nullptr;
  const bool or_nothing = mbuf->hash.usr == probe_or_nothing;
  if (table_ != nullptr) {
    const FrameKind kind = parse_ip(packet).kind;
    if (kind == FrameKind::flow) flow = answered_flow(packet, now_ns);
    if (kind == FrameKind::icmp) flow = reported_flow(packet, now_ns);
  }
  if (flow != nullptr) {
    twin = flow->twin;
    address_to_twin(packet, *flow);
    return Arriving::probe;
  }
  if (!or_nothing) return Arriving::ordinary;
  count(ProbeCount::drop_no_flow);
  return Arriving::dropped;
}

ProbeFlow* ProbePath::answered_flow(Packet& packet, uint64_t now_ns) noexcept {
  ProbeFlow* flow = flows_->find(packet.source(), packet.source_port(), packet.destination(),
                                 packet.destination_port(), packet.protocol, now_ns);
  if (flow == nullptr) return nullptr;
  note_end(*flow, packet.tcp_flags, probe_server_fin);
  const ProbeSocket& socket = flow->socket;
  readdress(packet, {socket.probe, socket.host, socket.probe_port, socket.host_port});
  count(ProbeCount::received);
  return flow;
}

ProbeFlow* ProbePath::reported_flow(Packet& packet, uint64_t now_ns) noexcept {
  const std::optional<Quote> quote = quote_in(packet);
  if (!quote) return nullptr;
  auto& ip4 = *reinterpret_cast<net::Ipv4Header*>(quote->l3);
  auto& ip6 = *reinterpret_cast<net::Ipv6Header*>(quote->l3);
  const net::IpAddress from = packet.is_v4() ? net::IpAddress(ip4.source) : ip6.source;
  const net::IpAddress to = packet.is_v4() ? net::IpAddress(ip4.destination) : ip6.destination;
  const auto* ports = reinterpret_cast<const net::be16*>(quote->l4);
  ProbeFlow* flow = flows_->find(to, ports[1], from, ports[0], quote->protocol, now_ns);
  if (flow == nullptr || packet.destination() != from) return nullptr;
  const net::IpAddress& probe = flow->socket.probe;
  if (packet.is_v4()) {
    readdress_quote(*quote, ip4, probe.v4(), flow->socket);
  } else {
    readdress_quote(*quote, ip6, probe.v6(), flow->socket);
  }
  if (packet.source() == flow->vip) replace_reporter(packet, probe);
  sum_icmp(packet);
  count(ProbeCount::errors);
  return flow;
}

}  // namespace headgate::dataplane
