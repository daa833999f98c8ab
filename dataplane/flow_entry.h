// What the makers of connections have in common: the choice of the backend, the two ends of an
// entry, and the ends of packets that get none.
#pragma once

#include "dataplane/fullnat_ports.h"
#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

[[nodiscard]] inline NewFlow flow_of(const Packet& packet) noexcept {
  return {packet.source(), packet.destination(), packet.source_port()};
}

[[nodiscard]] inline bool is_stateless_mode(Mode mode) noexcept {
  return mode == Mode::dr || mode == Mode::ipip;
}

// Each ends the packet and counts it as refused by the service. LVS reports a service without a
// usable backend by ICMP, to TCP as well.
void refuse(Worker& worker, Packet& packet, const ServiceBlock& service, Verdict verdict) noexcept;
void no_backend(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept;
// Nothing free to tell this connection's replies by.
void refuse_reply_key(Worker& worker, Packet& packet, const ServiceBlock& service,
                      Mode mode) noexcept;

// By the client's template, or else scheduled; the id of a backend, or `none`.
[[nodiscard]] uint32_t choose_backend(Worker& worker, const Packet& packet,
                                      const ServiceBlock& service) noexcept;

// An entry's two ends as the mode sets them; `local` only matters for modes with a reply key.
struct Ends {
  net::IpAddress backend;
  net::IpAddress local;
  net::be16 backend_port;
  net::be16 local_port;
};
void fill_keys(ConnTable& table, ConnRef ref, const Packet& packet, const Ends& ends) noexcept;

[[nodiscard]] inline net::be16 backend_port_of(const Packet& packet,
                                               const BackendRow& backend) noexcept {
  return backend.port.raw() == 0 ? packet.destination_port() : backend.port;
}

// What the replies look like that a FULLNAT backend sends to the i-th of the service's local
// addresses, from the one on that follows from the flow; there is at least one.
[[nodiscard]] ReplyTuple fullnat_reply(const Worker& worker, const Packet& packet,
                                       const ServiceBlock& service, const BackendRow& backend,
                                       uint32_t i) noexcept;
// Of a pair of local address and backend, for Worker::exhausted_pairs.
[[nodiscard]] inline uint32_t pair_hash(const net::IpAddress& local,
                                        const BackendRow& backend) noexcept {
  return mix_hash(address_hash(local) | uint64_t{backend.id} << 32);
}
// How many local addresses are tried for one flow.
inline constexpr uint32_t most_local_addresses = 4;

}  // namespace headgate::dataplane
