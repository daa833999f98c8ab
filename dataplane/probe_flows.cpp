#include "dataplane/probe_flows.h"

#include "dataplane/snapshot.h"

namespace headgate::dataplane {
namespace {

constexpr uint16_t no_flow = 0xffff;
constexpr uint32_t chain_count = 32768;
constexpr uint32_t slots_looked_at = 64;
constexpr uint64_t ns_per_second = 1'000'000'000;
// What may still come of a flow that both sides have ended, or one has reset.
constexpr uint64_t linger_ns = ns_per_second;
constexpr uint64_t idle_ns = probe_idle_seconds * ns_per_second;

bool has_ended(const ProbeFlow& flow) noexcept {
  constexpr uint8_t both = probe_host_fin | probe_server_fin;
  return (flow.ends & probe_reset) != 0 || (flow.ends & both) == both;
}

bool is_over(const ProbeFlow& flow, uint64_t now_ns) noexcept {
  return now_ns - flow.seen_ns > (has_ended(flow) ? linger_ns : idle_ns);
}

}  // namespace

static_assert((chain_count & (chain_count - 1)) == 0 && probe_flow_count < no_flow);

ProbeFlows::ProbeFlows()
    : flows_(std::make_unique<ProbeFlow[]>(probe_flow_count)), chains_(chain_count, no_flow) {}

uint16_t& ProbeFlows::chain_of(const ProbeSocket& socket) noexcept {
  const uint64_t ports = uint64_t{socket.host_port.raw()} << 32 | uint64_t{socket.probe_port.raw()}
                                                                      << 48;
  const uint32_t hash = mix_hash(
      (address_hash(socket.probe) ^ address_hash(socket.host) * 31 ^ socket.protocol) | ports);
  return chains_[hash & (chain_count - 1)];
}

ProbeFlow* ProbeFlows::use(const ProbeSocket& socket, const ProbeEntry& entry, bool begins,
                           uint64_t now_ns) noexcept {
  for (uint16_t at = chain_of(socket); at != no_flow; at = flows_[at].next) {
    ProbeFlow& flow = flows_[at];
    if (flow.socket != socket) continue;
    const net::be16 vip_port = entry.port.raw() == 0 ? socket.probe_port : entry.port;
    const bool same = flow.vip == entry.vip && flow.vip_port == vip_port;
    if (same && !is_over(flow, now_ns) && !(begins && has_ended(flow))) {
      flow.seen_ns = now_ns;
      return &flow;
    }
    remove(at);
    break;
  }
  const std::optional<uint16_t> slot = free_slot(now_ns);
  if (!slot) return nullptr;
  uint16_t& chain = chain_of(socket);
  ProbeFlow& flow = flows_[*slot];
  flow = {};
  flow.socket = socket;
  flow.vip = entry.vip;
  flow.vip_port = entry.port.raw() == 0 ? socket.probe_port : entry.port;
  flow.used = true;
  flow.next = chain;
  flow.seen_ns = now_ns;
  chain = *slot;
  return &flow;
}

ProbeFlow* ProbeFlows::find(const net::IpAddress& vip, net::be16 vip_port,
                            const net::IpAddress& host, net::be16 wire_port, uint8_t protocol,
                            uint64_t now_ns) noexcept {
  const uint32_t slot = uint32_t{wire_port.host()} - probe_first_port;  // below: far above
  if (slot >= probe_flow_count) return nullptr;
  ProbeFlow& flow = flows_[slot];
  const bool is_its = flow.used && flow.vip_port == vip_port && flow.socket.protocol == protocol &&
                      flow.vip == vip && flow.socket.host == host;
  if (!is_its || is_over(flow, now_ns)) return nullptr;
  flow.seen_ns = now_ns;
  return &flow;
}

net::be16 ProbeFlows::wire_port(const ProbeFlow& flow) const noexcept {
  return net::be16::from_host(static_cast<uint16_t>(probe_first_port + (&flow - flows_.get())));
}

std::optional<uint16_t> ProbeFlows::free_slot(uint64_t now_ns) noexcept {
  for (uint32_t i = 0; i < slots_looked_at; ++i) {
    const uint16_t slot = hand_;
    hand_ = static_cast<uint16_t>((hand_ + 1U) % probe_flow_count);
    if (flows_[slot].used && is_over(flows_[slot], now_ns)) remove(slot);
    if (!flows_[slot].used) return slot;
  }
  return std::nullopt;
}

void ProbeFlows::remove(uint16_t slot) noexcept {
  uint16_t* link = &chain_of(flows_[slot].socket);
  while (*link != slot)
    link = &flows_[*link].next;
  *link = flows_[slot].next;
  flows_[slot].used = false;
}

}  // namespace headgate::dataplane
