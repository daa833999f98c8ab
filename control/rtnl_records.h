// Addresses and routes as the kernel tells of them, whole: every attribute goes back where it came
// from, also those that headgate has no use for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "control/error.h"
#include "control/rtnl.h"

namespace headgate::control {

// A netlink message without its header: ifaddrmsg or rtmsg and attributes, in host byte order.
using RtnlRecord = std::vector<std::byte>;

struct RtnlRecords {
  std::vector<RtnlRecord> addresses;
  std::vector<RtnlRecord> routes;  // in the kernel's order: those on the link before gateways
  uint32_t left_out = 0;           // IPv4 routes over several interfaces: the kernel keeps them
};

// What an operator or a daemon has given to the interface: not link-local addresses, nor routes
// that come with an address or by router advertisements. An error where the kernel does not tell,
// or where there are routes that it would delete with the interface down and that cannot be put
// back: by a next-hop object, or of IPv6 over several interfaces.
[[nodiscard]] std::expected<RtnlRecords, Error> records_of(RtnlSocket& socket, int index);

// Adds it at another interface; 0, or an error code of libnl. What is there already is no error.
[[nodiscard]] int add_address(RtnlSocket& socket, const RtnlRecord& address, int index);
[[nodiscard]] int add_route(RtnlSocket& socket, const RtnlRecord& route, int index);
void remove_address(RtnlSocket& socket, const RtnlRecord& address);

// "10.0.0.1/24", "198.51.100.0/24", for messages.
[[nodiscard]] std::string text_of_address(const RtnlRecord& address);
[[nodiscard]] std::string text_of_route(const RtnlRecord& route);

[[nodiscard]] std::string to_hex(const RtnlRecord& record);
[[nodiscard]] std::optional<RtnlRecord> from_hex(const std::string& text);

}  // namespace headgate::control
