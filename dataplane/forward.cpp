#include "dataplane/forward.h"

#include <array>
#include <optional>

#include "dataplane/connect.h"
#include "dataplane/flow_start.h"
#include "dataplane/lifetime.h"
#include "dataplane/originate.h"
#include "dataplane/rewrite.h"
#include "dataplane/tcp_state.h"

namespace headgate::dataplane {
namespace {

net::IpAddress client_of(const ConnTable& table, ConnRef ref) noexcept {
  if (ref.is_v6()) return table.v6(ref).client_ip;
  return table.v4(ref).client_ip;
}

// As the connection says that a packet in this direction leaves.
void translate_by(const ConnTable& table, Packet& packet, ConnRef ref,
                  Direction direction) noexcept {
  if (ref.is_v6()) {
    translate(packet, table.v6(ref).translation(direction));
  } else {
    translate(packet, table.v4(ref).translation(direction));
  }
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
std::optional<Obstacle> obstacle(const Packet& packet, const NextHop& hop,
                                 uint16_t overhead) noexcept {
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

[[gnu::always_inline]] inline void count_packet_in(Worker& worker, uint32_t service_id,
                                                   uint32_t backend_id, uint16_t bytes) noexcept {
  TrafficRow& service = worker.counters.services[service_id];
  TrafficRow& backend = worker.counters.backends[backend_index(backend_id)];
  service.in_packets.add(1);
  service.in_bytes.add(bytes);
  backend.in_packets.add(1);
  backend.in_bytes.add(bytes);
}

void count_packet_out(Worker& worker, uint32_t service_id, uint32_t backend_id,
                      uint16_t bytes) noexcept {
  TrafficRow& service = worker.counters.services[service_id];
  TrafficRow& backend = worker.counters.backends[backend_index(backend_id)];
  service.out_packets.add(1);
  service.out_bytes.add(bytes);
  backend.out_packets.add(1);
  backend.out_bytes.add(bytes);
}

[[gnu::always_inline]] inline void send_ipip(Worker& worker, Packet& packet,
                                             const BackendRow& backend, const NextHop& hop,
                                             Verdict verdict) noexcept {
  decrement_ttl(packet);
  if (!encapsulate(packet, backend.tunnel_source, backend.address, worker.ip_id++)) {
    return drop(worker, packet.mbuf, Verdict::drop_no_mbuf);
  }
  transmit(worker, packet.mbuf, packet.l2_length, hop, verdict);
}

// Whether nothing keeps a router from sending the packet on, with `overhead` bytes of outer header.
bool may_pass(const Packet& packet, const NextHop& hop, uint16_t overhead) noexcept {
  return packet.ttl() > 1 && packet.l3_length + overhead <= hop.mtu &&
         (hop.state == NextHopState::resolved || hop.state == NextHopState::unresolved);
}

// A tunnel needs an address of ours to come from.
bool lacks_tunnel(const BackendRow& backend, Mode mode) noexcept {
  return mode == Mode::ipip && backend.tunnel_source.family != backend.address.family;
}

// Ends a packet that may not pass to its backend. False: it may after all.
[[gnu::noinline]] bool stopped_before_backend(Worker& worker, Packet& packet,
                                              const BackendRow& backend, Mode mode,
                                              const NextHop& hop, uint16_t overhead,
                                              bool stateless) noexcept {
  auto reason = obstacle(packet, hop, overhead);
  if (!reason && lacks_tunnel(backend, mode)) {
    reason = {Verdict::drop_no_route, IcmpError::host_unreachable};
  }
  if (reason) {
    const uint16_t bytes = answer(worker, packet, *reason, packet.destination());
    // As LVS does: an error from the VIP about a connection is traffic of the connection.
    if (bytes != 0 && !stateless) count_packet_out(worker, backend.service_id, backend.id, bytes);
    drop(worker, packet.mbuf, reason->verdict);
    return true;
  }
  if (hop.state == NextHopState::local && (mode == Mode::dr || mode == Mode::ipip)) {
    to_twin(worker, packet.mbuf, TwinClass::bulk, Verdict::twin_not_ours);
    return true;
  }
  return false;
}

// The verdict of a packet of a connection of this mode.
constexpr std::array<Verdict, mode_count> sent_to_backend{
    Verdict::sent_dr, Verdict::sent_nat, Verdict::sent_fullnat, Verdict::sent_ipip};

// Client to backend. Without a connection `ref` is none and `verdict` sent_stateless.
[[gnu::always_inline]] inline void send_to_backend(Worker& worker, Packet& packet,
                                                   const BackendRow& backend, Mode mode,
                                                   ConnRef ref, Verdict verdict) noexcept {
  const NextHop& hop = hop_at(worker, backend.next_hop);
  const uint16_t overhead = mode == Mode::ipip ? tunnel_overhead(backend.address.family) : 0;
  if (!may_pass(packet, hop, overhead) || lacks_tunnel(backend, mode)) [[unlikely]] {
    const bool stateless = verdict == Verdict::sent_stateless;
    if (stopped_before_backend(worker, packet, backend, mode, hop, overhead, stateless)) return;
  }
  switch (mode) {
    case Mode::dr:
      break;
    case Mode::nat:
    case Mode::fullnat:
      translate_by(worker.connections, packet, ref, Direction::forward);
      break;
    case Mode::ipip:
      return send_ipip(worker, packet, backend, hop, verdict);
  }
  decrement_ttl(packet);
  transmit_in_place(worker, packet, hop, verdict);
}

// Backend to client, translated back to what the client knows.
void send_to_client(Worker& worker, Packet& packet, ConnRef ref, const NextHop& hop) noexcept {
  const auto mode = static_cast<Mode>(worker.connections.common(ref).mode);
  translate_by(worker.connections, packet, ref, Direction::reply);
  decrement_ttl(packet);
  transmit_in_place(worker, packet, hop,
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

void forward_reply(Worker& worker, Packet& packet, ConnRef ref, StateWord state,
                   const BackendRow& backend) noexcept {
  ConnCommon& connection = worker.connections.common(ref);
  const bool local = state.owner() == worker.options.id;
  (local ? worker.counters.worker->replies_local : worker.counters.worker->replies_foreign).add(1);
  const NextHop& hop = route_to(worker, client_of(worker.connections, ref));
  // What a router would not send on never reaches LVS in this direction: no state, no counters.
  if (!may_pass(packet, hop, 0)) [[unlikely]] {
    if (const auto reason = obstacle(packet, hop, 0)) {
      answer(worker, packet, *reason, address_towards_backend(worker, packet));
      return drop(worker, packet.mbuf, reason->verdict);
    }
  }
  advance_state(worker, state, ref, Direction::reply, packet.tcp_flags);
  connection.touch(worker.now.tick);
  count_packet_out(worker, connection.service_id, backend.id, packet.l3_length);
  send_to_client(worker, packet, ref, hop);
}

// Whom a packet in this direction leaves from and to.
template <typename Entry>
Endpoints ends_of(const Entry& entry, Direction direction) noexcept {
  const bool forward = direction == Direction::forward;
  const auto other = entry.key(forward ? Direction::reply : Direction::forward);
  return {other.destination, other.source, other.destination_port, other.source_port};
}

// The connection of a backend that is down, with a word to both ends where both are known by it.
void end_with_reset(Worker& worker, Packet& packet, ConnRef ref, Direction direction,
                    StateWord state) noexcept {
  end_connection(worker, ref);
  originate_reset(worker, packet);
  if (state.has(ConnFlag::has_reply_key)) {
    const ConnTable& table = worker.connections;
    originate_reset_onward(
        worker, packet,
        ref.is_v6() ? ends_of(table.v6(ref), direction) : ends_of(table.v4(ref), direction));
  }
  drop(worker, packet.mbuf, Verdict::drop_backend_reset);
}

// The rest of a drain. The client learns it at once, so that it can connect anew.
void end_drained(Worker& worker, Packet& packet, ConnRef ref, Direction direction) noexcept {
  end_connection(worker, ref);
  if (direction == Direction::forward) originate_reset(worker, packet);
  drop(worker, packet.mbuf, Verdict::drop_drain_deadline);
}

// Client to backend, on a connection that is there.
[[gnu::always_inline]] inline void forward_request(Worker& worker, Packet& packet,
                                                   ConnCommon& connection, ConnRef ref,
                                                   StateWord state,
                                                   const BackendRow& backend) noexcept {
  const uint32_t mode = connection.mode % mode_count;
  advance_state(worker, state, ref, Direction::forward, packet.tcp_flags);
  connection.touch(worker.now.tick);
  count_packet_in(worker, connection.service_id, backend.id, packet.l3_length);
  send_to_backend(worker, packet, backend, static_cast<Mode>(mode), ref, sent_to_backend[mode]);
}

enum class Outcome : uint8_t {
  go_on,    // like any other packet of its connection
  is_over,  // the connection is, for this packet at least
  ended,    // the packet has its verdict
};

// What a backend that is on its way out, or a client that begins anew, makes of a packet.
[[gnu::noinline]] Outcome look_closer(Worker& worker, Packet& packet, ConnRef ref,
                                      Direction direction, StateWord state,
                                      const BackendRow& backend) noexcept {
  const bool is_reply = direction == Direction::reply;
  const bool anew = !is_reply && begins_anew(worker, packet, state, backend);
  if (has(backend, backend_reset) && packet.protocol == net::protocol_tcp && !anew) {
    end_with_reset(worker, packet, ref, direction, state);
    return Outcome::ended;
  }
  if (has(backend, backend_expire) || has(backend, backend_reset) || anew) {
    end_connection(worker, ref);
    return Outcome::is_over;
  }
  if (deadline_passed(worker, backend)) {
    end_drained(worker, packet, ref, direction);
    return Outcome::ended;
  }
  if (!is_reply && has(backend, backend_cut)) {
    drop(worker, packet.mbuf, Verdict::drop_backend_removed);
    return Outcome::ended;
  }
  if ((packet.tcp_flags & net::tcp_syn) != 0 && state.state() == ConnState::syn_recv) {
    note_handshake(worker, ref, direction, state);
  }
  return Outcome::go_on;
}

[[gnu::always_inline]] inline bool forward_by(Worker& worker, Packet& packet, ConnRef ref,
                                              Direction direction) noexcept {
  ConnCommon& connection = worker.connections.common(ref);
  const StateWord state = connection.state();
  if (state.has(ConnFlag::dying)) [[unlikely]]
    return false;
  const BackendRow* backend = find_backend(worker.region, *worker.root,
                                           connection.backend_id.load(std::memory_order_relaxed));
  if (backend == nullptr) [[unlikely]] {  // its row went with an earlier generation
    end_connection(worker, ref);
    return false;
  }
  const uint32_t may_begin = packet.tcp_flags & net::tcp_syn;
  if ((backend->deadline_tick | backend->flags | may_begin) != 0) [[unlikely]] {
    const Outcome outcome = look_closer(worker, packet, ref, direction, state, *backend);
    if (outcome != Outcome::go_on) return outcome == Outcome::ended;
  }
  if (direction == Direction::reply) {
    forward_reply(worker, packet, ref, state, *backend);
  } else {
    forward_request(worker, packet, connection, ref, state, *backend);
  }
  return true;
}

[[gnu::always_inline]] inline bool is_at(const ConnTable& table, const Packet& packet,
                                         Slot candidate) noexcept {
  return packet.is_v4() ? table.is_at(candidate, packet.key4) : table.is_at(candidate, packet.key6);
}

Hit find(const ConnTable& table, const Packet& packet) noexcept {
  return packet.is_v4() ? table.find(packet.hash, packet.key4)
                        : table.find(packet.hash, packet.key6);
}

// The candidate was none, or another key's, or its connection is no longer good. The connection may
// be elsewhere, or an earlier packet of this burst has made it or is about to.
[[gnu::noinline]] void forward_unconfirmed(Worker& worker, Packet& packet) noexcept {
  const Hit hit = find(worker.connections, packet);
  if (!hit.is_miss() && forward_known(worker, packet, hit)) return;
  if (is_starting(worker, packet)) {
    finish_starts(worker);
    const Hit made = find(worker.connections, packet);
    if (!made.is_miss() && forward_known(worker, packet, made)) return;
  }
  forward_unknown(worker, packet);
}

}  // namespace

// A candidate is confirmed only now, and so is a miss: an earlier packet of the same burst may have
// made the connection.
void forward_all(Worker& worker, Flows& flows) noexcept {
  const uint64_t* at = flows.candidates.data();
  for (Packet& packet : flows.all()) {
    const Slot candidate{*at++};
    worker.connections.prefetch_next(Slot{at[1]});
    if (!is_at(worker.connections, packet, candidate) ||
        !forward_by(worker, packet, candidate.ref(), candidate.direction())) [[unlikely]] {
      forward_unconfirmed(worker, packet);
    }
  }
  finish_starts(worker);
}

bool forward_known(Worker& worker, Packet& packet, Hit hit) noexcept {
  return forward_by(worker, packet, hit.ref, hit.direction);
}

void forward_first(Worker& worker, Packet& packet, ConnRef ref) noexcept {
  ConnCommon& connection = worker.connections.common(ref);
  const uint32_t backend_id = connection.backend_id.load(std::memory_order_relaxed);
  const BackendRow* backend = find_backend(worker.region, *worker.root, backend_id);
  if (backend == nullptr) return drop(worker, packet.mbuf, Verdict::drop_no_connection);
  forward_request(worker, packet, connection, ref, connection.state(), *backend);
}

void forward_scheduled(Worker& worker, Packet& packet, const BackendRow& backend,
                       ConnRef ref) noexcept {
  count_packet_in(worker, backend.service_id, backend.id, packet.l3_length);
  send_to_backend(worker, packet, backend, backend.mode, ref,
                  sent_to_backend[static_cast<uint32_t>(backend.mode)]);
}

void forward_stateless(Worker& worker, Packet& packet, const BackendRow& backend) noexcept {
  worker.counters.worker->fallback_stateless.add(1);
  count_packet_in(worker, backend.service_id, backend.id, packet.l3_length);
  send_to_backend(worker, packet, backend, backend.mode, no_conn, Verdict::sent_stateless);
}

void forward_probe(Worker& worker, Packet& packet, const BackendRow& backend) noexcept {
  const Mode mode = backend.mode;
  const NextHop& hop = hop_at(worker, backend.next_hop);
  const uint16_t overhead = mode == Mode::ipip ? tunnel_overhead(backend.address.family) : 0;
  const bool has_way = mode == Mode::dr || mode == Mode::ipip;
  if (!has_way || !may_pass(packet, hop, overhead) || lacks_tunnel(backend, mode)) {
    return drop(worker, packet.mbuf, Verdict::drop_probe);
  }
  if (mode == Mode::ipip) return send_ipip(worker, packet, backend, hop, Verdict::sent_probe);
  decrement_ttl(packet);
  transmit_in_place(worker, packet, hop, Verdict::sent_probe);
}

}  // namespace headgate::dataplane
