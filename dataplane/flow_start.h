// The first packet of a flow to a service: choose a backend, make the connection, forward.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

// Takes a TCP or UDP packet to `service` that no connection matched. It ends with a verdict at
// once, or when finish_starts() makes its connection.
void start_flow(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept;

// Whether an earlier packet of this flow, in the same burst, waits for finish_starts().
[[nodiscard]] bool is_starting(const Worker& worker, const Packet& packet) noexcept;

// Makes the connections of all that start_flow() left waiting, in that order.
void finish_starts(Worker& worker) noexcept;

}  // namespace headgate::dataplane
