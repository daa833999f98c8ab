#include "dataplane/pipeline.h"

#include "dataplane/connect.h"
#include "dataplane/forward.h"
#include "dataplane/originate.h"
#include "dataplane/parse.h"

namespace headgate::dataplane {
namespace {

// The packets of a burst that go through the connection table, and what the lookup found for them.
struct Flows {
  std::array<Packet, burst_frames> packets;
  std::array<Slot, burst_frames> candidates;
  std::array<Hit, burst_frames> hits;
  uint32_t count = 0;
};

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

void parse_all(Worker& worker, uint16_t port, std::span<rte_mbuf*> frames, Flows& flows) noexcept {
  for (rte_mbuf* frame : frames)
    rte_prefetch0(rte_pktmbuf_mtod(frame, void*));
  for (rte_mbuf* frame : frames) {
    Packet& packet = flows.packets[flows.count];
    frame->port = port;
    const ParseResult result = parse_frame(worker.region, *worker.root, frame, port, packet);
    if (result.kind == FrameKind::flow) {
      ++flows.count;
    } else {
      finish_other(worker, packet, result);
    }
  }
}

void make_key(Packet& packet) noexcept {
  if (packet.is_v4()) {
    packet.key4 = {.source = packet.source.v4(),
                   .destination = packet.destination.v4(),
                   .source_port = packet.source_port,
                   .destination_port = packet.destination_port,
                   .protocol = packet.protocol};
  } else {
    packet.key6 = {.source = packet.source.v6(),
                   .destination = packet.destination.v6(),
                   .source_port = packet.source_port,
                   .destination_port = packet.destination_port,
                   .protocol = packet.protocol};
  }
}

// In stages, so that the cache misses of a burst overlap.
void look_up_all(Worker& worker, Flows& flows) noexcept {
  const ConnTable& table = worker.connections;
  for (uint32_t i = 0; i < flows.count; ++i) {
    Packet& packet = flows.packets[i];
    make_key(packet);
    packet.hash = packet.is_v4() ? table.hash(packet.key4) : table.hash(packet.key6);
    table.prefetch_bucket(packet.hash);
  }
  for (uint32_t i = 0; i < flows.count; ++i) {
    const Packet& packet = flows.packets[i];
    flows.candidates[i] =
        packet.is_v4() ? table.probe<FlowKey4>(packet.hash) : table.probe<FlowKey6>(packet.hash);
    table.prefetch_entry(flows.candidates[i]);
  }
  for (uint32_t i = 0; i < flows.count; ++i) {
    const Packet& packet = flows.packets[i];
    flows.hits[i] = packet.is_v4() ? table.confirm(packet.hash, packet.key4, flows.candidates[i])
                                   : table.confirm(packet.hash, packet.key6, flows.candidates[i]);
  }
}

// A miss is looked up again: an earlier packet of the same burst may have made the connection.
Hit hit_by_now(const Worker& worker, const Packet& packet) noexcept {
  const ConnTable& table = worker.connections;
  return packet.is_v4() ? table.find(packet.hash, packet.key4)
                        : table.find(packet.hash, packet.key6);
}

void forward(Worker& worker, Packet& packet, Hit hit) noexcept {
  if (hit.is_miss()) hit = hit_by_now(worker, packet);
  if (!hit.is_miss() && forward_known(worker, packet, hit)) return;
  forward_unknown(worker, packet);
}

}  // namespace

void process_burst(Worker& worker, uint16_t port, std::span<rte_mbuf*> frames) noexcept {
  Flows flows;
  parse_all(worker, port, frames, flows);
  look_up_all(worker, flows);
  for (uint32_t i = 0; i < flows.count; ++i)
    forward(worker, flows.packets[i], flows.hits[i]);
}

}  // namespace headgate::dataplane
