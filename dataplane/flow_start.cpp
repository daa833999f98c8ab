#include "dataplane/flow_start.h"

#include <algorithm>
#include <span>

#include "dataplane/flow_entry.h"
#include "dataplane/forward.h"
#include "dataplane/fullnat_ports.h"
#include "dataplane/lifetime.h"
#include "dataplane/one_packet.h"
#include "dataplane/originate.h"
#include "dataplane/tcp_state.h"

namespace headgate::dataplane {
namespace {

// How often a flow is started over after it met a connection that was just ending.
constexpr int start_tries = 3;

void no_connection(Worker& worker, Packet& packet) noexcept {
  originate_reset(worker, packet);
  drop(worker, packet.mbuf, Verdict::drop_no_connection);
}

// The backend that every machine chooses for this flow, if it needs no connection; else null.
const BackendRow* stateless_choice(const Worker& worker, const Packet& packet,
                                   const ServiceBlock& service) noexcept {
  const uint32_t index = stateless_backend(worker.region, service, flow_of(packet));
  if (index == none) return nullptr;
  const BackendRow* backend = find_backend(
      worker.region, *worker.root, worker.region.element(service.backends, index).backend_id);
  return backend != nullptr && is_stateless_mode(backend->mode) ? backend : nullptr;
}

// No room for another connection: DR and IPIP go on by consistent hash, and packets of these flows
// in mid-stream as well for as long as a flow may be idle; NAT needs an entry and says so.
void without_entry(Worker& worker, Packet& packet, const ServiceBlock& service,
                   Verdict verdict) noexcept {
  const BackendRow* backend = stateless_choice(worker, packet, service);
  if (backend == nullptr) return refuse(worker, packet, service, verdict);
  const Settings& settings = worker.root->settings;
  const ConnState state =
      packet.protocol == net::protocol_tcp ? ConnState::established : ConnState::udp;
  worker.shared.services[service.id].fallback_until_tick.store(
      worker.now.tick + settings.timeout_ticks[static_cast<uint32_t>(state)],
      std::memory_order_relaxed);
  forward_stateless(worker, packet, *backend);
}

bool hashes_mid_stream(const Worker& worker, const ServiceBlock& service) noexcept {
  if ((service.flags & service_mid_stream_hash) != 0) return true;
  const Tick until =
      worker.shared.services[service.id].fallback_until_tick.load(std::memory_order_relaxed);
  return until != 0 && static_cast<int32_t>(until - worker.now.tick) > 0;
}

ConnState first_state(const Packet& packet, Mode mode) noexcept {
  if (packet.protocol != net::protocol_tcp) return ConnState::udp;
  return next_state(ConnState::none, Direction::forward, packet.tcp_flags, is_stateless_mode(mode));
}

void fill_entry(Worker& worker, ConnRef ref, const Packet& packet, const ServiceBlock& service,
                const BackendRow& backend) noexcept {
  ConnCommon& entry = worker.connections.common(ref);
  entry.protocol = packet.protocol;
  entry.kind = EntryKind::flow;
  entry.mode = static_cast<uint8_t>(backend.mode);
  entry.service_id = service.id;
  entry.backend_id.store(backend.id, std::memory_order_relaxed);
  entry.last_seen.store(worker.now.tick, std::memory_order_relaxed);
  StateWord state = entry.state();
  if (is_stateless_mode(backend.mode)) state = state.with(ConnFlag::half_view);
  if (service.persistence_ticks != 0) state = state.with(ConnFlag::has_template);
  entry.set_state(with_counts(state.with_state(first_state(packet, backend.mode)),
                              (service.flags & service_udp_inactive) != 0));
}

// Publishes with one port after the other until a reply key is free. An address whose ports are all
// tried gives way to the next one; which is first follows from the flow.
PublishResult publish_fullnat(Worker& worker, ConnRef& ref, const FlowStart& start,
                              const BackendRow& backend) noexcept {
  const Packet& packet = *start.packet;
  const ServiceBlock& service = *start.service;
  PublishResult result{.status = PublishStatus::reply_taken, .holder = {}, .seen = false};
  const uint32_t count = std::min(service.local_addresses.count, most_local_addresses);
  for (uint32_t i = 0; i < count; ++i) {
    const ReplyTuple reply =
        i == 0 ? start.reply : fullnat_reply(worker, packet, service, backend, i);
    const net::IpAddress& local = reply.local;
    const uint32_t pair = pair_hash(local, backend);
    const bool exhausted = worker.exhausted_pairs.has(pair, worker.now.tick);
    PortCandidates candidates(
        packet.hash, PortRange{}, reply,
        exhausted ? PortCandidates::few_candidates : PortCandidates::max_candidates);
    while (const std::optional<uint16_t> candidate = candidates.next()) {
      fill_keys(worker.connections, ref, packet,
                {backend.address, local, reply.backend_port, net::be16::from_host(*candidate)});
      result = worker.connections.publish(worker.options.id, ref, Keys::both);
      if (result.status != PublishStatus::reply_taken) {
        Counter& counter = candidates.on_own_queue() ? worker.counters.worker->fullnat_port_rss
                                                     : worker.counters.worker->fullnat_port_other;
        if (result.status == PublishStatus::inserted) counter.add(1);
        return result;
      }
      if (result.seen) return result;
    }
    worker.exhausted_pairs.add(pair, worker.now.tick);
  }
  return result;
}

PublishResult publish(Worker& worker, ConnRef& ref, const FlowStart& start,
                      const BackendRow& backend) noexcept {
  if (backend.mode == Mode::fullnat) return publish_fullnat(worker, ref, start, backend);
  const Packet& packet = *start.packet;
  const bool is_nat = backend.mode == Mode::nat;
  Ends ends{packet.source(), packet.source(), backend_port_of(packet, backend),
            packet.source_port()};
  if (backend.address.family == packet.family) ends.backend = backend.address;
  fill_keys(worker.connections, ref, packet, ends);
  return worker.connections.publish(worker.options.id, ref,
                                    is_nat ? Keys::both : Keys::forward_only);
}

void flow_begins(Worker& worker, FlowStart& start, ConnRef ref, StateWord published) noexcept {
  const ConnCommon& entry = worker.connections.common(ref);
  if (start.counted) {
    count_in_at_service(worker, ref, published);
    start.counted = false;
  } else {
    count_in(worker, ref, published);
  }
  const uint32_t backend = backend_index(entry.backend_id.load(std::memory_order_relaxed));
  worker.counters.services[start.service->id].connections.add(1);
  worker.counters.backends[backend].connections.add(1);
  worker.wheel.arm(ref, next_look(worker, ref));
  forward_first(worker, *start.packet, ref);
}

// The holder of a reply key that another connection wants: it is about to go, or it waits for the
// answer to a packet that was scheduled by itself, and the service does not do that any more.
bool gives_way(const ConnCommon& holder, const ServiceBlock& service) noexcept {
  const StateWord state = holder.state();
  return state.has(ConnFlag::dying) ||
         (state.has(ConnFlag::one_packet) && holder.service_id == service.id);
}

// One try at making the connection. True when the packet is dealt with.
bool try_to_connect(Worker& worker, FlowStart& start, const BackendRow& backend) noexcept {
  Packet& packet = *start.packet;
  const ServiceBlock& service = *start.service;
  ConnTable& table = worker.connections;
  ConnRef ref = table.allocate(worker.options.id, packet.family);
  if (ref.is_none()) {
    without_entry(worker, packet, service, Verdict::drop_table_full);
    return true;
  }
  fill_entry(worker, ref, packet, service, backend);
  const StateWord filled = table.common(ref).state();
  const PublishResult result = publish(worker, ref, start, backend);
  if (result.status == PublishStatus::inserted) {
    flow_begins(worker, start, ref, filled);
    return true;
  }
  table.discard(worker.options.id, ref, result.seen);
  switch (result.status) {
    case PublishStatus::exists:
      worker.counters.worker->insert_races.add(1);
      if (forward_known(worker, packet, result.holder)) return true;
      end_connection(worker, result.holder.ref);
      return false;
    case PublishStatus::reply_taken:
      if (!result.holder.is_miss() && gives_way(table.common(result.holder.ref), service)) {
        end_connection(worker, result.holder.ref);
        return false;
      }
      if (result.seen) return false;  // a race: another entry can try this port or the next
      refuse_reply_key(worker, packet, service, backend.mode);
      return true;
    case PublishStatus::unlinked:
      return false;
    case PublishStatus::full:
      without_entry(worker, packet, service, Verdict::drop_table_full);
      return true;
    case PublishStatus::contended:
    case PublishStatus::inserted:
      break;
  }
  without_entry(worker, packet, service, Verdict::drop_insert_contended);
  return true;
}

// The bucket of the reply key that will be tried first.
void prefetch_reply_key(Worker& worker, FlowStart& start, const BackendRow& backend) noexcept {
  const Packet& packet = *start.packet;
  net::IpAddress local = packet.source();
  net::be16 local_port = packet.source_port();
  if (backend.mode == Mode::fullnat) {
    if (start.service->local_addresses.count == 0) return;
    start.reply = fullnat_reply(worker, packet, *start.service, backend, 0);
    local = start.reply.local;
    const auto port = PortCandidates(packet.hash, PortRange{}, start.reply).next();
    local_port = net::be16::from_host(port.value_or(0));
  }
  const ConnTable& table = worker.connections;
  const net::be16 backend_port = backend_port_of(packet, backend);
  table.prefetch_bucket(packet.is_v4() ? table.hash(FlowKey4{.source = backend.address.v4(),
                                                             .destination = local.v4(),
                                                             .source_port = backend_port,
                                                             .destination_port = local_port,
                                                             .protocol = packet.protocol})
                                       : table.hash(FlowKey6{.source = backend.address.v6(),
                                                             .destination = local.v6(),
                                                             .source_port = backend_port,
                                                             .destination_port = local_port,
                                                             .protocol = packet.protocol}));
}

// Counts a start as a live connection of its backend, so that the next one is scheduled as if it
// were made; or takes that back, if it was not made.
void count_start(Worker& worker, FlowStart& start, Mode mode, int32_t change) noexcept {
  const bool active = counts_as_active(first_state(*start.packet, mode),
                                       (start.service->flags & service_udp_inactive) != 0);
  worker.scheduler.count(start.backend_id, active ? change : 0, active ? 0 : change);
  start.counted = change > 0;
}

void connect_to(Worker& worker, FlowStart& start, const BackendRow* backend) noexcept {
  if (backend == nullptr) return no_backend(worker, *start.packet, *start.service);
  for (int i = 0; i < start_tries; ++i) {
    if (try_to_connect(worker, start, *backend)) return;
  }
  refuse(worker, *start.packet, *start.service, Verdict::drop_insert_contended);
}

// A TCP segment in mid-stream: reset, unless the service hashes such flows to where every machine
// would send them.
void mid_stream(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept {
  const bool reset = (packet.tcp_flags & net::tcp_rst) != 0;
  if (!hashes_mid_stream(worker, service) || reset) return no_connection(worker, packet);
  const BackendRow* backend = stateless_choice(worker, packet, service);
  if (backend == nullptr) return no_connection(worker, packet);
  forward_stateless(worker, packet, *backend);
}

}  // namespace

void start_flow(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept {
  const bool is_tcp = packet.protocol == net::protocol_tcp;
  if (is_scheduled_alone(packet, service)) return forward_one_packet(worker, packet, service);
  const bool sloppy = worker.root->settings.sloppy_tcp != 0;
  if (is_tcp && !starts_connection(packet.tcp_flags, sloppy)) {
    return mid_stream(worker, packet, service);
  }
  if (is_tcp && worker.embryonic_full) {
    return without_entry(worker, packet, service, Verdict::drop_embryonic_quota);
  }
  const uint32_t backend_id = choose_backend(worker, packet, service);
  if (backend_id == none) return no_backend(worker, packet, service);
  const BackendRow* backend = find_backend(worker.region, *worker.root, backend_id);
  if (backend == nullptr || is_stateless_mode(backend->mode)) {
    FlowStart start{&packet, &service, backend_id};
    return connect_to(worker, start, backend);
  }
  // NAT and FULLNAT have a second key, in another bucket.
  FlowStart& start = worker.starts.list[worker.starts.count++];
  start.packet = &packet;
  start.service = &service;
  start.backend_id = backend_id;
  prefetch_reply_key(worker, start, *backend);
  count_start(worker, start, backend->mode, 1);
  worker.starts.hashes |= uint64_t{1} << (packet.hash % 64);
}

bool is_starting(const Worker& worker, const Packet& packet) noexcept {
  if ((worker.starts.hashes >> (packet.hash % 64) & 1) == 0) return false;
  const std::span starts{worker.starts.list.data(), worker.starts.count};
  return std::ranges::any_of(
      starts, [&](const FlowStart& start) { return start.packet->hash == packet.hash; });
}

void finish_starts(Worker& worker) noexcept {
  for (FlowStart& start : std::span{worker.starts.list.data(), worker.starts.count}) {
    const BackendRow* backend = find_backend(worker.region, *worker.root, start.backend_id);
    connect_to(worker, start, backend);
    if (start.counted && backend != nullptr) count_start(worker, start, backend->mode, -1);
  }
  worker.starts.count = 0;
  worker.starts.service = nullptr;
  worker.starts.hashes = 0;
}

}  // namespace headgate::dataplane
