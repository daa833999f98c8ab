#include "control/snapshot_marks.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "control/slot_table.h"

namespace headgate::control {
namespace {

using dataplane::MarkRule;
using dataplane::MarkSlot;

bool is_single(const MarkRule& rule) {
  return rule.destination_bits == rule.destination.bits();
}

// One for each range of ports, in the order of the file.
std::vector<MarkRule> flattened(const std::vector<config::MarkRule>& rules) {
  std::vector<MarkRule> result;
  for (const config::MarkRule& rule : rules) {
    MarkRule flat{};
    flat.mark = rule.mark;
    flat.protocol = rule.protocol ? static_cast<uint8_t>(*rule.protocol) : uint8_t{0};
    flat.destination = net::masked(rule.destination.address, rule.destination.length);
    flat.destination_bits = std::min(rule.destination.length, flat.destination.bits());
    if (rule.source) {
      flat.source = net::masked(rule.source->address, rule.source->length);
      flat.source_bits = std::min(rule.source->length, flat.source.bits());
    }
    const auto add = [&](uint16_t first, uint16_t last) {
      flat.first_port = first;
      flat.last_port = last;
      flat.order = static_cast<uint32_t>(result.size());
      result.push_back(flat);
    };
    if (rule.ports.empty()) add(0, UINT16_MAX);
    for (const config::PortRange& range : rule.ports)
      add(range.first, range.last);
  }
  return result;
}

// Of the rules from `begin` on, those of single addresses, which lie together by address.
std::vector<MarkSlot> index_of(std::span<const MarkRule> rules, size_t begin) {
  std::vector<MarkSlot> index = make_slots(rules.size() - begin, MarkSlot{});
  for (size_t i = begin; i < rules.size(); ++i) {
    const net::IpAddress& address = rules[i].destination;
    MarkSlot& slot =
        find_slot(std::span(index), dataplane::address_hash(address), [&](const MarkSlot& at) {
          return at.address.family == net::Family::none || at.address == address;
        });
    if (slot.count == 0)
      slot = {.address = address, .reserved = {}, .first = static_cast<uint32_t>(i), .count = 0};
    ++slot.count;
  }
  return index;
}

}  // namespace

std::expected<void, Error> put_marks(SnapshotDraft& draft) {
  std::vector<MarkRule> rules = flattened(draft.firewall_marks());
  // Networks first; of single addresses each one's together. The order within stays.
  std::ranges::stable_sort(rules, {}, [](const MarkRule& rule) {
    return is_single(rule) ? std::pair(true, rule.destination) : std::pair(false, net::IpAddress{});
  });
  const auto networks = static_cast<size_t>(std::ranges::find_if(rules, is_single) - rules.begin());
  const std::vector<MarkSlot> index = index_of(rules, networks);
  draft.root.mark_networks = static_cast<uint32_t>(networks);
  auto done = draft.blocks.put_array(draft.part(Part::mark_rules), draft.root.mark_rules,
                                     std::span<const MarkRule>(rules));
  if (done) {
    done = draft.blocks.put_array(draft.part(Part::mark_slots), draft.root.mark_slots,
                                  std::span<const MarkSlot>(index));
  }
  return done;
}

std::vector<net::IpAddress> addresses_by_mark(const SnapshotDraft& draft) {
  std::vector<net::IpAddress> addresses;
  if (draft.firewall_marks().empty()) return addresses;
  std::set<std::pair<uint32_t, net::Family>> served;
  for_each_service_state(draft, [&](uint32_t, const ServiceState& state) {
    if (state.key.firewall_mark != 0) served.emplace(state.key.firewall_mark, state.key.family);
  });
  for (const config::MarkRule& rule : draft.firewall_marks()) {
    const net::IpAddress& address = rule.destination.address;
    const bool single = rule.destination.length == address.bits();
    if (single && served.contains({rule.mark, address.family})) addresses.push_back(address);
  }
  return addresses;
}

}  // namespace headgate::control
