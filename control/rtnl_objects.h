// libnl's objects with an owner, for what is put into the kernel's tables.
#pragma once

#include <cstdint>
#include <memory>

#include <netlink/addr.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include "dataplane/net/address.h"

namespace headgate::control {

template <typename T, void (*release)(T*)>
struct NlRelease {
  void operator()(T* object) const noexcept { release(object); }
};
using NlAddress = std::unique_ptr<nl_addr, NlRelease<nl_addr, nl_addr_put>>;
using RtnlRoute = std::unique_ptr<rtnl_route, NlRelease<rtnl_route, rtnl_route_put>>;

[[nodiscard]] inline int family_of(const net::IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

// Never null: libnl fails for want of memory only.
[[nodiscard]] inline NlAddress nl_address(const net::IpAddress& address, uint8_t length) {
  NlAddress result(nl_addr_build(family_of(address), address.bytes.data(), address.bits() / 8U));
  nl_addr_set_prefixlen(result.get(), length);
  return result;
}

}  // namespace headgate::control
