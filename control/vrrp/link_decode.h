// rtnetlink messages about links and their addresses, of any interface. Pure: bytes in, structs
// out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dataplane/net/address.h"

struct nlmsghdr;

namespace headgate::control {

struct LinkMessage {
  bool removed = false;
  int index = 0;
  std::string name;
  net::MacAddress mac;
  uint32_t mtu = 0;
  bool up = false;
  bool running = false;
};

struct AddressMessage {
  bool removed = false;
  int index = 0;
  net::Prefix prefix;
  bool secondary = false;  // IPv4: another address of its network came before
  bool usable = false;     // IPv6: not tentative, and no duplicate
};

// Nothing when the message is of another kind, or damaged.
[[nodiscard]] std::optional<LinkMessage> decode_link_message(const nlmsghdr* message);
[[nodiscard]] std::optional<AddressMessage> decode_address_message(const nlmsghdr* message);

}  // namespace headgate::control
