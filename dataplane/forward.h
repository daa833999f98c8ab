// Packets of known connections: state, counters, and the way to the backend or back to the client.
#pragma once

#include "dataplane/output.h"
#include "dataplane/packet.h"

namespace headgate::dataplane {

// Forwards all packets of a burst, each by its connection, and ends them with a verdict; those
// without one go to forward_unknown() of connect.h.
void forward_all(Worker& worker, Flows& flows) noexcept;

// Forwards a packet of the connection `hit` and ends it with a verdict. False when the connection
// is no longer good for this packet, which then has to be treated as one without a connection.
[[nodiscard]] bool forward_known(Worker& worker, Packet& packet, Hit hit) noexcept;

// Forwards the first packet of a connection that this worker has just made.
void forward_first(Worker& worker, Packet& packet, ConnRef ref) noexcept;

// Forwards a packet that was scheduled by itself, as one of a connection to `backend` would go.
// With NAT and FULLNAT `ref` is the entry of its answer.
void forward_scheduled(Worker& worker, Packet& packet, const BackendRow& backend,
                       ConnRef ref) noexcept;

// Forwards a packet to `backend` without a connection (DR and IPIP only).
void forward_stateless(Worker& worker, Packet& packet, const BackendRow& backend) noexcept;

// Sends a health check's packet on to `backend`, as one of a connection would go (DR and IPIP
// only), but counts no traffic and answers nothing.
void forward_probe(Worker& worker, Packet& packet, const BackendRow& backend) noexcept;

}  // namespace headgate::dataplane
