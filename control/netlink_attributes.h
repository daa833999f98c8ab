// The parts of rtnetlink messages as our types, for those that decode whole messages.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "dataplane/net/address.h"

namespace headgate::control {

inline net::IpAddress make_address(int family, const void* bytes) {
  if (family == AF_INET) {
    uint32_t raw = 0;
    std::memcpy(&raw, bytes, sizeof(raw));
    return net::Ipv4Address::from_raw(raw);
  }
  net::Ipv6Address v6;
  std::memcpy(v6.bytes.data(), bytes, v6.bytes.size());
  return v6;
}

inline int address_size(int family) {
  return family == AF_INET ? 4 : 16;
}

// The address in an attribute, family none when it is not there or of another size.
inline net::IpAddress address_in(int family, const nlattr* attribute) {
  if (attribute == nullptr || nla_len(attribute) != address_size(family)) return {};
  return make_address(family, nla_data(attribute));
}

inline uint32_t number_in(const nlattr* attribute, uint32_t otherwise) {
  return attribute != nullptr && nla_len(attribute) >= 4 ? nla_get_u32(attribute) : otherwise;
}

inline net::MacAddress mac_in(const nlattr* attribute) {
  net::MacAddress mac;
  if (attribute != nullptr && nla_len(attribute) == static_cast<int>(mac.bytes.size())) {
    std::memcpy(mac.bytes.data(), nla_data(attribute), mac.bytes.size());
  }
  return mac;
}

// The fixed header and the attributes of a message; null when it is too short.
template <typename Header, int last>
const Header* parse(const nlmsghdr* message, std::array<nlattr*, last + 1>& attributes) {
  auto* writable = const_cast<nlmsghdr*>(message);  // libnl's functions only read
  if (nlmsg_parse(writable, sizeof(Header), attributes.data(), last, nullptr) < 0) return nullptr;
  return static_cast<const Header*>(nlmsg_data(writable));
}

inline bool is_ip(int family) {
  return family == AF_INET || family == AF_INET6;
}

}  // namespace headgate::control
