// What virtual routers (VRRP) say of addresses: those that another router is master of, and virtual
// MACs. Control tells the workers by SnapshotBuilder::set_ownership().
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/net/address.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

// A virtual router with a virtual MAC that we are master of: frames to the MAC are ours, and who
// asks on its interface for one of its addresses is told the MAC.
struct VirtualMac {
  uint16_t interface = 0;  // by its index, as everywhere: see kernel_state.h
  net::Family family = net::Family::ipv4;
  uint8_t vrid = 0;  // 1..255
  std::vector<net::IpAddress> addresses;

  bool operator==(const VirtualMac&) const = default;
};

struct Ownership {
  // Workers answer for none of these and take no new traffic for them. Addresses that are no VIPs
  // or local addresses may be among them: they are the kernel's affair.
  std::vector<net::IpAddress> inactive;
  std::vector<VirtualMac> virtual_macs;

  bool operator==(const Ownership&) const = default;
};

// As the snapshot has it.
[[nodiscard]] std::vector<dataplane::OwnershipSlot> ownership_slots(const Ownership& ownership);
[[nodiscard]] std::vector<dataplane::VirtualMacs> virtual_macs(const Ownership& ownership,
                                                               size_t interfaces);

}  // namespace headgate::control
