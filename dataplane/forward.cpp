#include "dataplane/forward.h"

#include <optional>

#include "dataplane/lifetime.h"
#include "dataplane/originate.h"
#include "dataplane/rewrite.h"
#include "dataplane/tcp_state.h"

namespace headgate::dataplane {
namespace {

// The addresses and ports that translation needs, of either family.
struct Endpoint {
  net::IpAddress address;
  net::be16 port;
};

Endpoint backend_of(const ConnTable& table, ConnRef ref) noexcept {
  if (ref.is_v6()) return {table.v6(ref).backend_ip, table.v6(ref).backend_port};
  return {table.v4(ref).backend_ip, table.v4(ref).backend_port};
}
Endpoint local_of(const ConnTable& table, ConnRef ref) noexcept {
  if (ref.is_v6()) return {table.v6(ref).local_ip, table.v6(ref).local_port};
  return {table.v4(ref).local_ip, table.v4(ref).local_port};
}
Endpoint vip_of(const ConnTable& table, ConnRef ref) noexcept {
  if (ref.is_v6()) return {table.v6(ref).vip, table.v6(ref).vport};
  return {table.v4(ref).vip, table.v4(ref).vport};
}
Endpoint client_of(const ConnTable& table, ConnRef ref) noexcept {
  if (ref.is_v6()) return {table.v6(ref).client_ip, table.v6(ref).client_port};
  return {table.v4(ref).client_ip, table.v4(ref).client_port};
}

// Towards backends an ICMP error comes from the interface's own address; towards clients it comes
// from the VIP, the packet's destination.
net::IpAddress address_towards_backend(const Worker& worker, const Packet& packet) noexcept {
  const Interface& interface = worker.interface(packet.interface);
  if (packet.is_v4()) return interface.ipv4;
  return interface.ipv6;
}

bool may_fragment(const Packet& packet) noexcept {
  return packet.is_v4() && (packet.ipv4().fragment.host() & net::ipv4_dont_fragment) == 0;
}

// Why a packet cannot be sent on.
struct Obstacle {
  Verdict verdict;
  std::optional<IcmpError> error;
  uint16_t mtu = 0;  // of `too_big`
};

// What a router checks before it sends a packet on: TTL, a way, and the size with `overhead` bytes
// of outer header.
std::optional<Obstacle> obstacle(const Packet& packet, const Hop& hop, uint16_t overhead) noexcept {
  if (packet.ttl() <= 1) return Obstacle{Verdict::drop_ttl_exceeded, IcmpError::time_exceeded};
  switch (hop.state) {
    case NextHopState::unreachable:
    case NextHopState::prohibited:
    case NextHopState::blackhole:  // LVS answers for a blackhole as well
      return Obstacle{Verdict::drop_no_route, IcmpError::host_unreachable};
    case NextHopState::local:
      return std::nullopt;
    case NextHopState::resolved:
    case NextHopState::unresolved:
      break;
  }
  if (packet.l3_length + overhead <= hop.mtu) return std::nullopt;
  // Fragmenting here has its place below; until then what may be fragmented is dropped by name.
  if (may_fragment(packet)) return Obstacle{Verdict::drop_too_big, std::nullopt};
  return Obstacle{Verdict::drop_too_big, IcmpError::too_big,
                  static_cast<uint16_t>(hop.mtu - overhead)};
}

// Answers a packet, as it was received, from the address `from`. Returns the bytes of the answer.
uint16_t answer(Worker& worker, const Packet& packet, const Obstacle& reason,
                const net::IpAddress& from) noexcept {
  if (!reason.error) return 0;
  return originate_icmp_error(worker, packet, *reason.error, from, reason.mtu);
}

void count_packet_in(Worker& worker, uint32_t service_id, uint32_t backend_id,
                     uint16_t bytes) noexcept {
  for (TrafficRow* row : {&worker.counters.services[service_id],
                          &worker.counters.backends[backend_index(backend_id)]}) {
    row->in_packets.add(1);
    row->in_bytes.add(bytes);
  }
}

void count_packet_out(Worker& worker, uint32_t service_id, uint32_t backend_id,
                      uint16_t bytes) noexcept {
  for (TrafficRow* row : {&worker.counters.services[service_id],
                          &worker.counters.backends[backend_index(backend_id)]}) {
    row->out_packets.add(1);
    row->out_bytes.add(bytes);
  }
}

void send_ipip(Worker& worker, Packet& packet, const BackendRow& backend, const Hop& hop,
               Verdict verdict) noexcept {
  decrement_ttl(packet);
  if (!encapsulate(packet, backend.tunnel_source, backend.address, worker.ip_id++)) {
    return drop(worker, packet.mbuf, Verdict::drop_no_mbuf);
  }
  transmit(worker, packet.mbuf, packet.l2_length, hop, verdict);
}

// Client to backend. `ref` is none for a packet without a connection.
void send_to_backend(Worker& worker, Packet& packet, const BackendRow& backend, Mode mode,
                     ConnRef ref) noexcept {
  const Hop hop = hop_at(worker, backend.next_hop);
  const uint16_t overhead = mode == Mode::ipip ? tunnel_overhead(backend.address.family) : 0;
  const bool stateless = ref.is_none();
  auto reason = obstacle(packet, hop, overhead);
  if (!reason && mode == Mode::ipip && backend.tunnel_source.family != backend.address.family) {
    reason = {Verdict::drop_no_route, IcmpError::host_unreachable};  // no address to send from
  }
  if (reason) {
    const uint16_t bytes = answer(worker, packet, *reason, packet.destination);
    // As LVS does: an error from the VIP about a connection is traffic of the connection.
    if (bytes != 0 && !stateless) count_packet_out(worker, backend.service_id, backend.id, bytes);
    return drop(worker, packet.mbuf, reason->verdict);
  }
  if (hop.state == NextHopState::local && (mode == Mode::dr || mode == Mode::ipip)) {
    return to_twin(worker, packet.mbuf, TwinClass::bulk, Verdict::twin_not_ours);
  }
  switch (mode) {
    case Mode::dr:
      decrement_ttl(packet);
      return transmit(worker, packet.mbuf, packet.l2_length, hop,
                      stateless ? Verdict::sent_stateless : Verdict::sent_dr);
    case Mode::ipip:
      return send_ipip(worker, packet, backend, hop,
                       stateless ? Verdict::sent_stateless : Verdict::sent_ipip);
    case Mode::nat: {
      const Endpoint to = backend_of(worker.connections, ref);
      translate_destination(packet, to.address, to.port);
      decrement_ttl(packet);
      return transmit(worker, packet.mbuf, packet.l2_length, hop, Verdict::sent_nat);
    }
    case Mode::fullnat: {
      const Endpoint to = backend_of(worker.connections, ref);
      const Endpoint from = local_of(worker.connections, ref);
      translate(packet, from.address, from.port, to.address, to.port);
      decrement_ttl(packet);
      return transmit(worker, packet.mbuf, packet.l2_length, hop, Verdict::sent_fullnat);
    }
  }
}

// Backend to client, translated back to what the client knows.
void send_to_client(Worker& worker, Packet& packet, ConnRef ref, const Endpoint& client,
                    const Hop& hop) noexcept {
  const auto mode = static_cast<Mode>(worker.connections.common(ref).mode);
  const Endpoint vip = vip_of(worker.connections, ref);
  if (mode == Mode::fullnat) {
    translate(packet, vip.address, vip.port, client.address, client.port);
  } else {
    translate_source(packet, vip.address, vip.port);
  }
  decrement_ttl(packet);
  transmit(worker, packet.mbuf, packet.l2_length, hop,
           mode == Mode::fullnat ? Verdict::sent_fullnat_reply : Verdict::sent_nat_reply);
}

bool has(const BackendRow& backend, BackendFlag flag) noexcept {
  return (backend.flags & flag) != 0;
}

// A client that opens the connection anew gets a new choice when the one that there was is all but
// over, or its backend no longer configured.
bool begins_anew(const Worker& worker, const Packet& packet, StateWord state,
                 const BackendRow& backend) noexcept {
  if (packet.protocol != net::protocol_tcp || !starts_connection(packet.tcp_flags, false)) {
    return false;
  }
  if (has(backend, backend_removed) && !has(backend, backend_cut)) return true;
  if (worker.root->settings.conn_reuse == 0) return false;
  return is_reusable(state.state()) || has(backend, backend_reopens);
}

bool deadline_passed(const Worker& worker, const BackendRow& backend) noexcept {
  return backend.deadline_tick != 0 &&
         static_cast<int32_t>(worker.now.tick - backend.deadline_tick) >= 0;
}

void forward_reply(Worker& worker, Packet& packet, Hit hit, const BackendRow& backend) noexcept {
  ConnCommon& connection = worker.connections.common(hit.ref);
  const bool local = connection.state().owner() == worker.options.id;
  (local ? worker.counters.worker->replies_local : worker.counters.worker->replies_foreign).add(1);
  const Endpoint client = client_of(worker.connections, hit.ref);
  const Hop hop = route_to(worker, client.address);
  // What a router would not send on never reaches LVS in this direction: no state, no counters.
  if (const auto reason = obstacle(packet, hop, 0)) {
    answer(worker, packet, *reason, address_towards_backend(worker, packet));
    return drop(worker, packet.mbuf, reason->verdict);
  }
  advance_state(worker, hit.ref, Direction::reply, packet.tcp_flags);
  connection.touch(worker.now.tick);
  count_packet_out(worker, connection.service_id, backend.id, packet.l3_length);
  send_to_client(worker, packet, hit.ref, client, hop);
}

// The rest of a drain. The client learns it at once, so that it can connect anew.
void end_drained(Worker& worker, Packet& packet, Hit hit) noexcept {
  end_connection(worker, hit.ref);
  if (hit.direction == Direction::forward) originate_reset(worker, packet);
  drop(worker, packet.mbuf, Verdict::drop_drain_deadline);
}

}  // namespace

bool forward_known(Worker& worker, Packet& packet, Hit hit) noexcept {
  ConnCommon& connection = worker.connections.common(hit.ref);
  const StateWord state = connection.state();
  if (state.has(ConnFlag::dying)) return false;
  const BackendRow* backend = find_backend(worker.region, *worker.root,
                                           connection.backend_id.load(std::memory_order_relaxed));
  if (backend == nullptr) {  // its row went with an earlier generation: nothing to send it to
    end_connection(worker, hit.ref);
    return false;
  }
  const bool is_reply = hit.direction == Direction::reply;
  if (has(*backend, backend_expire) ||
      (!is_reply && begins_anew(worker, packet, state, *backend))) {
    end_connection(worker, hit.ref);
    return false;
  }
  if (deadline_passed(worker, *backend)) {
    end_drained(worker, packet, hit);
    return true;
  }
  if (is_reply) {
    forward_reply(worker, packet, hit, *backend);
    return true;
  }
  if (has(*backend, backend_cut)) {
    drop(worker, packet.mbuf, Verdict::drop_backend_removed);
    return true;
  }
  forward_first(worker, packet, hit.ref);
  return true;
}

void forward_first(Worker& worker, Packet& packet, ConnRef ref) noexcept {
  ConnCommon& connection = worker.connections.common(ref);
  const uint32_t backend_id = connection.backend_id.load(std::memory_order_relaxed);
  const BackendRow* backend = find_backend(worker.region, *worker.root, backend_id);
  if (backend == nullptr) return drop(worker, packet.mbuf, Verdict::drop_no_connection);
  advance_state(worker, ref, Direction::forward, packet.tcp_flags);
  connection.touch(worker.now.tick);
  count_packet_in(worker, connection.service_id, backend_id, packet.l3_length);
  send_to_backend(worker, packet, *backend, static_cast<Mode>(connection.mode), ref);
}

void forward_stateless(Worker& worker, Packet& packet, const BackendRow& backend) noexcept {
  worker.counters.worker->fallback_stateless.add(1);
  count_packet_in(worker, backend.service_id, backend.id, packet.l3_length);
  send_to_backend(worker, packet, backend, backend.mode, no_conn);
}

}  // namespace headgate::dataplane
