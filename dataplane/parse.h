// Parsing: from a frame to a Packet, with every length checked against the bytes that are there.
#pragma once

#include "dataplane/packet.h"

namespace headgate::dataplane {

// Fills `packet` from the frame in `mbuf`, received on DPDK port `port`. Headers must lie in the
// first segment, which every driver guarantees for the sizes that matter here. Trailing bytes
// beyond the IP packet (Ethernet padding) are cut off.
//
// flow: all fields valid but hash and key. icmp, other_ip, fragment: all but ports, hash and key.
// arp, twin_*: mbuf, interface (none16 on an unknown VLAN) and l2_length only.
[[nodiscard]] ParseResult parse_frame(RegionView region, const SnapshotRoot& root, rte_mbuf* mbuf,
                                      uint16_t port, Packet& packet) noexcept;

// The same of the IP packet in packet.mbuf alone, whomever the frame is for: packet.interface stays
// none16. twin_other: no IP.
[[nodiscard]] ParseResult parse_ip(Packet& packet) noexcept;

// The interface of frames with this VLAN id (0: untagged) on a port; none16 if it is not ours.
[[nodiscard]] uint16_t interface_of(RegionView region, const SnapshotRoot& root, uint16_t port,
                                    uint16_t vlan) noexcept;

// A frame for a virtual router's MAC (RFC 9568 section 7.3) that is ours on this interface gets the
// interface's own in its place and is ours like any other from then on: the twin, whose MAC that
// is, takes no other. False: it is for nobody here, and as it was.
[[nodiscard]] bool take_virtual_mac(RegionView region, const SnapshotRoot& root, uint16_t interface,
                                    net::EthernetHeader& ethernet) noexcept;

}  // namespace headgate::dataplane
