#include "dataplane/persistence.h"

#include <algorithm>

#include "dataplane/lifetime.h"
#include "dataplane/marks.h"

namespace headgate::dataplane {
namespace {

struct TemplateKey {
  net::IpAddress client;  // masked
  net::IpAddress vip;
  net::be16 port;
  uint8_t protocol;
};

TemplateKey key_for(const ServiceBlock& service, const net::IpAddress& client,
                    const net::IpAddress& vip, uint8_t protocol) noexcept {
  const net::IpAddress masked = net::masked(client, service.persistence_prefix);
  if (service.firewall_mark == 0) return {masked, vip, service.port, protocol};
  return {masked, address_of_mark(service.firewall_mark, client.family), {}, 0};
}

Hit find_template(const ConnTable& table, const TemplateKey& key) noexcept {
  if (key.client.is_v4()) {
    return table.find(FlowKey4{.source = key.client.v4(),
                               .destination = key.vip.v4(),
                               .source_port = {},
                               .destination_port = key.port,
                               .protocol = key.protocol,
                               .kind = EntryKind::persistence});
  }
  return table.find(FlowKey6{.source = key.client.v6(),
                             .destination = key.vip.v6(),
                             .source_port = {},
                             .destination_port = key.port,
                             .protocol = key.protocol,
                             .kind = EntryKind::persistence});
}

template <typename Entry, typename Address>
void fill_key(Entry& entry, const Address& client, const Address& vip, net::be16 port) noexcept {
  entry.client_ip = client;
  entry.vip = vip;
  entry.client_port = {};
  entry.vport = port;
}

ConnRef make_template(Worker& worker, const ServiceBlock& service, const TemplateKey& key,
                      uint32_t backend_id, bool half_open) noexcept {
  ConnTable& table = worker.connections;
  const ConnRef ref = table.allocate(worker.options.id, key.client.family);
  if (ref.is_none()) return ref;
  if (key.client.is_v4()) {
    fill_key(table.v4(ref), key.client.v4(), key.vip.v4(), key.port);
  } else {
    fill_key(table.v6(ref), key.client.v6(), key.vip.v6(), key.port);
  }
  ConnCommon& entry = table.common(ref);
  entry.protocol = key.protocol;
  entry.kind = EntryKind::persistence;
  entry.service_id = service.id;
  entry.backend_id.store(backend_id, std::memory_order_relaxed);
  entry.last_seen.store(worker.now.tick, std::memory_order_relaxed);
  if (half_open) entry.set_state(entry.state().with(ConnFlag::embryonic));
  return ref;
}

bool takes_new_connections(const Worker& worker, const ServiceBlock& service,
                           uint32_t backend_id) noexcept {
  const BackendRow* row = find_backend(worker.region, *worker.root, backend_id);
  if (row == nullptr || (row->flags & backend_removed) != 0) return false;
  const bool quiescent = (row->flags & backend_quiescent) != 0;
  return !quiescent || (service.flags & service_quiescent_reschedules) == 0;
}

const ServiceBlock* if_persistent(const ServiceBlock* service) noexcept {
  return service != nullptr && service->persistence_ticks != 0 ? service : nullptr;
}

const ServiceBlock* service_of_template(const Worker& worker, const net::IpAddress& vip,
                                        uint8_t protocol, net::be16 port) noexcept {
  if (protocol == 0) {
    return if_persistent(
        find_marked_service(worker.region, *worker.root, mark_of_address(vip), vip.family));
  }
  const ServiceBlock* service = find_service(worker.region, *worker.root, vip, protocol, port);
  if (service == nullptr) service = find_service(worker.region, *worker.root, vip, protocol, {});
  return if_persistent(service);
}

struct Forward {
  net::IpAddress client;
  net::IpAddress vip;
  net::be16 vport;
};

Forward forward_of(const ConnTable& table, ConnRef ref) noexcept {
  if (ref.is_v6()) {
    const Connection6& entry = table.v6(ref);
    return {entry.client_ip, entry.vip, entry.vport};
  }
  const Connection4& entry = table.v4(ref);
  return {entry.client_ip, entry.vip, entry.vport};
}

// The service that a connection, which is no template itself, has its template by; or null.
const ServiceBlock* persistent_service_of(const Worker& worker, ConnRef connection) noexcept {
  const ConnCommon& entry = worker.connections.common(connection);
  if (!entry.state().has(ConnFlag::has_template)) return nullptr;
  const Forward forward = forward_of(worker.connections, connection);
  if (has_marks(*worker.root)) {
    const ServiceBlock* marked = service_by_mark(
        worker.region, *worker.root, {forward.client, forward.vip, forward.vport, entry.protocol});
    if (marked != nullptr && marked->id == entry.service_id) return if_persistent(marked);
  }
  return service_of_template(worker, forward.vip, entry.protocol, forward.vport);
}

Hit template_of(const Worker& worker, ConnRef connection) noexcept {
  const ServiceBlock* service = persistent_service_of(worker, connection);
  if (service == nullptr) return {};
  const Forward forward = forward_of(worker.connections, connection);
  const uint8_t protocol = worker.connections.common(connection).protocol;
  return find_template(worker.connections,
                       key_for(*service, forward.client, forward.vip, protocol));
}

}  // namespace

uint32_t persistent_backend(Worker& worker, const ServiceBlock& service,
                            const Packet& packet) noexcept {
  const TemplateKey key = key_for(service, packet.source(), packet.destination(), packet.protocol);
  const Hit hit = find_template(worker.connections, key);
  if (hit.is_miss()) return none;
  ConnCommon& entry = worker.connections.common(hit.ref);
  const uint32_t backend_id = entry.backend_id.load(std::memory_order_acquire);
  if (entry.state().has(ConnFlag::dying)) return none;
  if (!takes_new_connections(worker, service, backend_id)) return none;
  entry.touch(worker.now.tick);
  return backend_id;
}

uint32_t remember_backend(Worker& worker, const ServiceBlock& service, const Packet& packet,
                          uint32_t backend_id) noexcept {
  const TemplateKey key = key_for(service, packet.source(), packet.destination(), packet.protocol);
  const bool half_open =
      packet.protocol == net::protocol_tcp && (packet.tcp_flags & net::tcp_syn) != 0;
  const ConnRef ref = make_template(worker, service, key, backend_id, half_open);
  if (ref.is_none()) return backend_id;
  const PublishResult result =
      worker.connections.publish(worker.options.id, ref, Keys::forward_only);
  if (result.status == PublishStatus::inserted) {
    worker.wheel.arm(ref, next_look(worker, ref));
    return backend_id;
  }
  worker.connections.discard(worker.options.id, ref, result.seen);
  if (result.status != PublishStatus::exists) return backend_id;
  // Somebody was first. If that template names a backend that is gone, it gets ours; the loser of
  // two such replacements adopts the winner's.
  ConnCommon& entry = worker.connections.common(result.holder.ref);
  uint32_t current = entry.backend_id.load(std::memory_order_acquire);
  entry.touch(worker.now.tick);
  if (takes_new_connections(worker, service, current)) return current;
  return entry.backend_id.compare_exchange_strong(current, backend_id) ? backend_id : current;
}

void confirm_template(Worker& worker, ConnRef connection) noexcept {
  static constexpr int tries = 4;
  const Hit hit = template_of(worker, connection);
  if (hit.is_miss()) return;
  StateWord state = worker.connections.common(hit.ref).state();
  for (int i = 0; i < tries && state.is_settled() && state.has(ConnFlag::embryonic); ++i) {
    const StateWord confirmed = state.without(ConnFlag::embryonic);
    if (worker.connections.transition(worker.options.id, hit.ref, state, confirmed)) return;
  }
}

uint32_t template_timeout_ticks(const Worker& worker, ConnRef ref) noexcept {
  const ConnCommon& entry = worker.connections.common(ref);
  const Forward forward = forward_of(worker.connections, ref);
  const ServiceBlock* service =
      service_of_template(worker, forward.vip, entry.protocol, forward.vport);
  return service == nullptr ? 0 : service->persistence_ticks;
}

Tick keep_template(Worker& worker, ConnRef ref, Tick end) noexcept {
  const ConnCommon& connection = worker.connections.common(ref);
  const ServiceBlock* service = persistent_service_of(worker, ref);
  if (service == nullptr) return end;
  const Hit hit = template_of(worker, ref);
  const uint32_t backend = connection.backend_id.load(std::memory_order_relaxed);
  if (!hit.is_miss()) {
    ConnCommon& entry = worker.connections.common(hit.ref);
    if (entry.backend_id.load(std::memory_order_relaxed) == backend) entry.touch(worker.now.tick);
  }
  const Tick soon = worker.now.tick + std::max(service->persistence_ticks / 2, 1U);
  return static_cast<int32_t>(end - soon) < 0 ? end : soon;
}

}  // namespace headgate::dataplane
