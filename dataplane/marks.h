// Firewall marks: the rules say which mark a packet bears, and the service of that mark goes before
// one of the packet's own address and port, as LVS looks them up. Asked only for packets that
// belong to no connection.
//
// A lookup goes through the rules of the packet's own destination address, found by hash, and then
// through those of networks as far as they come before what was found: at most 1,024 all together
// (config/limits.h). Without rules it is one comparison.
#pragma once

#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/snapshot.h"

namespace headgate::dataplane {

// What rules look at.
struct MarkedFlow {
  net::IpAddress source;
  net::IpAddress destination;
  net::be16 destination_port;
  uint8_t protocol;
};

[[nodiscard]] inline bool has_marks(const SnapshotRoot& root) noexcept {
  return root.mark_rules.count != 0;
}

// The mark of a packet, 0 where no rule fits.
[[nodiscard]] uint32_t mark_of(RegionView region, const SnapshotRoot& root,
                               const MarkedFlow& flow) noexcept;

// The service of the packet's mark; null without a mark, or without a service for it.
[[nodiscard]] const ServiceBlock* service_by_mark(RegionView region, const SnapshotRoot& root,
                                                  const MarkedFlow& flow) noexcept;

// A mark in the place of an address: 7 is 0.0.0.7, or ::7.
[[nodiscard]] net::IpAddress address_of_mark(uint32_t mark, net::Family family) noexcept;
[[nodiscard]] uint32_t mark_of_address(const net::IpAddress& address) noexcept;

}  // namespace headgate::dataplane
