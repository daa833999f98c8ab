#include "dataplane/connect.h"

#include "dataplane/flow_start.h"
#include "dataplane/marks.h"
#include "dataplane/net/checksum.h"
#include "dataplane/originate.h"

namespace headgate::dataplane {
namespace {

constexpr uint16_t port_bgp = 179;
constexpr uint16_t port_bfd = 3784;
constexpr uint16_t port_bfd_multihop = 4784;

// What keeps the box itself reachable and its routes alive goes before everything else.
bool is_control_traffic(const Packet& packet) noexcept {
  switch (packet.protocol) {
    case net::protocol_tcp:
      return packet.source_port().host() == port_bgp ||
             packet.destination_port().host() == port_bgp;
    case net::protocol_udp:
      return packet.destination_port().host() == port_bfd ||
             packet.destination_port().host() == port_bfd_multihop;
    case net::protocol_vrrp:
    case net::protocol_ospf:
      return true;
    default:
      return false;
  }
}

void to_host(Worker& worker, Packet& packet, uint8_t source_flags) noexcept {
  if (is_control_traffic(packet) &&
      worker.control_bucket.take(worker.now.ns, unicast_control_per_second)) {
    return to_twin(worker, packet.mbuf, TwinClass::control, Verdict::twin_control);
  }
  if ((source_flags & address_backend) != 0) {
    return to_twin(worker, packet.mbuf, TwinClass::backend, Verdict::twin_backend);
  }
  to_twin(worker, packet.mbuf, TwinClass::bulk, Verdict::twin_not_ours);
}

// To an address that is not ours. With routing on it is the kernel's to route; else nothing passes,
// so that no backend's private address ever shows itself to a client.
void not_ours(Worker& worker, Packet& packet, uint8_t source_flags) noexcept {
  if (worker.root->settings.routing != 0) return to_host(worker, packet, source_flags);
  const bool from_backend = (source_flags & address_backend) != 0;
  drop(worker, packet.mbuf,
       from_backend ? Verdict::drop_reply_no_connection : Verdict::drop_not_routed);
}

// Whether a packet to the host may be about a health check through the data path, which the
// exception thread knows. `otherwise`: probe_or_host or probe_or_nothing.
bool goes_to_probes(Worker& worker, Packet& packet, uint32_t otherwise) noexcept {
  if (!worker.shared.probing.load(std::memory_order_relaxed)) return false;
  const uint8_t flags = find_address(worker.region, *worker.root, packet.destination());
  if ((flags & address_host) == 0) return false;
  packet.mbuf->hash.usr = otherwise;
  to_twin(worker, packet.mbuf, TwinClass::probe, Verdict::twin_probe);
  return true;
}

bool is_our_address(uint8_t flags) noexcept {
  return (flags & (address_vip | address_local | address_host)) != 0;
}

// A VIP or local address of ours that another router is master of. Packets of connections that are
// in the table never come here, so they are forwarded all the same.
bool is_inactive(const Worker& worker, const net::IpAddress& address, uint8_t flags) noexcept {
  return (flags & (address_vip | address_local)) != 0 &&
         dataplane::is_inactive(worker.region, *worker.root, address);
}

// LVS leaves this to the director's own stack, which resets TCP and reports the rest. Nobody
// answers SCTP, which LVS balances, and an IPv6 packet without contents (RFC 8200 section 4.7).
void no_service(Worker& worker, Packet& packet) noexcept {
  switch (packet.protocol) {
    case net::protocol_tcp:
      originate_reset(worker, packet);
      break;
    case net::protocol_udp:
      originate_icmp_error(worker, packet, IcmpError::port_unreachable, packet.destination());
      break;
    case net::protocol_sctp:
    case net::protocol_none:
      break;
    default:
      originate_icmp_error(worker, packet, IcmpError::protocol_unreachable, packet.destination());
  }
  drop(worker, packet.mbuf, Verdict::drop_no_service);
}

bool icmp_checksum_is_right(const Packet& packet) noexcept {
  uint64_t sum = 0;
  if (!packet.is_v4()) {
    sum = net::pseudo_header_sum(packet.source().bytes, packet.destination().bytes,
                                 net::protocol_icmpv6, packet.l4_length);
  }
  const auto l4_offset =
      static_cast<uint32_t>(packet.l4 - rte_pktmbuf_mtod(packet.mbuf, const uint8_t*));
  if (l4_offset + packet.l4_length > packet.mbuf->data_len) return true;  // the end host looks
  return net::checksum_fold(net::checksum_add(sum, {packet.l4, packet.l4_length})) == 0xffff;
}

bool is_icmp_error(const Packet& packet) noexcept {
  const uint8_t type = packet.icmp().type;
  if (!packet.is_v4()) return type < 128;
  return type == net::icmp4_unreachable || type == net::icmp4_time_exceeded || type == 4 ||
         type == 5 || type == 12;  // source quench, redirect, parameter problem
}

// What comes from an address of ours. No packet from outside has such a source, but for answers to
// probes, and unless another router is master of the address: then that router itself may talk to
// us from it. Returns whether the packet has ended.
[[gnu::noinline]] bool ends_as_own(Worker& worker, Packet& packet, FrameKind kind,
                                   uint8_t source_flags) noexcept {
  const bool inactive = is_inactive(worker, packet.source(), source_flags);
  const bool may_answer =
      kind == FrameKind::flow ||
      (kind == FrameKind::icmp && is_icmp_error(packet) && icmp_checksum_is_right(packet));
  if ((source_flags & address_vip) != 0 && may_answer &&
      goes_to_probes(worker, packet, inactive ? probe_or_host : probe_or_nothing)) {
    return true;
  }
  if (inactive) return false;
  drop(worker, packet.mbuf, Verdict::drop_own_source);
  return true;
}

void forward_icmp(Worker& worker, Packet& packet, uint8_t source_flags) noexcept {
  const uint8_t type = packet.icmp().type;
  if (!packet.is_v4() && type >= 133 && type <= 137) {  // neighbour discovery, RFC 4861
    if (type == net::icmp6_neighbour_solicitation) return answer_solicitation(worker, packet);
    return to_twin(worker, packet.mbuf, TwinClass::control, Verdict::twin_control);
  }
  if (!icmp_checksum_is_right(packet)) {
    return drop(worker, packet.mbuf, Verdict::drop_icmp_checksum);
  }
  const uint8_t flags = find_address(worker.region, *worker.root, packet.destination());
  if (is_inactive(worker, packet.destination(), flags)) {
    return drop(worker, packet.mbuf, Verdict::drop_vip_inactive);
  }
  if (is_icmp_error(packet) && goes_to_probes(worker, packet, probe_or_host)) return;
  if ((flags & address_host) != 0) return to_host(worker, packet, source_flags);
  // Here errors about packets of connections will be translated (RFC 5508); until then they end.
  if (is_icmp_error(packet)) return drop(worker, packet.mbuf, Verdict::drop_icmp_error);
  if (!is_our_address(flags)) return not_ours(worker, packet, source_flags);
  const uint8_t request = packet.is_v4() ? net::icmp4_echo_request : net::icmp6_echo_request;
  if (type == request) return answer_echo(worker, packet);
  drop(worker, packet.mbuf, Verdict::drop_no_service);
}

// A local address is not balanced, whatever networks are marked: what comes to it are answers of
// backends.
const ServiceBlock* marked_service(const Worker& worker, const Packet& packet,
                                   uint8_t flags) noexcept {
  if ((flags & (address_vip | address_local)) == address_local) return nullptr;
  return service_by_mark(
      worker.region, *worker.root,
      {packet.source(), packet.destination(), packet.destination_port(), packet.protocol});
}

const ServiceBlock* service_of_address(const Worker& worker, const Packet& packet) noexcept {
  const auto find = [&](net::be16 port) noexcept {
    return find_service(worker.region, *worker.root, packet.destination(), packet.protocol, port);
  };
  const ServiceBlock* exactly = find(packet.destination_port());
  return exactly != nullptr ? exactly : find({});
}

// Then the VIP and the service need not be looked up again.
bool is_to_latest_service(const Worker& worker, const Packet& packet) noexcept {
  const ServiceBlock* service = worker.starts.service;
  return service != nullptr && service->port == packet.destination_port() &&
         service->protocol == packet.protocol && service->vip == packet.destination();
}

}  // namespace

void forward_unknown(Worker& worker, Packet& packet) noexcept {
  const uint8_t source_flags = find_address(worker.region, *worker.root, packet.source());
  if (is_our_address(source_flags) && ends_as_own(worker, packet, FrameKind::flow, source_flags))
      [[unlikely]] {
    return;
  }
  if (is_to_latest_service(worker, packet)) {
    return start_flow(worker, packet, *worker.starts.service);
  }
  const uint8_t flags = find_address(worker.region, *worker.root, packet.destination());
  if (is_inactive(worker, packet.destination(), flags)) {
    return drop(worker, packet.mbuf, Verdict::drop_vip_inactive);
  }
  const bool marks = has_marks(*worker.root);
  if (marks) {
    const ServiceBlock* service = marked_service(worker, packet, flags);
    if (service != nullptr) return start_flow(worker, packet, *service);
  }
  if ((flags & address_vip) != 0) {
    if (const ServiceBlock* service = service_of_address(worker, packet)) {
      // Of the next packet to it, where it comes from may say otherwise.
      if (!marks) worker.starts.service = service;
      return start_flow(worker, packet, *service);
    }
    if ((flags & address_host) == 0) return no_service(worker, packet);
  }
  if ((flags & address_host) != 0) return to_host(worker, packet, source_flags);
  if ((flags & address_local) != 0) {
    return drop(worker, packet.mbuf, Verdict::drop_reply_no_connection);
  }
  not_ours(worker, packet, source_flags);
}

void forward_other(Worker& worker, Packet& packet, FrameKind kind) noexcept {
  const uint8_t source_flags = find_address(worker.region, *worker.root, packet.source());
  if (is_our_address(source_flags) && ends_as_own(worker, packet, kind, source_flags)) return;
  if (kind == FrameKind::icmp) return forward_icmp(worker, packet, source_flags);
  const uint8_t flags = find_address(worker.region, *worker.root, packet.destination());
  if (is_inactive(worker, packet.destination(), flags)) {
    return drop(worker, packet.mbuf, Verdict::drop_vip_inactive);
  }
  if ((flags & address_host) != 0) return to_host(worker, packet, source_flags);
  // Here fragments will follow the verdict of their first one.
  if (kind == FrameKind::fragment) {
    const bool for_balancing = is_our_address(flags) || worker.root->settings.routing == 0;
    if (for_balancing) return drop(worker, packet.mbuf, Verdict::drop_fragment);
    return to_host(worker, packet, source_flags);
  }
  if ((flags & address_vip) != 0) return no_service(worker, packet);
  if ((flags & address_local) != 0) return drop(worker, packet.mbuf, Verdict::drop_no_service);
  not_ours(worker, packet, source_flags);
}

}  // namespace headgate::dataplane
