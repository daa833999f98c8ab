#include "control/vrrp/link_table.h"

#include <algorithm>
#include <iterator>

#include "control/vrrp/link_decode.h"

namespace headgate::control {

void LinkTable::apply(const nlmsghdr* message) {
  if (const auto address = decode_address_message(message)) return apply_address(*address);
  const auto link = decode_link_message(message);
  if (!link) return;
  if (link->removed) {
    links_.erase(link->index);
    return;
  }
  LinkState& state = links_[link->index].state;
  state.name = link->name;
  state.index = link->index;
  state.mac = link->mac;
  state.mtu = link->mtu;
  state.up = link->up;
  state.running = link->running;
}

void LinkTable::apply_address(const AddressMessage& address) {
  const auto found = links_.find(address.index);
  if (found == links_.end()) return;  // the link is gone already
  Link& link = found->second;
  const net::Prefix& prefix = address.prefix;
  if (prefix.address.is_v6()) {
    auto& ipv6 = link.state.ipv6;
    const auto known = std::ranges::find(ipv6, prefix);
    const bool usable = address.usable && !address.removed;
    if (usable && known == ipv6.end()) ipv6.push_back(prefix);
    if (!usable && known != ipv6.end()) ipv6.erase(known);
    return;
  }
  const auto known = std::ranges::find(link.ipv4, prefix, &Ipv4Entry::prefix);
  if (!address.removed && known != link.ipv4.end() && known->secondary == address.secondary) return;
  if (known != link.ipv4.end()) link.ipv4.erase(known);
  if (address.removed) return;
  // The kernel puts a primary address behind the last primary one, a secondary one at the end.
  auto at = link.ipv4.end();
  if (!address.secondary) at = std::ranges::find(link.ipv4, true, &Ipv4Entry::secondary);
  link.ipv4.insert(at, {prefix, address.secondary});
}

LinkState LinkTable::state(const std::string& name) const {
  const auto found = std::ranges::find_if(
      links_, [&](const auto& entry) { return entry.second.state.name == name; });
  if (found == links_.end()) {
    LinkState none;
    none.name = name;
    return none;
  }
  const Link& link = found->second;
  LinkState state = link.state;
  std::ranges::transform(link.ipv4, std::back_inserter(state.ipv4), &Ipv4Entry::prefix);
  return state;
}

}  // namespace headgate::control
