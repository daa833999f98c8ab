#include "dataplane/marks.h"

#include <cstring>
#include <span>

namespace headgate::dataplane {
namespace {

bool lies_in(const net::IpAddress& address, const net::IpAddress& network, uint8_t bits) noexcept {
  return address.family == network.family && net::masked(address, bits) == network;
}

bool fits(const MarkRule& rule, const MarkedFlow& flow) noexcept {
  const uint16_t port = flow.destination_port.host();
  return port >= rule.first_port && port <= rule.last_port &&
         (rule.protocol == 0 || rule.protocol == flow.protocol) &&
         lies_in(flow.destination, rule.destination, rule.destination_bits) &&
         (rule.source.family == net::Family::none ||
          lies_in(flow.source, rule.source, rule.source_bits));
}

// The first of `rules`, which are in their order, that fits and comes before `order`; or null.
const MarkRule* first_fit(std::span<const MarkRule> rules, const MarkedFlow& flow,
                          uint32_t order) noexcept {
  for (const MarkRule& rule : rules) {
    if (rule.order >= order) return nullptr;
    if (fits(rule, flow)) return &rule;
  }
  return nullptr;
}

const MarkSlot* find_slot(RegionView region, const SnapshotRoot& root,
                          const net::IpAddress& destination) noexcept {
  const uint32_t count = root.mark_slots.count;
  if (count == 0) return nullptr;
  const uint32_t hash = address_hash(destination);
  for (uint32_t i = 0; i < count; ++i) {
    const MarkSlot& slot = region.element(root.mark_slots, (hash + i) & (count - 1));
    if (slot.address.family == net::Family::none) return nullptr;
    if (slot.address == destination) return &slot;
  }
  return nullptr;
}

}  // namespace

uint32_t mark_of(RegionView region, const SnapshotRoot& root, const MarkedFlow& flow) noexcept {
  if (!has_marks(root)) return 0;
  const MarkRule* const rules = region.at(root.mark_rules.first);
  const MarkRule* found = nullptr;
  if (const MarkSlot* slot = find_slot(region, root, flow.destination)) {
    found = first_fit({rules + slot->first, slot->count}, flow, none);
  }
  const uint32_t order = found == nullptr ? none : found->order;
  if (const MarkRule* earlier = first_fit({rules, root.mark_networks}, flow, order)) {
    found = earlier;
  }
  return found == nullptr ? 0 : found->mark;
}

const ServiceBlock* service_by_mark(RegionView region, const SnapshotRoot& root,
                                    const MarkedFlow& flow) noexcept {
  const uint32_t mark = mark_of(region, root, flow);
  return mark == 0 ? nullptr : find_marked_service(region, root, mark, flow.destination.family);
}

net::IpAddress address_of_mark(uint32_t mark, net::Family family) noexcept {
  const net::be32 word = net::be32::from_host(mark);
  if (family == net::Family::ipv4) return word;
  net::Ipv6Address address{};
  std::memcpy(address.bytes.data() + 12, &word, sizeof(word));
  return address;
}

uint32_t mark_of_address(const net::IpAddress& address) noexcept {
  net::be32 word;
  std::memcpy(&word, address.bytes.data() + (address.is_v4() ? 0 : 12), sizeof(word));
  return word.host();
}

}  // namespace headgate::dataplane
