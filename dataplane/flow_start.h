// The first packet of a flow to a service: choose a backend, make the connection, forward.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

// Ends a TCP or UDP packet to `service` that no connection matched, with a verdict.
void start_flow(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept;

}  // namespace headgate::dataplane
