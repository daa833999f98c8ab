#include "control/ownership.h"

#include <span>

#include "control/slot_table.h"

namespace headgate::control {
namespace {

using dataplane::OwnershipSlot;

OwnershipSlot& slot_of(std::span<OwnershipSlot> slots, const net::IpAddress& address) {
  OwnershipSlot& slot =
      find_slot(slots, dataplane::address_hash(address), [&](const OwnershipSlot& candidate) {
        return candidate.address.family == net::Family::none || candidate.address == address;
      });
  slot.address = address;
  return slot;
}

}  // namespace

std::vector<OwnershipSlot> ownership_slots(const Ownership& ownership) {
  size_t entries = ownership.inactive.size();
  for (const VirtualMac& mac : ownership.virtual_macs)
    entries += mac.addresses.size();
  std::vector<OwnershipSlot> slots = make_slots(entries, OwnershipSlot{});
  for (const net::IpAddress& address : ownership.inactive) {
    if (address.family != net::Family::none) slot_of(slots, address).inactive = 1;
  }
  for (const VirtualMac& mac : ownership.virtual_macs) {
    for (const net::IpAddress& address : mac.addresses) {
      if (address.family != mac.family) continue;
      OwnershipSlot& slot = slot_of(slots, address);
      slot.vrid = mac.vrid;
      slot.interface = mac.interface;
    }
  }
  return slots;
}

std::vector<dataplane::VirtualMacs> virtual_macs(const Ownership& ownership, size_t interfaces) {
  if (ownership.virtual_macs.empty()) return {};
  std::vector<dataplane::VirtualMacs> list(interfaces);
  for (const VirtualMac& mac : ownership.virtual_macs) {
    if (mac.interface >= interfaces || mac.vrid == 0) continue;
    dataplane::VirtualMacs& on = list[mac.interface];
    auto& bits = mac.family == net::Family::ipv4 ? on.ipv4 : on.ipv6;
    bits[mac.vrid / 64] |= uint64_t{1} << (mac.vrid % 64);
  }
  return list;
}

}  // namespace headgate::control
