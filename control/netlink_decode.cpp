#include "control/netlink_decode.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <iterator>
#include <tuple>
#include <utility>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "control/netlink_attributes.h"

namespace headgate::control {
namespace {

constexpr uint16_t usable_states =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

bool is_multicast(const net::IpAddress& address) {
  return address.is_v4() ? (address.bytes[0] & 0xf0) == 0xe0 : address.bytes[0] == 0xff;
}

// RTA_VIA: a gateway of another family than the route's.
net::IpAddress via_in(const nlattr* attribute) {
  if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof(rtvia))) return {};
  const auto* via = static_cast<const rtvia*>(nla_data(attribute));
  const int family = via->rtvia_family;
  const int size = nla_len(attribute) - static_cast<int>(sizeof(rtvia));
  if (!is_ip(family) || size < address_size(family)) return {};
  return make_address(family, via->rtvia_addr);
}

KernelNextHop next_hop(int family, const std::array<nlattr*, RTA_MAX + 1>& attributes,
                       int kernel_index, const InterfaceMap& interfaces) {
  KernelNextHop hop;
  hop.interface = interfaces.ours(kernel_index);
  hop.gateway = address_in(family, attributes[RTA_GATEWAY]);
  if (hop.gateway.family == net::Family::none) hop.gateway = via_in(attributes[RTA_VIA]);
  return hop;
}

std::vector<KernelNextHop> multipath(int family, const nlattr* attribute,
                                     const InterfaceMap& interfaces) {
  std::vector<KernelNextHop> hops;
  // Hops and the attributes behind each lie at multiples of four bytes: an attribute's header.
  constexpr int unit = sizeof(nlattr);
  static_assert(unit == NLMSG_ALIGNTO && sizeof(rtnexthop) % unit == 0);
  auto* at = static_cast<nlattr*>(nla_data(attribute));
  int left = nla_len(attribute);
  while (left >= static_cast<int>(sizeof(rtnexthop))) {
    rtnexthop entry;
    std::memcpy(&entry, at, sizeof(entry));
    if (entry.rtnh_len < sizeof(entry) || entry.rtnh_len > left) break;
    std::array<nlattr*, RTA_MAX + 1> attributes{};
    const auto length = static_cast<int>(entry.rtnh_len - sizeof(entry));
    nlattr* first = at + sizeof(entry) / unit;
    if (nla_parse(attributes.data(), RTA_MAX, first, length, nullptr) == 0 &&
        (entry.rtnh_flags & RTNH_F_DEAD) == 0) {
      KernelNextHop hop = next_hop(family, attributes, entry.rtnh_ifindex, interfaces);
      hop.weight = entry.rtnh_hops + 1U;
      hops.push_back(hop);
    }
    const int step = NLMSG_ALIGN(entry.rtnh_len);
    left -= step;
    at += step / unit;
  }
  return hops;
}

std::optional<KernelRouteKind> route_kind(uint8_t type) {
  switch (type) {
    case RTN_UNICAST:
      return KernelRouteKind::unicast;
    case RTN_LOCAL:
      return KernelRouteKind::local;
    case RTN_UNREACHABLE:
      return KernelRouteKind::unreachable;
    case RTN_PROHIBIT:
      return KernelRouteKind::prohibited;
    case RTN_BLACKHOLE:
      return KernelRouteKind::blackhole;
    default:
      return std::nullopt;
  }
}

// Routes of the tables main and default, and local ones of the table local; none that depend on
// more than the destination, and no cached ones.
bool is_mirrored(const rtmsg& header, uint32_t table) {
  if (!is_ip(header.rtm_family) || header.rtm_tos != 0 || header.rtm_src_len != 0) return false;
  if ((header.rtm_flags & RTM_F_CLONED) != 0) return false;
  return table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT ||
         (table == RT_TABLE_LOCAL && header.rtm_type == RTN_LOCAL);
}

uint32_t route_mtu(nlattr* metrics) {
  std::array<nlattr*, RTAX_MAX + 1> values{};
  if (metrics == nullptr || nla_parse_nested(values.data(), RTAX_MAX, metrics, nullptr) != 0) {
    return 0;
  }
  return number_in(values[RTAX_MTU], 0);
}

bool is_ours(const KernelNextHop& hop) {
  return hop.interface != foreign_interface;
}

std::vector<KernelNextHop> ours_first(const std::vector<KernelNextHop>& hops) {
  std::vector<KernelNextHop> result;
  result.reserve(hops.size());
  std::ranges::copy_if(hops, std::back_inserter(result), is_ours);
  std::ranges::copy_if(hops, std::back_inserter(result), std::not_fn(is_ours));
  return result;
}

uint8_t rank_of(const KernelRoute& route) {
  if (route.kind == KernelRouteKind::local) return 0;
  if (route.kind != KernelRouteKind::unicast) return 1;
  return is_ours(route.hops.front()) ? 1 : 2;
}

}  // namespace

uint16_t InterfaceMap::ours(int kernel_index) const {
  if (kernel_index == 0) return foreign_interface;
  const auto found = std::ranges::find(kernel_indexes_, kernel_index);
  if (found == kernel_indexes_.end()) return foreign_interface;
  return static_cast<uint16_t>(found - kernel_indexes_.begin());
}

