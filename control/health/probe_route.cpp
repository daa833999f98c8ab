#include "control/health/probe_route.h"

#include <memory>
#include <utility>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include "control/health/probe_networks.h"
#include "control/rtnl_objects.h"

namespace headgate::control {
namespace {

// Locally administered, and nobody's.
constexpr net::MacAddress gateway_mac{{0x02, 0x68, 0x65, 0x61, 0x6c, 0x74}};

using RtnlNeighbour = std::unique_ptr<rtnl_neigh, NlRelease<rtnl_neigh, rtnl_neigh_put>>;

RtnlNeighbour neighbour_of(int index, const net::Prefix& network) {
  const net::IpAddress gateway = probe_gateway(network);
  RtnlNeighbour result(rtnl_neigh_alloc());
  rtnl_neigh_set_ifindex(result.get(), index);
  rtnl_neigh_set_dst(result.get(), nl_address(gateway, gateway.bits()).get());
  const NlAddress mac(nl_addr_build(AF_LLC, gateway_mac.bytes.data(), gateway_mac.bytes.size()));
  rtnl_neigh_set_lladdr(result.get(), mac.get());
  rtnl_neigh_set_state(result.get(), NUD_PERMANENT);
  return result;
}

RtnlRoute route_of(int index, const net::Prefix& network) {
  const net::IpAddress gateway = probe_gateway(network);
  RtnlRoute result(rtnl_route_alloc());
  rtnl_route_set_family(result.get(), static_cast<uint8_t>(family_of(network.address)));
  rtnl_route_set_table(result.get(), RT_TABLE_MAIN);
  rtnl_route_set_protocol(result.get(), RTPROT_STATIC);
  rtnl_route_set_scope(result.get(), RT_SCOPE_UNIVERSE);
  rtnl_route_set_dst(result.get(), nl_address(network.address, network.length).get());
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, index);
  rtnl_route_nh_set_gateway(hop, nl_address(gateway, gateway.bits()).get());
  rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);  // no address of the twin's holds the gateway
  rtnl_route_add_nexthop(result.get(), hop);    // the route owns it now
  return result;
}

}  // namespace

std::expected<ProbeRoute, Error> ProbeRoute::install(int kernel_index, const std::string& name,
                                                     const std::vector<net::Prefix>& networks) {
  auto socket = RtnlSocket::open();
  if (!socket) return std::unexpected(socket.error());
  ProbeRoute route(std::move(*socket), kernel_index);
  for (const net::Prefix& network : networks) {
    if (auto added = route.add(name, network); !added) return std::unexpected(added.error());
  }
  return route;
}

std::expected<void, Error> ProbeRoute::add(const std::string& name, const net::Prefix& network) {
  int code = rtnl_neigh_add(socket_.get(), neighbour_of(kernel_index_, network).get(),
                            NLM_F_CREATE | NLM_F_REPLACE);
  if (code == 0) {
    networks_.push_back(network);
    code = rtnl_route_add(socket_.get(), route_of(kernel_index_, network).get(),
                          NLM_F_CREATE | NLM_F_EXCL);
  }
  if (code == 0) return {};
  std::string text =
      name + ": route to the probe network " + net::to_string(network) + ": " + nl_text(code);
  if (code == -NLE_EXIST) text += ": choose a network that is not in use";
  return std::unexpected(Error{text});
}

void ProbeRoute::remove() noexcept {
  // Failures mean that somebody took them away before, or the twin is gone.
  for (const net::Prefix& network : std::exchange(networks_, {})) {
    rtnl_route_delete(socket_.get(), route_of(kernel_index_, network).get(), 0);
    rtnl_neigh_delete(socket_.get(), neighbour_of(kernel_index_, network).get(), 0);
  }
}

ProbeRoute& ProbeRoute::operator=(ProbeRoute&& other) noexcept {
  if (this == &other) return *this;
  remove();
  socket_ = std::move(other.socket_);
  kernel_index_ = other.kernel_index_;
  networks_ = std::exchange(other.networks_, {});
  return *this;
}

ProbeRoute::~ProbeRoute() {
  remove();
}

}  // namespace headgate::control
