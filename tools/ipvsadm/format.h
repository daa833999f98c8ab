// Listings as ipvsadm 1.31 prints them, to the byte.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "tools/ipvsadm/listing.h"
#include "tools/ipvsadm/names.h"

namespace headgate::ipvsadm {

enum class View : uint8_t { servers, stats, rates, thresholds, persistent, tunnels };

struct ListStyle {
  View view = View::servers;
  bool exact = false;  // all digits of large numbers
};
[[nodiscard]] ListStyle style_of(const Invocation& invocation);

// `IP Virtual Server version 1.2.1 (size=4096)`; of a single service it is left out.
[[nodiscard]] std::string version_line(uint64_t size);
[[nodiscard]] std::string list_header(const ListStyle& style);
[[nodiscard]] std::string list_service(const ListedService& service, const ListStyle& style,
                                       NameBook& names);

[[nodiscard]] std::string connection_header(bool with_engines);
[[nodiscard]] std::string list_connection(const ListedConnection& connection, NameBook& names);

// tcp, tcpfin, udp, in seconds.
[[nodiscard]] std::string list_timeouts(const std::array<uint32_t, 3>& seconds);

// The commands that make the service again, a line each.
[[nodiscard]] std::string save_service(const ListedService& service, NameBook& names);

}  // namespace headgate::ipvsadm
