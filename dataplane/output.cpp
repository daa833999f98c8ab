#include "dataplane/output.h"

#include <rte_ethdev.h>

namespace headgate::dataplane {
namespace {

constexpr uint64_t ns_per_ms = 1'000'000;

void ask_for_neighbour(Worker& worker, const HeldPacket& packet) noexcept {
  NeighbourRequest request{packet.neighbour, 0, packet.interface};
  if (worker.shared.neighbour_requests == nullptr) return;
  // A full ring loses nothing but time: the next packet for this neighbour asks again.
  (void)rte_ring_enqueue_elem(worker.shared.neighbour_requests, &request, sizeof(request));
}

net::IpAddress destination_of(const rte_mbuf* mbuf, uint16_t l2_length) noexcept {
  const auto* ip = rte_pktmbuf_mtod_offset(mbuf, const uint8_t*, l2_length);
  if ((*ip >> 4) == 4) return reinterpret_cast<const net::Ipv4Header*>(ip)->destination;
  return reinterpret_cast<const net::Ipv6Header*>(ip)->destination;
}

void hold(Worker& worker, rte_mbuf* mbuf, uint16_t l2_length, const NextHop& hop,
          Verdict verdict) noexcept {
  const bool configured = hop.gateway.family != net::Family::none;
  const HeldPacket packet{.mbuf = mbuf,
                          .neighbour = configured ? hop.gateway : destination_of(mbuf, l2_length),
                          .interface = hop.interface,
                          .l2_length = l2_length,
                          .verdict = verdict,
                          .configured = configured,
                          .deadline_ns = worker.now.ns + hold_time_ms * ns_per_ms};
  const HoldQueue::Result result = worker.held.add(packet);
  if (result == HoldQueue::Result::full) {
    return drop(worker, mbuf, Verdict::drop_neighbour_queue_full);
  }
  worker.count(Verdict::held_neighbour);
  if (result == HoldQueue::Result::first) ask_for_neighbour(worker, packet);
}

// Hands all of `tx` to the worker that owns a queue. Each frame carries its verdict along, and the
// owner counts it once it knows whether the queue took the frame.
void hand_off(Worker& worker, WorkerPort& port) noexcept {
  TxBuffer& tx = port.tx;
  for (uint16_t i = 0; i < tx.count; ++i) {
    tx.mbufs[i]->hash.usr = static_cast<uint32_t>(tx.verdicts[i]);
  }
  const unsigned taken =
      port.handoff_out == nullptr
          ? 0
          : rte_ring_mp_enqueue_burst(port.handoff_out,
                                      reinterpret_cast<void* const*>(tx.mbufs.data()), tx.count,
                                      nullptr);
  for (unsigned i = taken; i < tx.count; ++i)
    drop(worker, tx.mbufs[i], Verdict::drop_tx_full);
}

void send_through_queue(Worker& worker, uint16_t port_id, uint16_t queue, TxBuffer& tx) noexcept {
  const uint16_t sent = rte_eth_tx_burst(port_id, queue, tx.mbufs.data(), tx.count);
  for (uint16_t first = 0; first < sent;) {  // by runs: neighbours mostly share their verdict
    uint16_t end = first + 1;
    while (end < sent && tx.verdicts[end] == tx.verdicts[first])
      ++end;
    worker.count(tx.verdicts[first], end - first);
    first = end;
  }
  for (uint16_t i = sent; i < tx.count; ++i)
    drop(worker, tx.mbufs[i], Verdict::drop_tx_full);
}

}  // namespace

void flush_port(Worker& worker, uint16_t port_id) noexcept {
  WorkerPort& port = worker.ports[port_id];
  if (port.tx_queue == none16) {
    hand_off(worker, port);
  } else {
    send_through_queue(worker, port_id, port.tx_queue, port.tx);
  }
  port.tx.count = 0;
}

bool write_ethernet(rte_mbuf* mbuf, uint16_t l2_length, const NextHop& row) noexcept {
  const uint16_t length = row.vlan == 0 ? sizeof(net::EthernetHeader)
                                        : sizeof(net::EthernetHeader) + sizeof(net::VlanTag);
  const auto* ip = rte_pktmbuf_mtod_offset(mbuf, const uint8_t*, l2_length);
  const net::be16 type = net::ethertype_of_ip(*ip);
  if (l2_length > length) {
    rte_pktmbuf_adj(mbuf, static_cast<uint16_t>(l2_length - length));
  } else if (l2_length < length &&
             rte_pktmbuf_prepend(mbuf, static_cast<uint16_t>(length - l2_length)) == nullptr) {
    return false;
  }
  auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
  auto& ethernet = *reinterpret_cast<net::EthernetHeader*>(frame);
  ethernet.destination = row.destination;
  ethernet.source = row.source;
  ethernet.type = type;
  if (row.vlan != 0) {
    ethernet.type = net::be16::from_host(net::ethertype_vlan);
    auto& tag = *reinterpret_cast<net::VlanTag*>(frame + sizeof(net::EthernetHeader));
    tag = {net::be16::from_host(row.vlan), type};
  }
  return true;
}

const NextHop& route_to(Worker& worker, const net::IpAddress& destination) noexcept {
  const RouteTarget* target = find_route(worker.region, *worker.root, destination);
  if (target == nullptr) return unreachable_hop;
  switch (target->kind) {
    case RouteKind::gateway:
      return hop_at(worker, target->next_hop);
    case RouteKind::on_link: {
      const uint32_t neighbour =
          find_neighbour(worker.region, *worker.root, destination, target->interface);
      if (neighbour != none) return hop_at(worker, neighbour);
      NextHop& hop = *worker.unknown_neighbour;
      hop = detail::rowless_hop(NextHopState::unresolved);
      hop.interface = target->interface;
      hop.mtu = worker.interface(target->interface).mtu;
      return hop;
    }
    case RouteKind::unreachable:
      return unreachable_hop;
    case RouteKind::prohibited:
      return prohibited_hop;
    case RouteKind::blackhole:
      return blackhole_hop;
    case RouteKind::local:
      return local_hop;
  }
  return unreachable_hop;
}

void transmit_unresolved(Worker& worker, rte_mbuf* mbuf, uint16_t l2_length, const NextHop& hop,
                         Verdict verdict) noexcept {
  switch (hop.state) {
    case NextHopState::resolved:
      return transmit(worker, mbuf, l2_length, hop, verdict);
    case NextHopState::unresolved:
      return hold(worker, mbuf, l2_length, hop, verdict);
    case NextHopState::blackhole:
      return drop(worker, mbuf, Verdict::drop_blackhole);
    case NextHopState::local:  // a backend on this host: the frame goes up as it came
      return to_twin(worker, mbuf, TwinClass::bulk, Verdict::twin_not_ours);
    case NextHopState::unreachable:
    case NextHopState::prohibited:
      return drop(worker, mbuf, Verdict::drop_no_route);
  }
}

void flush_transmit(Worker& worker) noexcept {
  for (const uint16_t id : worker.present_ports()) {
    if (worker.ports[id].tx.count != 0) flush_port(worker, id);
  }
}

void send_handed_off(Worker& worker) noexcept {
  for (const uint16_t id : worker.present_ports()) {
    WorkerPort& port = worker.ports[id];
    if (port.handoff_in == nullptr || port.tx_queue == none16) continue;
    TxBuffer frames;
    frames.count = static_cast<uint16_t>(
        rte_ring_sc_dequeue_burst(port.handoff_in, reinterpret_cast<void**>(frames.mbufs.data()),
                                  frames.mbufs.size(), nullptr));
    if (frames.count == 0) continue;
    for (uint16_t i = 0; i < frames.count; ++i) {
      frames.verdicts[i] = static_cast<Verdict>(frames.mbufs[i]->hash.usr);
    }
    send_through_queue(worker, id, port.tx_queue, frames);
  }
}

void release_held(Worker& worker) noexcept {
  if (worker.held.size() == 0) return;
  worker.held.sweep([&worker](const HeldPacket& packet) noexcept {
    const uint32_t row =
        find_neighbour(worker.region, *worker.root, packet.neighbour, packet.interface);
    const NextHop& hop = hop_at(worker, row);
    const bool known = row != none && hop.state == NextHopState::resolved;
    if (!known && worker.now.ns < packet.deadline_ns) return false;
    worker.counters.worker->released.add(1);
    if (known) {
      transmit(worker, packet.mbuf, packet.l2_length, hop, packet.verdict);
    } else {
      drop(worker, packet.mbuf, Verdict::drop_neighbour_timeout);
    }
    return true;
  });
}

void drop(Worker& worker, rte_mbuf* mbuf, Verdict verdict) noexcept {
  worker.count(verdict);
  rte_pktmbuf_free(mbuf);
}

void to_twin(Worker& worker, rte_mbuf* mbuf, TwinClass twin_class, Verdict verdict) noexcept {
  if (mbuf->port >= worker.ports.size() || !worker.ports[mbuf->port].has_twin) {
    return drop(worker, mbuf, Verdict::drop_twin_none);
  }
  rte_ring* ring = worker.exception.to_twin[static_cast<uint32_t>(twin_class)];
  if (ring == nullptr || rte_ring_sp_enqueue(ring, mbuf) != 0) {
    return drop(worker, mbuf, Verdict::drop_twin_ring_full);
  }
  worker.count(verdict);
}

}  // namespace headgate::dataplane
