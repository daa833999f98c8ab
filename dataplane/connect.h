// Packets without a connection: to a service, they may make one; to a VIP without a service they
// are answered; the rest goes to the kernel or ends here.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

// Ends a TCP or UDP packet that no connection matched, with a verdict; that of a flow's first
// packet may have to wait for finish_starts().
void forward_unknown(Worker& worker, Packet& packet) noexcept;

// Ends a packet that is neither TCP nor UDP, ICMP included, or a fragment.
void forward_other(Worker& worker, Packet& packet, FrameKind kind) noexcept;

}  // namespace headgate::dataplane
