#include "control/rtnl_records.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <iterator>
#include <memory>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "dataplane/net/address.h"

namespace headgate::control {
namespace {

template <typename Header>
Header header_of(const RtnlRecord& record) {
  Header header{};
  if (record.size() >= sizeof(Header)) std::memcpy(&header, record.data(), sizeof(Header));
  return header;
}

// The attribute of this type, or null. `record` outlives it.
template <typename Header>
const nlattr* attribute(const RtnlRecord& record, int type) {
  if (record.size() <= sizeof(Header)) return nullptr;
  const auto* first = reinterpret_cast<const nlattr*>(record.data() + NLMSG_ALIGN(sizeof(Header)));
  return nla_find(first, static_cast<int>(record.size() - NLMSG_ALIGN(sizeof(Header))), type);
}

template <typename Header>
uint32_t number(const RtnlRecord& record, int type, uint32_t otherwise) {
  const nlattr* found = attribute<Header>(record, type);
  if (found == nullptr || nla_len(found) < static_cast<int>(sizeof(uint32_t))) return otherwise;
  return nla_get_u32(found);
}

// Zero where there is none.
net::IpAddress address_in(const nlattr* attribute, int family) {
  std::array<uint8_t, 16> bytes{};
  if (attribute != nullptr) {
    std::memcpy(bytes.data(), nla_data(attribute),
                std::min<size_t>(bytes.size(), static_cast<size_t>(nla_len(attribute))));
  }
  if (family == AF_INET) {
    uint32_t raw = 0;
    std::memcpy(&raw, bytes.data(), sizeof(raw));
    return net::Ipv4Address::from_raw(raw);
  }
  net::Ipv6Address v6;
  std::ranges::copy(bytes, v6.bytes.begin());
  return v6;
}

bool is_given_address(const RtnlRecord& record, int index) {
  const auto header = header_of<ifaddrmsg>(record);
  const bool link_local = header.ifa_family == AF_INET6 && header.ifa_scope == RT_SCOPE_LINK;
  return header.ifa_index == static_cast<unsigned>(index) && !link_local;
}

enum class RouteUse : uint8_t { elsewhere, by_itself, given, left_out, lost };

// Calls visit(rtnexthop&) for each hop of a route's RTA_MULTIPATH.
template <typename Attribute, typename Visit>
void for_each_hop(Attribute* hops, Visit visit) {
  void* at = nla_data(hops);
  int left = nla_len(hops);
  for (auto* hop = static_cast<rtnexthop*>(at); RTNH_OK(hop, left);
       hop = static_cast<rtnexthop*>(at)) {
    visit(*hop);
    const int length = RTNH_ALIGN(hop->rtnh_len);
    at = static_cast<std::byte*>(at) + length;
    left -= length;
  }
}

RouteUse use_of_hops(const nlattr* hops, int family, int index) {
  bool here = false;
  bool others = false;
  for_each_hop(hops,
               [&](const rtnexthop& hop) { (hop.rtnh_ifindex == index ? here : others) = true; });
  if (!here) return RouteUse::elsewhere;
  if (!others) return RouteUse::given;
  return family == AF_INET ? RouteUse::left_out : RouteUse::lost;
}

RouteUse use_of_route(const RtnlRecord& record, int index) {
  const auto header = header_of<rtmsg>(record);
  RouteUse use = RouteUse::given;
  if (const nlattr* hops = attribute<rtmsg>(record, RTA_MULTIPATH)) {
    use = use_of_hops(hops, header.rtm_family, index);
  } else if (number<rtmsg>(record, RTA_OIF, 0) != static_cast<uint32_t>(index)) {
    use = RouteUse::elsewhere;
  }
  if (use == RouteUse::elsewhere) return use;
  const bool made_by_kernel = header.rtm_protocol == RTPROT_KERNEL ||
                              header.rtm_protocol == RTPROT_RA ||
                              header.rtm_protocol == RTPROT_REDIRECT;
  if (made_by_kernel || header.rtm_type != RTN_UNICAST) return RouteUse::by_itself;
  if ((header.rtm_flags & RTM_F_CLONED) != 0) return RouteUse::by_itself;
  if (attribute<rtmsg>(record, RTA_NH_ID) != nullptr) return RouteUse::lost;
  return use;
}

int keep_record(nl_msg* message, void* list) {
  const auto* header = nlmsg_hdr(message);
  const auto* data = static_cast<const std::byte*>(nlmsg_data(header));
  static_cast<std::vector<RtnlRecord>*>(list)->emplace_back(data, data + nlmsg_datalen(header));
  return NL_OK;
}

struct CallbackRelease {
  void operator()(nl_cb* callback) const noexcept { nl_cb_put(callback); }
};

std::expected<std::vector<RtnlRecord>, Error> dump(RtnlSocket& socket, int type) {
  // The kernel says when a table changed while it told of it.
  constexpr int most_tries = 20;
  int code = 0;
  for (int i = 0; i < most_tries; ++i) {
    std::vector<RtnlRecord> records;
    const std::unique_ptr<nl_cb, CallbackRelease> callback(nl_cb_alloc(NL_CB_DEFAULT));
    nl_cb_set(callback.get(), NL_CB_VALID, NL_CB_CUSTOM, keep_record, &records);
    rtgenmsg wanted{};
    wanted.rtgen_family = AF_UNSPEC;
    code = nl_send_simple(socket.get(), type, NLM_F_DUMP, &wanted, sizeof(wanted));
    if (code >= 0) code = nl_recvmsgs(socket.get(), callback.get());
    if (code >= 0) return records;
    if (code != -NLE_DUMP_INTR) break;
  }
  return std::unexpected(
      Error{"the kernel does not tell of addresses and routes: " + nl_text(code)});
}

// The message with these attributes; `changed` stands in the place of those of its own type.
template <typename Header>
NlMessage message_of(int type, int flags, const Header& header, const RtnlRecord& record,
                     int changed, uint32_t value, std::initializer_list<int> dropped) {
  NlMessage message(nlmsg_alloc_simple(type, flags));
  Header copy = header;
  nlmsg_append(message.get(), &copy, sizeof(copy), NLMSG_ALIGNTO);
  auto left = static_cast<int>(record.size() - NLMSG_ALIGN(sizeof(Header)));
  const auto* at = reinterpret_cast<const nlattr*>(record.data() + NLMSG_ALIGN(sizeof(Header)));
  for (; nla_ok(at, left); at = nla_next(at, &left)) {
    const int its = nla_type(at);
    if (its == changed || std::ranges::find(dropped, its) != dropped.end()) continue;
    nla_put(message.get(), at->nla_type, nla_len(at), nla_data(at));
  }
  nla_put_u32(message.get(), changed, value);
  return message;
}

int not_there_already(int code) {
  return code == -NLE_EXIST ? 0 : code;
}

}  // namespace

std::expected<RtnlRecords, Error> records_of(RtnlSocket& socket, int index) {
  RtnlRecords records;
  auto addresses = dump(socket, RTM_GETADDR);
  if (!addresses) return std::unexpected(addresses.error());
  for (RtnlRecord& address : *addresses) {
    if (is_given_address(address, index)) records.addresses.push_back(std::move(address));
  }
  auto routes = dump(socket, RTM_GETROUTE);
  if (!routes) return std::unexpected(routes.error());
  std::vector<RtnlRecord> by_gateway;  // which is reached by what is on the link
  for (RtnlRecord& route : *routes) {
    const RouteUse use = use_of_route(route, index);
    if (use == RouteUse::lost) {
      return std::unexpected(
          Error{"the route to " + text_of_route(route) +
                " is by a next-hop object, or one of IPv6 over several interfaces, and cannot move "
                "to the twin: `ip route del` it, and add it again while headgated runs"});
    }
    if (use == RouteUse::left_out) ++records.left_out;
    if (use != RouteUse::given) continue;
    const bool on_link = attribute<rtmsg>(route, RTA_GATEWAY) == nullptr &&
                         attribute<rtmsg>(route, RTA_MULTIPATH) == nullptr;
    (on_link ? records.routes : by_gateway).push_back(std::move(route));
  }
  std::ranges::move(by_gateway, std::back_inserter(records.routes));
  return records;
}

int add_address(RtnlSocket& socket, const RtnlRecord& address, int index) {
  auto header = header_of<ifaddrmsg>(address);
  header.ifa_index = static_cast<unsigned>(index);
  uint32_t flags = number<ifaddrmsg>(address, IFA_FLAGS, header.ifa_flags);
  flags &= ~uint32_t{IFA_F_TENTATIVE | IFA_F_DADFAILED};
  if (header.ifa_family == AF_INET6) flags |= IFA_F_NODAD;  // it was unique a moment ago
  return not_there_already(socket.request(
      message_of(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header, address, IFA_FLAGS, flags, {})));
}

void remove_address(RtnlSocket& socket, const RtnlRecord& address) {
  const auto header = header_of<ifaddrmsg>(address);
  const uint32_t flags = number<ifaddrmsg>(address, IFA_FLAGS, header.ifa_flags);
  // Secondary addresses go with their primary one: then they are gone already.
  static_cast<void>(socket.request(
      message_of(RTM_DELADDR, 0, header, address, IFA_FLAGS, flags, {IFA_CACHEINFO})));
}

int add_route(RtnlSocket& socket, const RtnlRecord& route, int index) {
  auto header = header_of<rtmsg>(route);
  header.rtm_flags &= RTNH_F_ONLINK;  // the others tell of the route's present
  if (attribute<rtmsg>(route, RTA_MULTIPATH) == nullptr) {
    return not_there_already(
        socket.request(message_of(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, header, route, RTA_OIF,
                                  static_cast<uint32_t>(index), {RTA_CACHEINFO})));
  }
  RtnlRecord moved = route;
  const auto* there = reinterpret_cast<const std::byte*>(attribute<rtmsg>(route, RTA_MULTIPATH));
  auto* hops = reinterpret_cast<nlattr*>(moved.data() + (there - route.data()));
  for_each_hop(hops, [index](rtnexthop& hop) {
    hop.rtnh_ifindex = index;
    hop.rtnh_flags &= RTNH_F_ONLINK;
  });
  // RTA_TABLE is there in every route that the kernel tells of.
  return not_there_already(socket.request(
      message_of(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, header, moved, RTA_TABLE,
                 number<rtmsg>(route, RTA_TABLE, header.rtm_table), {RTA_CACHEINFO, RTA_OIF})));
}

std::string text_of_address(const RtnlRecord& address) {
  const auto header = header_of<ifaddrmsg>(address);
  const nlattr* local = attribute<ifaddrmsg>(address, IFA_LOCAL);
  if (local == nullptr) local = attribute<ifaddrmsg>(address, IFA_ADDRESS);
  return net::to_string(net::Prefix{address_in(local, header.ifa_family), header.ifa_prefixlen});
}

std::string text_of_route(const RtnlRecord& route) {
  const auto header = header_of<rtmsg>(route);
  const nlattr* destination = attribute<rtmsg>(route, RTA_DST);
  return net::to_string(
      net::Prefix{address_in(destination, header.rtm_family), header.rtm_dst_len});
}

std::string to_hex(const RtnlRecord& record) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  text.reserve(record.size() * 2);
  for (const std::byte byte : record) {
    text += digits[std::to_integer<unsigned>(byte) >> 4U];
    text += digits[std::to_integer<unsigned>(byte) & 15U];
  }
  return text;
}

std::optional<RtnlRecord> from_hex(const std::string& text) {
  if (text.size() % 2 != 0) return std::nullopt;
  RtnlRecord record;
  record.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    uint8_t byte = 0;
    const auto [end, error] = std::from_chars(&text[i], &text[i] + 2, byte, 16);
    if (error != std::errc() || end != &text[i] + 2) return std::nullopt;
    record.push_back(std::byte{byte});
  }
  return record;
}

}  // namespace headgate::control
