#include "control/vrrp/address_requests.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include "control/netlink_attributes.h"
#include "control/vrrp/link_decode.h"
#include "control/vrrp/rtnl_batch.h"

namespace headgate::control {
namespace {

uint8_t kernel_scope(config::Scope scope) {
  switch (scope) {
    case config::Scope::site:
      return RT_SCOPE_SITE;
    case config::Scope::link:
      return RT_SCOPE_LINK;
    case config::Scope::host:
      return RT_SCOPE_HOST;
    case config::Scope::global:
      break;
  }
  return RT_SCOPE_UNIVERSE;
}

int family_of(const net::IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

NlMessage address_message(int type, int flags, int index, const net::Prefix& prefix,
                          uint8_t scope) {
  NlMessage message(nlmsg_alloc_simple(type, flags));
  ifaddrmsg header{};
  header.ifa_family = static_cast<uint8_t>(family_of(prefix.address));
  header.ifa_prefixlen = prefix.length;
  header.ifa_scope = scope;
  header.ifa_index = static_cast<uint32_t>(index);
  nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO);
  const int size = prefix.address.bits() / 8;
  nla_put(message.get(), IFA_LOCAL, size, prefix.address.bytes.data());
  nla_put(message.get(), IFA_ADDRESS, size, prefix.address.bytes.data());
  return message;
}

NlMessage link_message(int type, int index) {
  NlMessage message(nlmsg_alloc_simple(type, 0));
  ifinfomsg header{};
  header.ifi_index = index;
  nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO);
  return message;
}

std::string_view remedy(int code) {
  switch (code) {
    case EPERM:
      return " (needs root, or CAP_NET_ADMIN)";
    case EACCES:
      return " (IPv6 is off on the interface: net.ipv6.conf.INTERFACE.disable_ipv6)";
    case ENODEV:
      return " (there is no such interface)";
    default:
      return "";
  }
}

// IFLA_AF_SPEC, AF_INET, IFLA_INET_CONF: an array of all settings, numbered from 1.
std::optional<bool> promotion_in(const nlmsghdr* message) {
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (parse<ifinfomsg, IFLA_MAX>(message, attributes) == nullptr) return std::nullopt;
  if (attributes[IFLA_AF_SPEC] == nullptr) return std::nullopt;
  const nlattr* of_family = nla_find(static_cast<nlattr*>(nla_data(attributes[IFLA_AF_SPEC])),
                                     nla_len(attributes[IFLA_AF_SPEC]), AF_INET);
  if (of_family == nullptr) return std::nullopt;
  const nlattr* settings =
      nla_find(static_cast<nlattr*>(nla_data(of_family)), nla_len(of_family), IFLA_INET_CONF);
  constexpr size_t offset = (IPV4_DEVCONF_PROMOTE_SECONDARIES - 1) * sizeof(int32_t);
  if (settings == nullptr || nla_len(settings) < static_cast<int>(offset + sizeof(int32_t))) {
    return std::nullopt;
  }
  int32_t value = 0;
  std::memcpy(&value, static_cast<const char*>(nla_data(settings)) + offset, sizeof(value));
  return value != 0;
}

}  // namespace

void prepare_for_dumps(RtnlSocket& socket) {
  const int on = 1;
  const int fd = nl_socket_get_fd(socket.get());
  // An older kernel dumps all interfaces; those of others are passed over.
  static_cast<void>(setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)));
}

PresentAddresses present_addresses(RtnlSocket& socket, int index) {
  PresentAddresses present;
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    NlMessage request(nlmsg_alloc_simple(RTM_GETADDR, 0));
    ifaddrmsg header{};
    header.ifa_family = family;
    header.ifa_index = static_cast<uint32_t>(index);
    nlmsg_append(request.get(), &header, sizeof(header), NLMSG_ALIGNTO);
    // What a disturbed dump leaves out is found when it is added: the kernel says EEXIST.
    static_cast<void>(request_dump(socket, request, [&](const nlmsghdr* message) {
      const auto address = decode_address_message(message);
      if (address && address->index == index) present.insert(address->prefix);
    }));
  }
  return present;
}

NlMessage add_request(int index, const InterfaceAddress& address) {
  NlMessage message = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address.prefix,
                                      kernel_scope(address.scope));
  if (address.prefix.address.is_v6()) {
    nla_put_u32(message.get(), IFA_FLAGS, IFA_F_NODAD);
    // Deprecated: the host prefers its own addresses for connections that it opens (RFC 6724).
    constexpr uint32_t forever = 0xffffffff;
    const ifa_cacheinfo lifetime{.ifa_prefered = address.prefix.length == 128 ? 0 : forever,
                                 .ifa_valid = forever,
                                 .cstamp = 0,
                                 .tstamp = 0};
    nla_put(message.get(), IFA_CACHEINFO, sizeof(lifetime), &lifetime);
  } else if (!address.label.empty()) {
    nla_put_string(message.get(), IFA_LABEL, address.label.c_str());
  }
  return message;
}

NlMessage remove_request(int index, const net::Prefix& prefix) {
  return address_message(RTM_DELADDR, 0, index, prefix, RT_SCOPE_UNIVERSE);
}

std::optional<bool> read_promotion(RtnlSocket& socket, int index) {
  const NlMessage request = link_message(RTM_GETLINK, index);
  return request_one(socket, request, promotion_in);
}

int set_promotion(RtnlSocket& socket, int index, bool on) {
  std::vector<NlMessage> requests;
  nl_msg* message = requests.emplace_back(link_message(RTM_SETLINK, index)).get();
  nlattr* specific = nla_nest_start(message, IFLA_AF_SPEC);
  nlattr* of_family = nla_nest_start(message, AF_INET);
  nlattr* settings = nla_nest_start(message, IFLA_INET_CONF);
  nla_put_u32(message, IPV4_DEVCONF_PROMOTE_SECONDARIES, on ? 1 : 0);
  nla_nest_end(message, settings);
  nla_nest_end(message, of_family);
  nla_nest_end(message, specific);
  return request_all(socket, requests).front();
}

Error address_error(const InterfaceAddress& address, int code) {
  return {fmt::format("{}: address {}: {}{}", address.interface, net::to_string(address.prefix),
                      std::strerror(code), remedy(code))};
}

Error promotion_error(const NamedLink& link, int code) {
  return {
      fmt::format("{}: promote_secondaries: {}; removing a virtual address may take others of "
                  "its network along: set net.ipv4.conf.{}.promote_secondaries=1",
                  link.name, std::strerror(code), link.name)};
}

}  // namespace headgate::control
