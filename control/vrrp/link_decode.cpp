#include "control/vrrp/link_decode.h"

#include <array>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "control/netlink_attributes.h"

namespace headgate::control {

std::optional<LinkMessage> decode_link_message(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return {};
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  const auto* header = parse<ifinfomsg, IFLA_MAX>(message, attributes);
  // Bridges tell of their ports in messages of their own family.
  if (header == nullptr || header->ifi_family != AF_UNSPEC || header->ifi_index <= 0) return {};
  LinkMessage link;
  link.removed = message->nlmsg_type == RTM_DELLINK;
  link.index = header->ifi_index;
  if (const nlattr* name = attributes[IFLA_IFNAME]; name != nullptr) {
    const auto* text = static_cast<const char*>(nla_data(name));
    link.name.assign(text, strnlen(text, static_cast<size_t>(nla_len(name))));
  }
  link.mac = mac_in(attributes[IFLA_ADDRESS]);
  link.mtu = number_in(attributes[IFLA_MTU], 0);
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.running = (header->ifi_flags & IFF_RUNNING) != 0;
  return link;
}

std::optional<AddressMessage> decode_address_message(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWADDR && message->nlmsg_type != RTM_DELADDR) return {};
  std::array<nlattr*, IFA_MAX + 1> attributes{};
  const auto* header = parse<ifaddrmsg, IFA_MAX>(message, attributes);
  if (header == nullptr || !is_ip(header->ifa_family)) return {};
  const int family = header->ifa_family;
  // On a point-to-point link IFA_ADDRESS is the peer's.
  net::IpAddress own = address_in(family, attributes[IFA_LOCAL]);
  if (own.family == net::Family::none) own = address_in(family, attributes[IFA_ADDRESS]);
  if (own.family == net::Family::none) return {};
  const uint32_t flags = number_in(attributes[IFA_FLAGS], header->ifa_flags);
  const bool tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
  AddressMessage address;
  address.removed = message->nlmsg_type == RTM_DELADDR;
  address.index = static_cast<int>(header->ifa_index);
  address.prefix = {own, header->ifa_prefixlen};
  address.secondary = family == AF_INET && (flags & IFA_F_SECONDARY) != 0;
  address.usable = !tentative && (flags & IFA_F_DADFAILED) == 0;
  return address;
}

}  // namespace headgate::control
