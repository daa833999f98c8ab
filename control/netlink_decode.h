// rtnetlink messages as our types. Pure: bytes in, structs out.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "control/kernel_state.h"

struct nlmsghdr;

namespace headgate::control {

// A neighbour of an interface of ours.
struct NeighbourKey {
  uint16_t interface = 0;  // our index
  net::IpAddress address;
  bool operator==(const NeighbourKey&) const = default;
  auto operator<=>(const NeighbourKey&) const = default;
};

// The kernel's interface indexes by ours; 0 where there is none.
class InterfaceMap {
 public:
  explicit InterfaceMap(std::span<const int> kernel_indexes)
      : kernel_indexes_(kernel_indexes.begin(), kernel_indexes.end()) {}
  [[nodiscard]] uint16_t size() const { return static_cast<uint16_t>(kernel_indexes_.size()); }
  [[nodiscard]] int kernel_index(uint16_t interface) const { return kernel_indexes_[interface]; }
  [[nodiscard]] uint16_t ours(int kernel_index) const;  // or foreign_interface

 private:
  std::vector<int> kernel_indexes_;
};

struct DecodedLink {
  uint16_t interface = 0;
  KernelInterface link;
};

struct DecodedRoute {
  KernelRoute route;
  // Among routes to one prefix the lowest rank wins, then the lowest metric: 0 of the table
  // `local`, 1 through an interface of ours or of no interface (unreachable and the like), 2
  // foreign.
  uint8_t rank = 1;
  bool operator==(const DecodedRoute&) const = default;
};

struct DecodedNeighbour {
  NeighbourKey key;
  net::MacAddress mac;
  uint16_t state = 0;   // NUD_*
  bool usable = false;  // a MAC to send to
};

// Nothing when the message is of another kind, about something that is not mirrored, or damaged.
// For DEL messages too: they say what is gone.
[[nodiscard]] std::optional<DecodedLink> decode_link(const nlmsghdr* message,
                                                     const InterfaceMap& interfaces);
[[nodiscard]] std::optional<KernelAddress> decode_address(const nlmsghdr* message,
                                                          const InterfaceMap& interfaces);
[[nodiscard]] std::optional<DecodedRoute> decode_route(const nlmsghdr* message,
                                                       const InterfaceMap& interfaces);
[[nodiscard]] std::optional<DecodedNeighbour> decode_neighbour(const nlmsghdr* message,
                                                               const InterfaceMap& interfaces);

// The winner for each prefix, sorted.
[[nodiscard]] std::vector<KernelRoute> choose_routes(std::vector<DecodedRoute> routes);

}  // namespace headgate::control
