// How the values are written that only virtual routers have; codecs.h says what a codec is.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/codecs.h"
#include "dataplane/net/address.h"

namespace headgate::config {

// A whole number that may be below zero: -20, 0, 20.
struct SignedNumber {
  int32_t min = 0;
  int32_t max = 0;

  [[nodiscard]] std::string expected() const {
    return fmt::format("a whole number from {} to {}", min, max);
  }
  [[nodiscard]] std::string check(int32_t value) const;
  template <std::same_as<int32_t> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_signed(text);
  }
  [[nodiscard]] static std::string format(int32_t value) { return fmt::format("{}", value); }

 private:
  [[nodiscard]] Parsed<int32_t> parse_signed(std::string_view text) const;
};

// Where adverts are sent to: a multicast address of one family.
struct MulticastGroup {
  net::Family family;

  [[nodiscard]] std::string expected() const;
  [[nodiscard]] std::string check(const net::IpAddress& value) const;
  template <std::same_as<net::IpAddress> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_group(text);
  }
  [[nodiscard]] static std::string format(const net::IpAddress& value) {
    return as_yaml(net::to_string(value));
  }

 private:
  [[nodiscard]] Parsed<net::IpAddress> parse_group(std::string_view text) const;
};

[[nodiscard]] Text command_text();            // a program with its arguments
[[nodiscard]] Text user_text();               // USER or USER:GROUP
[[nodiscard]] Text host_port_text();          // HOST or HOST:PORT; IPv6 as [ADDRESS]:PORT
[[nodiscard]] Text mail_address_text();       // NAME@DOMAIN
[[nodiscard]] Text auth_password_text();      // simple text of version 2
[[nodiscard]] Text address_label_text();      // what ifconfig shows: eth0:1
[[nodiscard]] Text holding_interface_text();  // as interface_text(), and lo
[[nodiscard]] Text program_text();            // a process by its name or path
[[nodiscard]] Text tracked_text();            // a name, or a service's 192.0.2.10:80/tcp
[[nodiscard]] Text router_id_text();          // how a box calls itself in mails

}  // namespace headgate::config
