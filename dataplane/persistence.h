// Persistence: connections of one client (or network of clients) go to one backend. A template in
// the connection table remembers which: its key is the masked client address, the VIP and the
// service's port (0 for a service of all ports), and it goes in before its first connection, so
// that two workers that see the first two connections at once agree. That of a firewall mark's
// service has the mark in the VIP's place and protocol 0: one for all addresses and ports.
//
// A template outlives its connections: it expires when neither a new connection nor a look of the
// timer wheel at a living one has touched it for the persistence time-out.
//
// Until a handshake is completed a template counts as half-open itself, against the same quota, and
// gives way as soon under pressure: else each SYN of a flood would leave one behind for minutes,
// and they would fill the table that the quota keeps free.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

// The backend that the client's template names, or `none` when there is no template or its backend
// takes no more connections.
[[nodiscard]] uint32_t persistent_backend(Worker& worker, const ServiceBlock& service,
                                          const Packet& packet) noexcept;

// Remembers the choice `backend_id` for the client. Returns the backend to use: the given one, or
// that of a worker who was first. A full table remembers nothing.
[[nodiscard]] uint32_t remember_backend(Worker& worker, const ServiceBlock& service,
                                        const Packet& packet, uint32_t backend_id) noexcept;

// A connection has completed its handshake: its template is not of a flood.
void confirm_template(Worker& worker, ConnRef connection) noexcept;

// Of the template `ref`, by its service as it is now; 0 when that is gone.
[[nodiscard]] uint32_t template_timeout_ticks(const Worker& worker, ConnRef ref) noexcept;

// Called at a look at a living connection that expires at `end`: touches its template, if it has
// one, and returns the tick of the next look, early enough to do so again in time.
[[nodiscard]] Tick keep_template(Worker& worker, ConnRef ref, Tick end) noexcept;

}  // namespace headgate::dataplane
