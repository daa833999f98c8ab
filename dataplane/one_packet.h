// One-packet scheduling: each UDP packet of the service is scheduled by itself and leaves no
// connection behind (ipvsadm -o).
//
// With NAT and FULLNAT answers have to be translated all the same. For that the table gets an entry
// with a reply key alone: no packet of the client's finds it, so its next one is scheduled anew.
// Packets of one client's port that go to one backend share the entry, those to two backends have
// one each. It goes one_packet_reply_ticks after the last packet or answer, and counts as no live
// connection.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

[[nodiscard]] inline bool is_scheduled_alone(const Packet& packet,
                                             const ServiceBlock& service) noexcept {
  return (service.flags & service_one_packet) != 0 && packet.protocol == net::protocol_udp;
}

// Takes a packet of such a service that no connection matched. It ends with a verdict.
void forward_one_packet(Worker& worker, Packet& packet, const ServiceBlock& service) noexcept;

}  // namespace headgate::dataplane
