#include "control/network_view.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

namespace headgate::control {
namespace {

using dataplane::NextHopState;
using dataplane::RouteKind;

// Addresses that may be the source of a packet to elsewhere.
bool may_be_source(const KernelAddress& address) {
  const net::IpAddress& ip = address.prefix.address;
  if (ip.is_v4()) return ip.bytes[0] != 127;
  net::Ipv6Address loopback;
  loopback.bytes[15] = 1;
  return !address.link_local && ip != net::IpAddress(loopback);
}

uint16_t bounded_mtu(uint32_t mtu) {
  return static_cast<uint16_t>(std::min<uint32_t>(mtu, std::numeric_limits<uint16_t>::max()));
}

NetworkView::Route route_of(const KernelRoute& kernel, size_t interfaces) {
  NetworkView::Route route;
  route.mtu_limit = bounded_mtu(kernel.mtu);
  route.source = kernel.source;
  switch (kernel.kind) {
    case KernelRouteKind::unreachable:
      route.kind = RouteKind::unreachable;
      break;
    case KernelRouteKind::prohibited:
      route.kind = RouteKind::prohibited;
      break;
    case KernelRouteKind::blackhole:
      route.kind = RouteKind::blackhole;
      break;
    case KernelRouteKind::local:
      route.kind = RouteKind::local;
      break;
    case KernelRouteKind::unicast:
      // Workers cannot send through an interface that is not a port of theirs.
      if (kernel.hops.empty() || kernel.hops.front().interface >= interfaces) break;
      route.interface = kernel.hops.front().interface;
      route.gateway = kernel.hops.front().gateway;
      route.kind =
          route.gateway.family == net::Family::none ? RouteKind::on_link : RouteKind::gateway;
      break;
  }
  return route;
}

template <typename T, typename Order>
void sort_and_unify(std::vector<T>& values, Order order) {
  std::ranges::sort(values, order);
  values.erase(std::ranges::unique(values).begin(), values.end());
}

}  // namespace

NetworkView::NetworkView(std::vector<dataplane::Interface> places)
    : places_(std::move(places)),
      links_(make_links({}, places_)),
      routes_(std::make_shared<const Routes>()),
      neighbours_(std::make_shared<const std::vector<KernelNeighbour>>()) {}

NetworkView NetworkView::with(const KernelState& state, KernelParts parts) const {
  NetworkView view = *this;
  if (parts.links) view.links_ = make_links(state, places_);
  if (parts.routes) view.routes_ = make_routes(state, places_.size());
  if (parts.neighbours) {
    view.neighbours_ = std::make_shared<const std::vector<KernelNeighbour>>(state.neighbours);
  }
  return view;
}

std::shared_ptr<const NetworkView::Links> NetworkView::make_links(
    const KernelState& state, const std::vector<dataplane::Interface>& places) {
  auto links = std::make_shared<Links>();
  links->interfaces = places;
  for (size_t i = 0; i < std::min(places.size(), state.interfaces.size()); ++i) {
    const KernelInterface& kernel = state.interfaces[i];
    if (kernel.kernel_index == 0) continue;
    if (!kernel.mac.is_zero()) links->interfaces[i].mac = kernel.mac;
    if (kernel.mtu != 0) links->interfaces[i].mtu = kernel.mtu;
  }
  for (const KernelAddress& address : state.addresses) {
    const net::IpAddress& ip = address.prefix.address;
    links->host_addresses.insert(ip);
    if (!may_be_source(address)) continue;
    links->sources.push_back(address);
    if (address.interface >= places.size() || address.secondary) continue;
    dataplane::Interface& interface = links->interfaces[address.interface];
    if (ip.is_v4() && interface.ipv4 == net::Ipv4Address{}) interface.ipv4 = ip.v4();
    if (ip.is_v6() && interface.ipv6 == net::Ipv6Address{}) interface.ipv6 = ip.v6();
  }
  return links;
}

std::shared_ptr<const NetworkView::Routes> NetworkView::make_routes(const KernelState& state,
                                                                    size_t interfaces) {
  auto routes = std::make_shared<Routes>();
  routes->list.reserve(state.routes.size());
  routes->by_prefix.reserve(state.routes.size());
  for (const KernelRoute& kernel : state.routes) {
    const auto index = static_cast<uint32_t>(routes->list.size());
    routes->by_prefix.emplace(kernel.prefix, index);
    const Route& route =
        routes->list.emplace_back(kernel.prefix, route_of(kernel, interfaces)).second;
    if (route.kind == RouteKind::gateway) {
      routes->gateways.push_back({route.interface, route.mtu_limit, route.gateway});
    }
    auto& lengths = kernel.prefix.address.is_v4() ? routes->lengths_v4 : routes->lengths_v6;
    if (lengths.empty() || lengths.back() != kernel.prefix.length) {
      lengths.push_back(kernel.prefix.length);
    }
  }
  sort_and_unify(routes->lengths_v4, std::greater{});
  sort_and_unify(routes->lengths_v6, std::greater{});
  sort_and_unify(routes->gateways, std::less{});
  return routes;
}

Resolution NetworkView::resolve(const net::IpAddress& address) const {
  Resolution result;
  if (is_host_address(address) || net::is_loopback(address)) {
    result.state = NextHopState::local;
    result.routed = true;
    result.source = address;
    return result;
  }
  const Route* const route = find_route(address);
  if (route == nullptr) return result;
  result.routed = true;
  switch (route->kind) {
    case RouteKind::unreachable:
      return result;
    case RouteKind::prohibited:
      result.state = NextHopState::prohibited;
      return result;
    case RouteKind::blackhole:
      result.state = NextHopState::blackhole;
      return result;
    case RouteKind::local:
      result.state = NextHopState::local;
      return result;
    case RouteKind::on_link:
    case RouteKind::gateway:
      break;
  }
  result.state = NextHopState::unresolved;
  result.interface = route->interface;
  result.mtu_limit = route->mtu_limit;
  result.gateway = route->kind == RouteKind::gateway ? route->gateway : address;
  result.source = route->source.family == address.family
                      ? route->source
                      : source_for(result.gateway, address.family, route->interface);
  return result;
}

const NetworkView::Route* NetworkView::find_route(const net::IpAddress& address) const {
  for (const uint8_t length : address.is_v4() ? routes_->lengths_v4 : routes_->lengths_v6) {
    const auto found = routes_->by_prefix.find({net::masked(address, length), length});
    if (found != routes_->by_prefix.end()) return &routes_->list[found->second].second;
  }
  return nullptr;
}

// As the kernel chooses: an address of the interface in the neighbour's subnet, else the
// interface's first, else one of another interface.
net::IpAddress NetworkView::source_for(const net::IpAddress& neighbour, net::Family family,
                                       uint16_t interface) const {
  const auto rank = [&](const KernelAddress& address) {
    const bool here = address.interface == interface;
    return std::tuple(here, here && address.prefix.contains(neighbour), !address.secondary);
  };
  const KernelAddress* best = nullptr;
  for (const KernelAddress& address : links_->sources) {
    if (address.prefix.address.family != family) continue;
    if (best == nullptr || rank(*best) < rank(address)) best = &address;
  }
  return best == nullptr ? net::IpAddress{} : best->prefix.address;
}

const net::MacAddress* NetworkView::find_neighbour(uint16_t interface,
                                                   const net::IpAddress& address) const {
  const auto key = [](const KernelNeighbour& neighbour) {
    return std::tie(neighbour.interface, neighbour.address);
  };
  const auto found =
      std::ranges::lower_bound(*neighbours_, std::tie(interface, address), std::less{}, key);
  if (found == neighbours_->end() || key(*found) != std::tie(interface, address)) return nullptr;
  return &found->mac;
}

}  // namespace headgate::control
