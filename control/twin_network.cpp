#include "control/twin_network.h"

#include <algorithm>
#include <utility>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include "control/rtnl.h"
#include "control/rtnl_objects.h"

namespace headgate::control {
namespace {

using RtnlAddress = std::unique_ptr<rtnl_addr, NlRelease<rtnl_addr, rtnl_addr_put>>;

RtnlAddress rtnl_address(int index, const net::Prefix& prefix) {
  RtnlAddress result(rtnl_addr_alloc());
  rtnl_addr_set_ifindex(result.get(), index);
  rtnl_addr_set_local(result.get(), nl_address(prefix.address, prefix.length).get());
  if (prefix.address.is_v6()) rtnl_addr_set_flags(result.get(), IFA_F_NODAD);
  return result;
}

RtnlRoute rtnl_route_of(int index, const config::Route& route) {
  RtnlRoute result(rtnl_route_alloc());
  rtnl_route_set_family(result.get(), static_cast<uint8_t>(family_of(route.to.address)));
  rtnl_route_set_table(result.get(), RT_TABLE_MAIN);
  rtnl_route_set_protocol(result.get(), RTPROT_STATIC);
  rtnl_route_set_scope(result.get(),
                       route.via || route.to.address.is_v6() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  rtnl_route_set_dst(result.get(), nl_address(route.to.address, route.to.length).get());
  if (route.metric) rtnl_route_set_priority(result.get(), *route.metric);
  if (route.source) {
    rtnl_route_set_pref_src(result.get(), nl_address(*route.source, route.source->bits()).get());
  }
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, index);
  if (route.via) {
    rtnl_route_nh_set_gateway(hop, nl_address(*route.via, route.via->bits()).get());
  }
  rtnl_route_add_nexthop(result.get(), hop);  // the route owns it now
  return result;
}

std::string text_of(const config::Route& route) {
  std::string text = "route to " + net::to_string(route.to);
  if (route.via) text += " via " + net::to_string(*route.via);
  return text;
}

// What this object put into the kernel.
struct PlacedAddress {
  int index;
  net::Prefix prefix;
  bool operator==(const PlacedAddress&) const = default;
};
struct PlacedRoute {
  int index;
  config::Route route;
  bool operator==(const PlacedRoute&) const = default;
};

template <typename T>
bool holds(const std::vector<T>& list, const T& item) {
  return std::ranges::find(list, item) != list.end();
}

}  // namespace

struct TwinNetwork::Impl {
  explicit Impl(RtnlSocket given) : socket(std::move(given)) {}

  void remove_unwanted(const std::vector<PlacedAddress>& wanted_addresses,
                       const std::vector<PlacedRoute>& wanted_routes);
  void add_address(const std::string& name, const PlacedAddress& address,
                   std::vector<Error>& errors);
  void add_route(const std::string& name, const PlacedRoute& route, std::vector<Error>& errors);

  RtnlSocket socket;
  std::vector<PlacedAddress> addresses;
  std::vector<PlacedRoute> routes;
};

void TwinNetwork::Impl::remove_unwanted(const std::vector<PlacedAddress>& wanted_addresses,
                                        const std::vector<PlacedRoute>& wanted_routes) {
  // Failures mean that somebody took them away before, or the twin is gone.
  std::erase_if(routes, [&](const PlacedRoute& placed) {
    if (holds(wanted_routes, placed)) return false;
    rtnl_route_delete(socket.get(), rtnl_route_of(placed.index, placed.route).get(), 0);
    return true;
  });
  std::erase_if(addresses, [&](const PlacedAddress& placed) {
    if (holds(wanted_addresses, placed)) return false;
    rtnl_addr_delete(socket.get(), rtnl_address(placed.index, placed.prefix).get(), 0);
    return true;
  });
}

void TwinNetwork::Impl::add_address(const std::string& name, const PlacedAddress& address,
                                    std::vector<Error>& errors) {
  const int code = rtnl_addr_add(socket.get(), rtnl_address(address.index, address.prefix).get(),
                                 NLM_F_CREATE | NLM_F_EXCL);
  if (code == 0 && !holds(addresses, address)) addresses.push_back(address);
  if (code == 0 || code == -NLE_EXIST) return;  // an operator's own is as good
  errors.push_back({name + ": address " + net::to_string(address.prefix) + ": " + nl_text(code)});
}

void TwinNetwork::Impl::add_route(const std::string& name, const PlacedRoute& route,
                                  std::vector<Error>& errors) {
  const int code = rtnl_route_add(socket.get(), rtnl_route_of(route.index, route.route).get(),
                                  NLM_F_CREATE | NLM_F_EXCL);
  if (code == 0 && !holds(routes, route)) routes.push_back(route);
  if (code == 0 || code == -NLE_EXIST) return;
  errors.push_back(
      {name + ": " + text_of(route.route) + ": " + nl_text(code) +
       (route.route.via ? ": is the gateway in a network of the twin's addresses?" : "")});
}

std::expected<TwinNetwork, Error> TwinNetwork::open() {
  auto socket = RtnlSocket::open();
  if (!socket) return std::unexpected(socket.error());
  return TwinNetwork(std::make_unique<Impl>(std::move(*socket)));
}

std::vector<Error> TwinNetwork::apply(const std::vector<TwinNetworkPart>& wanted) {
  std::vector<PlacedAddress> addresses;
  std::vector<PlacedRoute> routes;
  std::vector<std::string> address_names;
  std::vector<std::string> route_names;
  // Routes without a gateway first: those with one may depend on them.
  for (const bool with_gateway : {false, true}) {
    for (const TwinNetworkPart& part : wanted) {
      for (const config::Route& route : part.routes) {
        if (route.via.has_value() != with_gateway) continue;
        routes.push_back({part.kernel_index, route});
        route_names.push_back(part.name);
      }
    }
  }
  for (const TwinNetworkPart& part : wanted) {
    for (const net::Prefix& address : part.addresses) {
      addresses.push_back({part.kernel_index, address});
      address_names.push_back(part.name);
    }
  }
  impl_->remove_unwanted(addresses, routes);
  std::vector<Error> errors;
  for (size_t i = 0; i < addresses.size(); ++i) {
    impl_->add_address(address_names[i], addresses[i], errors);
  }
  for (size_t i = 0; i < routes.size(); ++i) {
    impl_->add_route(route_names[i], routes[i], errors);
  }
  return errors;
}

TwinNetwork::TwinNetwork(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TwinNetwork::TwinNetwork(TwinNetwork&&) noexcept = default;
TwinNetwork& TwinNetwork::operator=(TwinNetwork&&) noexcept = default;
TwinNetwork::~TwinNetwork() = default;

}  // namespace headgate::control
