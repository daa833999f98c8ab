#include "control/snapshot_marks.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <span>
#include <utility>

#include "control/slot_table.h"

namespace headgate::control {
namespace {

using dataplane::MarkRule;
using dataplane::MarkSlot;

// A rule in the making: with the address by which it may be found.
struct Flat {
  MarkRule rule{};
  net::IpAddress single;  // no family: it is for a network
};

dataplane::AddressMatch match_of(const net::Prefix& prefix) {
  const auto words_of = [](const net::IpAddress& address) {
    std::array<uint64_t, 2> words;
    std::memcpy(words.data(), address.bytes.data(), sizeof(words));
    return words;
  };
  net::IpAddress ones = prefix.address;
  ones.bytes.fill(0xff);
  return {words_of(net::masked(prefix.address, prefix.length)),
          words_of(net::masked(ones, prefix.length))};
}

// One for each range of ports, in the order of the file.
std::vector<Flat> flattened(const std::vector<config::MarkRule>& rules) {
  std::vector<Flat> result;
  for (const config::MarkRule& rule : rules) {
    Flat flat;
    flat.rule.mark = rule.mark;
    flat.rule.protocol = rule.protocol ? static_cast<uint8_t>(*rule.protocol) : uint8_t{0};
    flat.rule.family = rule.destination.address.family;
    flat.rule.destination = match_of(rule.destination);
    if (rule.source) flat.rule.source = match_of(*rule.source);
    if (rule.destination.length == rule.destination.address.bits()) {
      flat.single = rule.destination.address;
    }
    const auto add = [&](uint16_t first, uint16_t last) {
      flat.rule.first_port = first;
      flat.rule.last_port = last;
      flat.rule.order = static_cast<uint32_t>(result.size());
      result.push_back(flat);
    };
    if (rule.ports.empty()) add(0, UINT16_MAX);
    for (const config::PortRange& range : rule.ports)
      add(range.first, range.last);
  }
  return result;
}

// Of the rules from `begin` on, those of single addresses, which lie together by address.
std::vector<MarkSlot> index_of(std::span<const Flat> rules, size_t begin) {
  std::vector<MarkSlot> index = make_slots(rules.size() - begin, MarkSlot{});
  for (size_t i = begin; i < rules.size(); ++i) {
    const net::IpAddress& address = rules[i].single;
    MarkSlot& slot =
        find_slot(std::span(index), dataplane::address_hash(address), [&](const MarkSlot& at) {
          return at.address.family == net::Family::none || at.address == address;
        });
    if (slot.count == 0) {
      slot.address = address;
      slot.first = static_cast<uint32_t>(i);
    }
    ++slot.count;
  }
  return index;
}

}  // namespace

std::expected<void, Error> put_marks(SnapshotDraft& draft) {
  std::vector<Flat> flat = flattened(draft.firewall_marks());
  // Networks, without an address, first; of single addresses each one's together.
  std::ranges::sort(flat, {}, [](const Flat& f) { return std::pair(f.single, f.rule.order); });
  const auto networks = static_cast<size_t>(
      std::ranges::count(flat, net::Family::none, [](const Flat& f) { return f.single.family; }));
  const std::vector<MarkSlot> index = index_of(flat, networks);
  std::vector<MarkRule> rules(flat.size());
  std::ranges::transform(flat, rules.begin(), &Flat::rule);
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
