// The way out: next hop, Ethernet header, transmit buffers, and the wait for a neighbour.
#pragma once

#include <cstring>

#include "dataplane/packet.h"
#include "dataplane/worker.h"

namespace headgate::dataplane {

// Where a packet goes next is a NextHop: a row of the snapshot, or one of these where there is
// none. Of an unresolved one without a gateway, the neighbour is the packet's own destination.
namespace detail {
[[nodiscard]] constexpr NextHop rowless_hop(NextHopState state) noexcept {
  NextHop hop{};
  hop.state = state;
  hop.interface = none16;
  hop.port = none16;
  hop.mtu = 0xffff;
  return hop;
}
}  // namespace detail
inline constexpr NextHop unreachable_hop = detail::rowless_hop(NextHopState::unreachable);
inline constexpr NextHop prohibited_hop = detail::rowless_hop(NextHopState::prohibited);
inline constexpr NextHop blackhole_hop = detail::rowless_hop(NextHopState::blackhole);
inline constexpr NextHop local_hop = detail::rowless_hop(NextHopState::local);

// The hop towards `destination` by the routes of the snapshot. Good until the next call.
[[nodiscard]] const NextHop& route_to(Worker& worker, const net::IpAddress& destination) noexcept;
// The hop of a NextHop row by its index; `none` is unreachable.
[[nodiscard]] inline const NextHop& hop_at(const Worker& worker, uint32_t next_hop) noexcept {
  if (next_hop >= worker.root->next_hops.count) [[unlikely]]
    return unreachable_hop;
  return worker.next_hop(next_hop);
}

// Empties the transmit buffer of one port.
void flush_port(Worker& worker, uint16_t port) noexcept;

// Sends a whole frame through `port` as it is.
inline void transmit_frame(Worker& worker, rte_mbuf* mbuf, uint16_t port, Verdict verdict) noexcept;

// Puts the Ethernet header for `row` in front of the IP header at `l2_length`, whatever was there
// before. False when the frame has no room for it.
[[nodiscard]] bool write_ethernet(rte_mbuf* mbuf, uint16_t l2_length, const NextHop& row) noexcept;

// What becomes of a frame that no neighbour can be sent now.
void transmit_unresolved(Worker& worker, rte_mbuf* mbuf, uint16_t l2_length, const NextHop& hop,
                         Verdict verdict) noexcept;

// Sends the frame in `mbuf`, whose IP header starts `l2_length` bytes into it: writes the Ethernet
// header and buffers the frame, or holds it for its neighbour. Takes the mbuf; counts exactly one
// verdict, now or when the buffer is flushed.
inline void transmit(Worker& worker, rte_mbuf* mbuf, uint16_t l2_length, const NextHop& hop,
                     Verdict verdict) noexcept;

// The same for a packet whose IP header is where it came in and whose family is what it was: what
// stands in front of the header is right but for the addresses.
inline void transmit_in_place(Worker& worker, Packet& packet, const NextHop& hop,
                              Verdict verdict) noexcept;

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

// ---- What runs per packet ----

inline void transmit_frame(Worker& worker, rte_mbuf* mbuf, uint16_t port,
                           Verdict verdict) noexcept {
  if (port >= worker.ports.size() || !worker.ports[port].present) [[unlikely]] {
    return drop(worker, mbuf, Verdict::drop_tx_port_down);
  }
  TxBuffer& tx = worker.ports[port].tx;
  const uint16_t at = tx.count++;
  tx.mbufs[at] = mbuf;
  tx.verdicts[at] = verdict;
  if (at + 1U == tx.mbufs.size()) [[unlikely]]
    flush_port(worker, port);
}

inline void transmit(Worker& worker, rte_mbuf* mbuf, uint16_t l2_length, const NextHop& hop,
                     Verdict verdict) noexcept {
  if (hop.state != NextHopState::resolved) [[unlikely]] {
    return transmit_unresolved(worker, mbuf, l2_length, hop, verdict);
  }
  if (l2_length == sizeof(net::EthernetHeader) && hop.vlan == 0) [[likely]] {
    auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
    std::memcpy(frame, &hop.destination, 2 * sizeof(net::MacAddress));
    auto& ethernet = *reinterpret_cast<net::EthernetHeader*>(frame);
    ethernet.type = net::ethertype_of_ip(frame[sizeof(ethernet)]);
  } else if (!write_ethernet(mbuf, l2_length, hop)) {
    return drop(worker, mbuf, Verdict::drop_no_mbuf);
  }
  transmit_frame(worker, mbuf, hop.port, verdict);
}

inline void transmit_in_place(Worker& worker, Packet& packet, const NextHop& hop,
                              Verdict verdict) noexcept {
  if (hop.state == NextHopState::resolved && packet.l2_length == sizeof(net::EthernetHeader) &&
      hop.vlan == 0) [[likely]] {
    std::memcpy(packet.l3 - sizeof(net::EthernetHeader), &hop.destination,
                2 * sizeof(net::MacAddress));
    return transmit_frame(worker, packet.mbuf, hop.port, verdict);
  }
  transmit(worker, packet.mbuf, packet.l2_length, hop, verdict);
}

}  // namespace headgate::dataplane
