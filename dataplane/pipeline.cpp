#include "dataplane/pipeline.h"

#include <algorithm>

#include "dataplane/connect.h"
#include "dataplane/forward.h"
#include "dataplane/originate.h"
#include "dataplane/parse.h"
#include "dataplane/parse_plain.h"

namespace headgate::dataplane {
namespace {

// Frames that are no flow end here, by their kind.
void finish_other(Worker& worker, Packet& packet, ParseResult result) noexcept {
  switch (result.kind) {
    case FrameKind::drop:
      return drop(worker, packet.mbuf, result.verdict);
    case FrameKind::arp:
      return answer_arp(worker, packet);
    case FrameKind::twin_control:
      return to_twin(worker, packet.mbuf, TwinClass::control, Verdict::twin_control);
    case FrameKind::twin_other:
      return to_twin(worker, packet.mbuf, TwinClass::bulk, Verdict::twin_not_ours);
    case FrameKind::icmp:
    case FrameKind::other_ip:
    case FrameKind::fragment:
      return forward_other(worker, packet, result.kind);
    case FrameKind::flow:
      return;
  }
}

Ingress ingress_of(const Worker& worker, uint16_t port) noexcept {
  const uint16_t interface = interface_of(worker.region, *worker.root, port, 0);
  if (interface == none16) return {port, none16, no_mac};
  return {port, interface, detail::load_mac(&worker.interface(interface).mac)};
}

// The flow key of a packet that took the long way through parse_frame().
void make_key(Packet& packet) noexcept {
  if (packet.is_v4()) {
    packet.key4 = flow_key<FlowKey4>(&packet.ipv4().source, &packet.ports, packet.protocol);
  } else {
    packet.key6 = flow_key<FlowKey6>(&packet.ipv6().source, &packet.ports, packet.protocol);
  }
}

// An ordinary frame but for its MAC, which is a virtual router's of ours.
bool parse_plain_virtual(const Worker& worker, const Ingress& ingress, rte_mbuf* frame,
                         Packet& packet) noexcept {
  if (worker.root->virtual_macs.count == 0 || ingress.interface == none16 ||
      frame->data_len < sizeof(net::EthernetHeader)) {
    return false;
  }
  auto& ethernet = *rte_pktmbuf_mtod(frame, net::EthernetHeader*);
  // A tagged one is of another interface.
  if (ethernet.type.host() == net::ethertype_vlan) return false;
  return take_virtual_mac(worker.region, *worker.root, ingress.interface, ethernet) &&
         parse_plain(ingress, frame, packet);
}

// Whether the frame is a flow's; ends it otherwise.
bool parse_any(Worker& worker, const Ingress& ingress, rte_mbuf* frame, Packet& packet) noexcept {
  if (parse_plain_virtual(worker, ingress, frame, packet)) return true;
  const ParseResult result = parse_frame(worker.region, *worker.root, frame, ingress.port, packet);
  if (result.kind != FrameKind::flow) {
    finish_other(worker, packet, result);
    return false;
  }
  make_key(packet);
  return true;
}

uint64_t hash_of(const ConnTable& table, const Packet& packet) noexcept {
  return packet.is_v4() ? table.hash(packet.key4) : table.hash(packet.key6);
}

// Parses all and hashes their keys, so that the lines of the table that they need are on their way
// before the first is looked at.
void parse_all(Worker& worker, uint16_t port, std::span<rte_mbuf*> frames, Flows& flows) noexcept {
  for (rte_mbuf* frame : frames)
    rte_prefetch0(rte_pktmbuf_mtod(frame, void*));
  const ConnTable& table = worker.connections;
  const Ingress ingress = ingress_of(worker, port);
  Packet* packet = flows.packets.data();
  for (rte_mbuf* frame : frames) {
    frame->port = port;
    if (!parse_plain(ingress, frame, *packet)) [[unlikely]] {
      if (!parse_any(worker, ingress, frame, *packet)) continue;
    }
    packet->hash = hash_of(table, *packet);
    table.prefetch_bucket(packet->hash);
    ++packet;
  }
  flows.count = static_cast<uint32_t>(packet - flows.packets.data());
}

Slot probe(const ConnTable& table, const Packet& packet) noexcept {
  return packet.is_v4() ? table.probe<FlowKey4>(packet.hash) : table.probe<FlowKey6>(packet.hash);
}

Slot probe_alternate(const ConnTable& table, const Packet& packet) noexcept {
  return packet.is_v4() ? table.probe_alternate<FlowKey4>(packet.hash)
                        : table.probe_alternate<FlowKey6>(packet.hash);
}

// Finds where each may be in the table, and has that entry fetched. The few that may be away from
// their home come last, when their other buckets have come as well.
void probe_all(const ConnTable& table, Flows& flows) noexcept {
  std::array<uint32_t, burst_frames> away;
  uint32_t away_count = 0;
  for (uint32_t i = 0; i < flows.count; ++i) {
    const Packet& packet = flows.packets[i];
    const Slot slot = probe(table, packet);
    flows.candidates[i] = slot.word();
    table.prefetch_entry(slot);
    if (slot.is_none() && table.prefetch_alternate(packet.hash)) [[unlikely]]
      away[away_count++] = i;
  }
  for (const uint32_t i : std::span{away.data(), away_count}) {
    const Slot slot = probe_alternate(table, flows.packets[i]);
    flows.candidates[i] = slot.word();
    table.prefetch_entry(slot);
  }
  std::fill_n(flows.candidates.begin() + flows.count, flows_ahead, Slot{}.word());
}

}  // namespace

void process_burst(Worker& worker, uint16_t port, std::span<rte_mbuf*> frames) noexcept {
  Flows flows;
  parse_all(worker, port, frames, flows);
  probe_all(worker.connections, flows);
  forward_all(worker, flows);
}

}  // namespace headgate::dataplane
