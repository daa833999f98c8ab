#include "dataplane/marks.h"

#include <array>
#include <cstring>
#include <span>

namespace headgate::dataplane {
namespace {

using Words = std::array<uint64_t, 2>;

Words words_of(const net::IpAddress& address) noexcept {
  Words words;
  std::memcpy(words.data(), address.bytes.data(), sizeof(words));
  return words;
}

// A packet as the rules compare it: up to a thousand times.
struct Looked {
  Words source;
  Words destination;
  net::Family family;
  uint16_t port;
  uint8_t protocol;
};

bool agrees(const Words& words, const AddressMatch& match) noexcept {
  return (((words[0] ^ match.value[0]) & match.mask[0]) |
          ((words[1] ^ match.value[1]) & match.mask[1])) == 0;
}

bool fits(const MarkRule& rule, const Looked& packet) noexcept {
  return agrees(packet.destination, rule.destination) && rule.family == packet.family &&
         packet.port >= rule.first_port && packet.port <= rule.last_port &&
         (rule.protocol == 0 || rule.protocol == packet.protocol) &&
         agrees(packet.source, rule.source);
}

// The first of `rules`, which are in their order, that fits and comes before `order`; or null.
const MarkRule* first_fit(std::span<const MarkRule> rules, const Looked& packet,
                          uint32_t order) noexcept {
  for (const MarkRule& rule : rules) {
    if (rule.order >= order) return nullptr;
    if (fits(rule, packet)) return &rule;
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
  const Looked packet{words_of(flow.source), words_of(flow.destination), flow.destination.family,
                      flow.destination_port.host(), flow.protocol};
  const MarkRule* const rules = region.at(root.mark_rules.first);
  const MarkRule* found = nullptr;
  if (const MarkSlot* slot = find_slot(region, root, flow.destination)) {
    found = first_fit({rules + slot->first, slot->count}, packet, none);
  }
  const uint32_t order = found == nullptr ? none : found->order;
  if (const MarkRule* earlier = first_fit({rules, root.mark_networks}, packet, order)) {
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
  net::IpAddress address;
  address.family = family;
  std::memcpy(address.bytes.data(), &word, sizeof(word));
  return address;
}

uint32_t mark_of_address(const net::IpAddress& address) noexcept {
  net::be32 word;
  std::memcpy(&word, address.bytes.data(), sizeof(word));
  return word.host();
}

}  // namespace headgate::dataplane
