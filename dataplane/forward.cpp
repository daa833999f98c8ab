#include "dataplane/forward.h"

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

// The address that an ICMP error about the packet comes from: the VIP towards clients, the
// interface's own towards backends.
net::IpAddress error_source(const Worker& worker, const Packet& packet,
                            Direction direction) noexcept {
  if (direction == Direction::forward) return packet.destination;
  const Interface& interface = worker.interface(packet.interface);
  if (packet.is_v4()) return interface.ipv4;
  return interface.ipv6;
}

bool may_fragment(const Packet& packet) noexcept {
  return packet.is_v4() && (packet.ipv4().fragment.host() & net::ipv4_dont_fragment) == 0;
}

// What a router checks before it sends a packet on: TTL, a way, and the size with `overhead` bytes
// of outer header. A packet that fails is answered and ended here, as it was received.
bool may_pass(Worker& worker, const Packet& packet, const Hop& hop, uint16_t overhead,
              Direction direction) noexcept {
  const net::IpAddress from = error_source(worker, packet, direction);
  if (packet.ttl() <= 1) {
    originate_icmp_error(worker, packet, IcmpError::time_exceeded, from);
    drop(worker, packet.mbuf, Verdict::drop_ttl_exceeded);
    return false;
  }
  const bool no_way = hop.state == NextHopState::unreachable ||
                      hop.state == NextHopState::prohibited || hop.state == NextHopState::blackhole;
  if (no_way) {  // LVS answers for a blackhole as well
    originate_icmp_error(worker, packet, IcmpError::host_unreachable, from);
    drop(worker, packet.mbuf, Verdict::drop_no_route);
    return false;
  }
  if (packet.l3_length + overhead > hop.mtu) {
    // Fragmenting here has its place below; until then what may be fragmented is dropped by name.
    if (!may_fragment(packet)) {
      const auto mtu = static_cast<uint16_t>(hop.mtu - overhead);
      originate_icmp_error(worker, packet, IcmpError::too_big, from, mtu);
    }
    drop(worker, packet.mbuf, Verdict::drop_too_big);
    return false;
  }
  return true;
}

void count_in_packet(Worker& worker, uint32_t service_id, uint32_t backend_id,
                     const Packet& packet) noexcept {
  for (TrafficRow* row : {&worker.counters.services[service_id],
                          &worker.counters.backends[backend_index(backend_id)]}) {
    row->in_packets.add(1);
    row->in_bytes.add(packet.l3_length);
  }
}

void count_out_packet(Worker& worker, uint32_t service_id, uint32_t backend_id,
                      const Packet& packet) noexcept {
  for (TrafficRow* row : {&worker.counters.services[service_id],
                          &worker.counters.backends[backend_index(backend_id)]}) {
    row->out_packets.add(1);
    row->out_bytes.add(packet.l3_length);
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
  if (!may_pass(worker, packet, hop, overhead, Direction::forward)) return;
  const bool stateless = ref.is_none();
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
void send_to_client(Worker& worker, Packet& packet, Mode mode, ConnRef ref) noexcept {
  const Endpoint client = client_of(worker.connections, ref);
  const Hop hop = route_to(worker, client.address);
  if (!may_pass(worker, packet, hop, 0, Direction::reply)) return;
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

bool is_opening(const Packet& packet) noexcept {
  return packet.protocol == net::protocol_tcp &&
         (packet.tcp_flags & (net::tcp_syn | net::tcp_ack | net::tcp_rst)) == net::tcp_syn;
}

// A client that opens the connection anew, on a 4-tuple that is all but over or whose backend is no
// longer configured, gets a new choice.
bool begins_anew(const Worker& worker, const Packet& packet, StateWord state,
                 const BackendRow& backend) noexcept {
  if (!is_opening(packet)) return false;
  if ((backend.flags & backend_removed) != 0) return true;
  return worker.root->settings.conn_reuse != 0 && is_reusable(state.state());
}

bool deadline_passed(const Worker& worker, const BackendRow& backend) noexcept {
  return backend.deadline_tick != 0 &&
         static_cast<int32_t>(worker.now.tick - backend.deadline_tick) >= 0;
}

void forward_reply(Worker& worker, Packet& packet, Hit hit, const BackendRow& backend) noexcept {
  ConnCommon& connection = worker.connections.common(hit.ref);
  const bool local = connection.state().owner() == worker.options.id;
  (local ? worker.counters.worker->replies_local : worker.counters.worker->replies_foreign).add(1);
  advance_state(worker, hit.ref, Direction::reply, packet.tcp_flags);
  connection.touch(worker.now.tick);
  count_out_packet(worker, connection.service_id, backend.id, packet);
  send_to_client(worker, packet, static_cast<Mode>(connection.mode), hit.ref);
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
  if (deadline_passed(worker, *backend)) {
    end_connection(worker, hit.ref);
    drop(worker, packet.mbuf, Verdict::drop_drain_deadline);
    return true;
  }
  if (hit.direction == Direction::reply) {
    forward_reply(worker, packet, hit, *backend);
    return true;
  }
  const bool expired = (backend->flags & backend_expire) != 0;
  if (expired || begins_anew(worker, packet, state, *backend)) {
    if ((backend->flags & backend_cut) == 0) {
      end_connection(worker, hit.ref);
      return false;
    }
  }
  if ((backend->flags & backend_cut) != 0) {
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
  count_in_packet(worker, connection.service_id, backend_id, packet);
  send_to_backend(worker, packet, *backend, static_cast<Mode>(connection.mode), ref);
}

void forward_stateless(Worker& worker, Packet& packet, const BackendRow& backend) noexcept {
  worker.counters.worker->fallback_stateless.add(1);
  count_in_packet(worker, backend.service_id, backend.id, packet);
  send_to_backend(worker, packet, backend, backend.mode, no_conn);
}

}  // namespace headgate::dataplane
