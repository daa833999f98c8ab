// What DPDK's AF_PACKET driver cannot be told: how its sockets share the traffic.
//
// The driver asks for a fanout group in which the kernel reassembles IPv4 fragments before it picks
// a socket. headgate must see fragments as they came, and a reassembled packet does not fit the
// ring's frames. It also shows the port what the kernel itself sends on the device. The driver has
// no option for either, and a group cannot be changed once it is there. So this file defines
// setsockopt() for the whole process: the C library's, but for PACKET_FANOUT, which it passes on
// without reassembly and with PACKET_FANOUT_FLAG_IGNORE_OUTGOING. The driver is loaded at run time
// and finds it because the build exports the symbol from the executable.
#pragma once

#include <cstdint>
#include <vector>

namespace headgate::dataplane {

// AF_PACKET sockets of this process that are bound to a kernel interface, ascending.
[[nodiscard]] std::vector<int> packet_sockets(int interface_index);

// Whether the kernel reassembles fragments before this socket sees them.
[[nodiscard]] bool reassembles_fragments(int packet_socket);

// Frames that found no room since the last call.
[[nodiscard]] uint64_t take_packet_drops(int packet_socket);

}  // namespace headgate::dataplane
