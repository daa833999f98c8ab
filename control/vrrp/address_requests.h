// What AddressKeeper asks the kernel: messages of rtnetlink and what their answers mean.
#pragma once

#include <optional>
#include <set>

#include "control/rtnl.h"
#include "control/vrrp/address_state.h"
#include "control/vrrp/addresses.h"

namespace headgate::control {

// The addresses of one interface. IPv6 addresses count whatever their prefix length: the kernel has
// each only once.
class PresentAddresses {
 public:
  void insert(const net::Prefix& prefix) { prefixes_.insert(key(prefix)); }
  [[nodiscard]] bool contains(const net::Prefix& prefix) const {
    return prefixes_.contains(key(prefix));
  }

 private:
  static net::Prefix key(const net::Prefix& prefix) {
    return prefix.address.is_v6() ? net::Prefix{prefix.address, 128} : prefix;
  }
  std::set<net::Prefix> prefixes_;
};

// Dumps of one interface are answered by the kernel for that one (Linux 4.20), not for all.
void prepare_for_dumps(RtnlSocket& socket);
[[nodiscard]] PresentAddresses present_addresses(RtnlSocket& socket, int index);

[[nodiscard]] NlMessage add_request(int index, const InterfaceAddress& address);
[[nodiscard]] NlMessage remove_request(int index, const net::Prefix& prefix);

// net.ipv4.conf.INTERFACE.promote_secondaries. By netlink: /proc/sys may be read-only.
[[nodiscard]] std::optional<bool> read_promotion(RtnlSocket& socket, int index);
[[nodiscard]] int set_promotion(RtnlSocket& socket, int index, bool on);  // 0 or an errno

[[nodiscard]] Error address_error(const InterfaceAddress& address, int code);
[[nodiscard]] Error promotion_error(const NamedLink& link, int code);

}  // namespace headgate::control
