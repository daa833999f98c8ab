// Packets of our own: answers to ARP, neighbour solicitations and echo requests for VIPs, TCP
// resets and ICMP errors. All rate-limited by the snapshot's settings.
//
// The answers reuse the request's mbuf (a received packet becomes a sent one). Resets and ICMP
// errors are new packets, counted as originated; the packet that caused them keeps its own verdict.
// Sources: RFC 826, 4861, 792, 4443, 9293 section 3.10.7.1, 1812 section 4.3.2.
#pragma once

#include "dataplane/output.h"
#include "dataplane/packet.h"

namespace headgate::dataplane {

// Each takes the mbuf and ends the packet, answered or handed to the twin when it is not for us.
void answer_arp(Worker& worker, Packet& packet) noexcept;
void answer_echo(Worker& worker, Packet& packet) noexcept;
// `packet` is a neighbour solicitation (ICMPv6 type 135).
void answer_solicitation(Worker& worker, Packet& packet) noexcept;

enum class IcmpError : uint8_t {
  port_unreachable,
  protocol_unreachable,
  host_unreachable,
  time_exceeded,
  too_big,  // with an MTU
};

// Sends an ICMP error about `packet`, as it was received, to its source. `from` is the address that
// the error comes from. Returns its bytes of layer 3, 0 when nothing is sent: about ICMP errors,
// from an interface without an address, beyond the rate limit.
uint16_t originate_icmp_error(Worker& worker, const Packet& packet, IcmpError error,
                              const net::IpAddress& from, uint16_t mtu = 0) noexcept;

// Answers a TCP segment with a reset, unless it is one itself.
void originate_reset(Worker& worker, const Packet& packet) noexcept;

// Sends a reset in place of a TCP segment that is not sent on, a reset too, between the ends that
// it would have had. Its number is the segment's own, the next one that the receiver waits for
// unless the segment was a repetition: RFC 5961 section 3.2 takes no other.
void originate_reset_onward(Worker& worker, const Packet& packet, const Endpoints& ends) noexcept;

}  // namespace headgate::dataplane
