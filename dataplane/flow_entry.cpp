#include "dataplane/flow_entry.h"

#include "dataplane/originate.h"
#include "dataplane/persistence.h"

namespace headgate::dataplane {
namespace {

template <typename Entry, typename Convert>
void fill_addresses(Entry& entry, const Packet& packet, const Ends& ends,
                    Convert convert) noexcept {
  entry.client_ip = convert(packet.source());
  entry.vip = convert(packet.destination());
  entry.client_port = packet.source_port();
  entry.vport = packet.destination_port();
  entry.backend_ip = convert(ends.backend);
  entry.local_ip = convert(ends.local);
  entry.backend_port = ends.backend_port;
  entry.local_port = ends.local_port;
}

// Where the backend's packets come in, if its way leads through a port at all.
const WorkerPort* port_towards(const Worker& worker, const BackendRow& backend) noexcept {
  const NextHop& hop = hop_at(worker, backend.next_hop);
  if (hop.port >= worker.ports.size()) return nullptr;
  return &worker.ports[hop.port];
}

}  // namespace

void refuse(Worker& worker, Packet& packet, const ServiceBlock& service, Verdict verdict) noexcept {
  worker.counters.services[service.id].refused.add(1);
  drop(worker, packet.mbuf, verdict);
}

void no_backend(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept {
  originate_icmp_error(worker, packet, IcmpError::port_unreachable, packet.destination());
  refuse(worker, packet, service, Verdict::drop_no_backend);
}

void refuse_reply_key(Worker& worker, Packet& packet, const ServiceBlock& service,
                      Mode mode) noexcept {
  originate_icmp_error(worker, packet, IcmpError::port_unreachable, packet.destination());
  refuse(worker, packet, service,
         mode == Mode::fullnat ? Verdict::drop_no_local_port : Verdict::drop_reply_key_taken);
}

uint32_t choose_backend(Worker& worker, const Packet& packet,
                        const ServiceBlock& service) noexcept {
  if (service.persistence_ticks != 0) {
    const uint32_t known = persistent_backend(worker, service, packet);
    if (known != none) return known;
  }
  const uint32_t index =
      worker.scheduler.schedule(worker.region, service, flow_of(packet), worker.now.ns);
  if (index == none) return none;
  const uint32_t chosen = worker.region.element(service.backends, index).backend_id;
  return service.persistence_ticks == 0 ? chosen
                                        : remember_backend(worker, service, packet, chosen);
}

void fill_keys(ConnTable& table, ConnRef ref, const Packet& packet, const Ends& ends) noexcept {
  if (ref.is_v6()) {
    fill_addresses(table.v6(ref), packet, ends,
                   [](const net::IpAddress& address) noexcept { return address.v6(); });
  } else {
    fill_addresses(table.v4(ref), packet, ends,
                   [](const net::IpAddress& address) noexcept { return address.v4(); });
  }
}

ReplyTuple fullnat_reply(const Worker& worker, const Packet& packet, const ServiceBlock& service,
                         const BackendRow& backend, uint32_t i) noexcept {
  const uint32_t count = service.local_addresses.count;
  const auto first = static_cast<uint32_t>((packet.hash >> 32) % count);
  const WorkerPort* port = port_towards(worker, backend);
  const bool rss_known = port != nullptr && port->rss != nullptr && port->rx_queue != none16;
  return {.rss = rss_known ? port->rss : nullptr,
          .backend = backend.address,
          .local = worker.region.element(service.local_addresses, (first + i) % count),
          .backend_port = backend_port_of(packet, backend),
          .queue = rss_known ? port->rx_queue : uint16_t{0}};
}

}  // namespace headgate::dataplane