std::optional<DecodedLink> decode_link(const nlmsghdr* message, const InterfaceMap& interfaces) {
  if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return {};
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  const auto* header = parse<ifinfomsg, IFLA_MAX>(message, attributes);
  if (header == nullptr || header->ifi_family != AF_UNSPEC) return {};
  DecodedLink decoded;
  decoded.interface = interfaces.ours(header->ifi_index);
  if (decoded.interface == foreign_interface) return {};
  KernelInterface& link = decoded.link;
  link.kernel_index = header->ifi_index;
  if (attributes[IFLA_IFNAME] != nullptr) link.name = nla_get_string(attributes[IFLA_IFNAME]);
  link.mac = mac_in(attributes[IFLA_ADDRESS]);
  link.mtu = static_cast<uint16_t>(std::min(number_in(attributes[IFLA_MTU], 0), 65535U));
  link.up = (header->ifi_flags & IFF_UP) != 0;
  return decoded;
}

std::optional<KernelAddress> decode_address(const nlmsghdr* message,
                                            const InterfaceMap& interfaces) {
  if (message->nlmsg_type != RTM_NEWADDR && message->nlmsg_type != RTM_DELADDR) return {};
  std::array<nlattr*, IFA_MAX + 1> attributes{};
  const auto* header = parse<ifaddrmsg, IFA_MAX>(message, attributes);
  if (header == nullptr || !is_ip(header->ifa_family)) return {};
  const uint32_t flags = number_in(attributes[IFA_FLAGS], header->ifa_flags);
  const bool tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
  if (tentative || (flags & IFA_F_DADFAILED) != 0) return {};
  // On a point-to-point link IFA_ADDRESS is the peer's.
  const int family = header->ifa_family;
  net::IpAddress address = address_in(family, attributes[IFA_LOCAL]);
  if (address.family == net::Family::none) address = address_in(family, attributes[IFA_ADDRESS]);
  if (address.family == net::Family::none) return {};
  return KernelAddress{
      .interface = interfaces.ours(static_cast<int>(header->ifa_index)),
      .prefix = {address, header->ifa_prefixlen},
      .secondary = family == AF_INET && (flags & IFA_F_SECONDARY) != 0,
      .link_local = family == AF_INET6 && header->ifa_scope == RT_SCOPE_LINK,
  };
}

std::optional<DecodedRoute> decode_route(const nlmsghdr* message, const InterfaceMap& interfaces) {
  if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE) return {};
  std::array<nlattr*, RTA_MAX + 1> attributes{};
  const auto* header = parse<rtmsg, RTA_MAX>(message, attributes);
  if (header == nullptr) return {};
  const auto kind = route_kind(header->rtm_type);
  if (!kind || !is_mirrored(*header, number_in(attributes[RTA_TABLE], header->rtm_table)))
    return {};

  const int family = header->rtm_family;
  DecodedRoute decoded;
  KernelRoute& route = decoded.route;
  route.kind = *kind;
  const net::IpAddress destination = address_in(family, attributes[RTA_DST]);
  constexpr std::array<uint8_t, 16> zero{};
  route.prefix.address =
      destination.family == net::Family::none ? make_address(family, zero.data()) : destination;
  route.prefix.length = header->rtm_dst_len;
  route.metric = number_in(attributes[RTA_PRIORITY], 0);
  route.mtu = route_mtu(attributes[RTA_METRICS]);
  route.source = address_in(family, attributes[RTA_PREFSRC]);
  if (route.kind == KernelRouteKind::unicast) {
    if (attributes[RTA_MULTIPATH] != nullptr) {
      route.hops = multipath(family, attributes[RTA_MULTIPATH], interfaces);
    } else if ((header->rtm_flags & RTNH_F_DEAD) == 0) {
      const auto index = static_cast<int>(number_in(attributes[RTA_OIF], 0));
      route.hops.push_back(next_hop(family, attributes, index, interfaces));
    }
    if (route.hops.empty()) return {};
    route.hops = ours_first(route.hops);
  }
  decoded.rank = rank_of(route);
  return decoded;
}

std::optional<DecodedNeighbour> decode_neighbour(const nlmsghdr* message,
                                                 const InterfaceMap& interfaces) {
  if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) return {};
  std::array<nlattr*, NDA_MAX + 1> attributes{};
  const auto* header = parse<ndmsg, NDA_MAX>(message, attributes);
  if (header == nullptr || !is_ip(header->ndm_family)) return {};
  if ((header->ndm_flags & NTF_PROXY) != 0) return {};
  DecodedNeighbour neighbour;
  neighbour.key = {interfaces.ours(header->ndm_ifindex),
                   address_in(header->ndm_family, attributes[NDA_DST])};
  if (neighbour.key.interface == foreign_interface ||
      neighbour.key.address.family == net::Family::none || is_multicast(neighbour.key.address)) {
    return {};
  }
  neighbour.mac = mac_in(attributes[NDA_LLADDR]);
  neighbour.state = header->ndm_state;
  neighbour.usable = message->nlmsg_type == RTM_NEWNEIGH &&
                     (header->ndm_state & usable_states) != 0 && !neighbour.mac.is_zero();
  return neighbour;
}

std::vector<KernelRoute> choose_routes(std::vector<DecodedRoute> routes) {
  std::ranges::sort(routes, {}, [](const DecodedRoute& route) {
    return std::tie(route.route.prefix, route.rank, route.route.metric);
  });
  std::vector<KernelRoute> winners;
  for (DecodedRoute& decoded : routes) {
    if (!winners.empty() && winners.back().prefix == decoded.route.prefix) continue;
    winners.push_back(std::move(decoded.route));
  }
  return winners;
}

}  // namespace headgate::control
