// The way out: next hop, Ethernet header, transmit buffers, and the wait for a neighbour.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

// Where a packet goes next. `row` is null when there is no NextHop row: then an unresolved hop
// names the neighbour by `interface` and the packet's own destination.
struct Hop {
  NextHopState state;
  uint16_t interface;
  uint16_t mtu;
  const NextHop* row;
  net::IpAddress neighbour;
};

// The hop towards `destination` by the routes of the snapshot.
[[nodiscard]] Hop route_to(const Worker& worker, const net::IpAddress& destination) noexcept;
// The hop of a NextHop row by its index; `none` is unreachable.
[[nodiscard]] Hop hop_at(const Worker& worker, uint32_t next_hop) noexcept;

// Sends the frame in `mbuf`, whose IP header starts `l2_length` bytes into it: writes the Ethernet
// header and buffers the frame, or holds it for its neighbour. Takes the mbuf; counts exactly one
// verdict, now or when the buffer is flushed.
void transmit(Worker& worker, rte_mbuf* mbuf, uint16_t l2_length, const Hop& hop,
              Verdict verdict) noexcept;

// Sends a whole frame through `port` as it is.
void transmit_frame(Worker& worker, rte_mbuf* mbuf, uint16_t port, Verdict verdict) noexcept;

// Empties the transmit buffers into the ports; what does not fit is drop_tx_full.
void flush_transmit(Worker& worker) noexcept;
// Sends what other workers left for our queues.
void send_handed_off(Worker& worker) noexcept;
// Releases held packets whose neighbour is known by now, and ends those that waited too long.
void release_held(Worker& worker) noexcept;

// Ends a packet: counts the verdict and frees the mbuf.
void drop(Worker& worker, rte_mbuf* mbuf, Verdict verdict) noexcept;
// Hands a frame to the kernel's side of the port it came from.
void to_twin(Worker& worker, rte_mbuf* mbuf, TwinClass twin_class, Verdict verdict) noexcept;

}  // namespace headgate::dataplane
