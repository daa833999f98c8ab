// The kernel's state as the snapshot's builder asks it: which way does an address go, and from
// which address of ours? The parts are immutable and shared, so that one of them can be replaced
// alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "control/kernel_state.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

struct AddressHash {  // not noexcept: see IdentityTable::Hash
  size_t operator()(const net::IpAddress& address) const {
    return dataplane::address_hash(address);
  }
  size_t operator()(const net::Prefix& prefix) const {
    return dataplane::mix_hash(dataplane::address_hash(prefix.address) |
                               static_cast<uint64_t>(prefix.length) << 32);
  }
};

// Where an address is reached.
struct Resolution {
  dataplane::NextHopState state = dataplane::NextHopState::unreachable;
  bool routed = false;     // some route matched, or the address is the host's
  uint16_t interface = 0;  // of `unresolved`, which stands for both kinds of neighbour
  uint16_t mtu_limit = 0;  // of the route; 0: the interface's alone
  net::IpAddress gateway;  // the neighbour
  net::IpAddress source;   // ours towards it, of the family of the address; none: there is none
};

class NetworkView {
 public:
  // `places`: the interfaces by their index as the ports were set up: port, VLAN, and the MAC and
  // MTU that count while the kernel has no interface for them.
  explicit NetworkView(std::vector<dataplane::Interface> places);

  // A view with these parts of `state` in place of the former ones.
  [[nodiscard]] NetworkView with(const KernelState& state, KernelParts parts) const;

  [[nodiscard]] Resolution resolve(const net::IpAddress& address) const;
  [[nodiscard]] const std::vector<dataplane::Interface>& interfaces() const {
    return links_->interfaces;
  }
  [[nodiscard]] bool is_host_address(const net::IpAddress& address) const {
    return links_->host_addresses.contains(address);
  }
  [[nodiscard]] const std::unordered_set<net::IpAddress, AddressHash>& host_addresses() const {
    return links_->host_addresses;
  }

  // A route that the workers can use; what they cannot is `unreachable`.
  struct Route {
    dataplane::RouteKind kind = dataplane::RouteKind::unreachable;
    uint16_t interface = 0;
    uint16_t mtu_limit = 0;
    net::IpAddress gateway;
    net::IpAddress source;
    bool operator==(const Route&) const = default;
  };
  // One for each prefix, in the order of the prefixes, as the kernel's state has them.
  [[nodiscard]] const std::vector<std::pair<net::Prefix, Route>>& routes() const {
    return routes_->list;
  }
  // Each neighbour that routes go through, once.
  struct Gateway {
    uint16_t interface;
    uint16_t mtu_limit;
    net::IpAddress address;
    auto operator<=>(const Gateway&) const = default;
  };
  [[nodiscard]] const std::vector<Gateway>& gateways() const { return routes_->gateways; }
  [[nodiscard]] const std::vector<KernelNeighbour>& neighbours() const { return *neighbours_; }
  // Null when the kernel does not know it.
  [[nodiscard]] const net::MacAddress* find_neighbour(uint16_t interface,
                                                      const net::IpAddress& address) const;

 private:
  struct Links {
    std::vector<dataplane::Interface> interfaces;
    std::unordered_set<net::IpAddress, AddressHash> host_addresses;
    std::vector<KernelAddress> sources;  // those that packets of ours may come from
  };
  struct Routes {
    std::vector<std::pair<net::Prefix, Route>> list;
    std::unordered_map<net::Prefix, uint32_t, AddressHash> by_prefix;  // index of `list`
    std::vector<uint8_t> lengths_v4;                                   // longest first
    std::vector<uint8_t> lengths_v6;
    std::vector<Gateway> gateways;
  };

  [[nodiscard]] static std::shared_ptr<const Links> make_links(
      const KernelState& state, const std::vector<dataplane::Interface>& places);
  [[nodiscard]] static std::shared_ptr<const Routes> make_routes(const KernelState& state,
                                                                 size_t interfaces);
  [[nodiscard]] const Route* find_route(const net::IpAddress& address) const;
  [[nodiscard]] net::IpAddress source_for(const net::IpAddress& neighbour, net::Family family,
                                          uint16_t interface) const;

  std::vector<dataplane::Interface> places_;
  std::shared_ptr<const Links> links_;
  std::shared_ptr<const Routes> routes_;
  std::shared_ptr<const std::vector<KernelNeighbour>> neighbours_;
};

}  // namespace headgate::control
