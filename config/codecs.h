// How each kind of value is written in a file: text to value, value to text, and which values are
// allowed. A codec has, for its value type T,
//   expected()      what a file may hold, for messages: "a whole number from 0 to 65535";
//   check(value)    what is wrong with a value, empty when nothing is;
//   parse(text)     the value, or what is wrong with the text;
//   format(value)   text that parses back to the value, as YAML.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/model.h"
#include "config/names.h"
#include "config/text.h"
#include "dataplane/net/address.h"

namespace headgate::config {

template <typename T>
using Parsed = std::expected<T, std::string>;

// A whole number, in decimal, without sign or leading zeros: "010" is eight to some readers of
// YAML.
[[nodiscard]] Parsed<uint64_t> parse_number(std::string_view text, uint64_t min, uint64_t max);

struct Number {
  uint64_t min = 0;
  uint64_t max = UINT32_MAX;

  [[nodiscard]] std::string expected() const {
    return fmt::format("a whole number from {} to {}", min, max);
  }
  template <std::unsigned_integral T>
  [[nodiscard]] std::string check(T value) const {
    if (value < min) return fmt::format("{} is below {}", value, min);
    if (value > max) return fmt::format("{} is above {}", value, max);
    return {};
  }
  template <std::unsigned_integral T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    const Parsed<uint64_t> value = parse_number(text, min, max);
    if (!value) return std::unexpected(value.error());
    return static_cast<T>(*value);
  }
  [[nodiscard]] std::string format(std::unsigned_integral auto value) const {
    return fmt::format("{}", value);
  }
};

// File mode bits, always octal, with or without the leading zero.
struct FileMode {
  [[nodiscard]] static std::string expected() { return "an octal file mode such as 0660"; }
  [[nodiscard]] static std::string check(uint16_t value);
  template <std::same_as<uint16_t> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_mode(text);
  }
  [[nodiscard]] static std::string format(uint16_t value) { return fmt::format("{:04o}", value); }

 private:
  static Parsed<uint16_t> parse_mode(std::string_view text);
};

struct Switch {
  [[nodiscard]] static std::string expected() { return "on or off"; }
  [[nodiscard]] static std::string check(bool /*value*/) { return {}; }
  template <std::same_as<bool> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_switch(text);
  }
  [[nodiscard]] static std::string format(bool value) { return value ? "on" : "off"; }

 private:
  static Parsed<bool> parse_switch(std::string_view text);
};

// One of an enum's words.
template <Named E>
struct Word {
  [[nodiscard]] static std::string expected() { return all_names<E>(); }
  [[nodiscard]] static std::string check(E value) {
    for (const auto& entry : Names<E>::table) {
      if (entry.first == value) return {};
    }
    return fmt::format("{} is not {}", static_cast<unsigned>(value), all_names<E>());
  }
  template <std::same_as<E> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    if (const auto value = parse_name<E>(text)) return *value;
    std::vector<std::string_view> known;
    known.reserve(Names<E>::table.size());
    for (const auto& entry : Names<E>::table)
      known.push_back(entry.second);
    const std::string_view near = nearest(text, known);
    return std::unexpected(
        fmt::format("{} is not {}{}", in_quotes(text), all_names<E>(),
                    near.empty() ? "" : fmt::format("; did you mean {}?", near)));
  }
  [[nodiscard]] static std::string format(E value) { return std::string(name_of(value)); }
};

// A string with a rule of its own.
struct Text {
  std::string_view what;  // "an interface name"
  // What is wrong with the text, empty when nothing is.
  std::string (*rule)(std::string_view text);
  // Optional: the one spelling of texts that mean the same.
  std::string (*canonical)(std::string_view text) = nullptr;

  [[nodiscard]] std::string expected() const { return std::string(what); }
  [[nodiscard]] std::string check(const std::string& value) const { return rule(value); }
  template <std::same_as<std::string> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    std::string value = canonical == nullptr ? std::string(text) : canonical(text);
    if (std::string problem = rule(value); !problem.empty()) {
      return std::unexpected(std::move(problem));
    }
    return value;
  }
  [[nodiscard]] static std::string format(const std::string& value) { return as_yaml(value); }
};

// What holds for most texts: something printable of a bounded length, and not a word that stands
// for its absence. Empty when it holds.
[[nodiscard]] std::string text_rule(std::string_view text, size_t longest);
// Letters, digits, '.', '-' and '_'; not that there is such a host.
[[nodiscard]] bool is_host_name(std::string_view text);

// The rules of texts: file and interface names, labels, devices.
[[nodiscard]] Text label_text();             // names of services, backends, daemons: a-z 0-9 . _ -
[[nodiscard]] Text interface_text();         // what the kernel takes as the name of an interface
[[nodiscard]] Text path_text();              // an absolute path
[[nodiscard]] Text socket_text();            // the same, short enough for a unix socket
[[nodiscard]] Text audit_log_text();         // an absolute path, auto or none
[[nodiscard]] Text pci_text();               // 0000:3b:00.0, or 3b:00.0 for domain 0000
[[nodiscard]] Text device_arguments_text();  // DPDK's --vdev argument

struct Address {
  [[nodiscard]] static std::string expected() { return "an IPv4 or IPv6 address"; }
  [[nodiscard]] static std::string check(const net::IpAddress& value);
  template <std::same_as<net::IpAddress> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_address(text);
  }
  [[nodiscard]] static std::string format(const net::IpAddress& value) {
    return as_yaml(net::to_string(value));
  }

 private:
  static Parsed<net::IpAddress> parse_address(std::string_view text);
};

// Of a backend: 127.0.0.1 and ::1 are this host, which then takes the packets itself.
struct BackendAddress {
  [[nodiscard]] static std::string expected() { return Address::expected(); }
  [[nodiscard]] static std::string check(const net::IpAddress& value) {
    return net::is_loopback(value) ? std::string{} : Address::check(value);
  }
  template <std::same_as<net::IpAddress> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    const auto address = net::parse_ip(text);
    if (address && net::is_loopback(*address)) return *address;
    return Address{}.parse<T>(text);
  }
  [[nodiscard]] static std::string format(const net::IpAddress& value) {
    return Address::format(value);
  }
};

// An interface's address with its network's length: 192.0.2.1/24.
struct InterfaceAddress {
  [[nodiscard]] static std::string expected() {
    return "an address with its network's length, such as 192.0.2.1/24";
  }
  [[nodiscard]] static std::string check(const net::Prefix& value);
  template <std::same_as<net::Prefix> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_prefix(text);
  }
  [[nodiscard]] static std::string format(const net::Prefix& value) {
    return as_yaml(net::to_string(value));
  }

 private:
  static Parsed<net::Prefix> parse_prefix(std::string_view text);
};

// Where a route leads: a network without host bits.
struct Network {
  [[nodiscard]] static std::string expected() {
    return "a network such as 198.51.100.0/24; 0.0.0.0/0 and ::/0 are the default routes";
  }
  [[nodiscard]] static std::string check(const net::Prefix& value);
  template <std::same_as<net::Prefix> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_network(text);
  }
  [[nodiscard]] static std::string format(const net::Prefix& value) {
    return as_yaml(net::to_string(value));
  }

 private:
  static Parsed<net::Prefix> parse_network(std::string_view text);
};

// Addresses that a rule is for: a network without host bits, or one address.
struct AddressOrNetwork {
  [[nodiscard]] static std::string expected() {
    return "an address, or a network such as 198.51.100.0/24";
  }
  [[nodiscard]] static std::string check(const net::Prefix& value) { return Network::check(value); }
  template <std::same_as<net::Prefix> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_target(text);
  }
  [[nodiscard]] static std::string format(const net::Prefix& value);

 private:
  static Parsed<net::Prefix> parse_target(std::string_view text);
};

// A port, or a range of them: 80, 8000-8099.
struct Ports {
  [[nodiscard]] static std::string expected() {
    return "a port such as 80, or a range such as 8000-8099";
  }
  [[nodiscard]] static std::string check(const PortRange& value);
  template <std::same_as<PortRange> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_ports(text);
  }
  [[nodiscard]] static std::string format(const PortRange& value);

 private:
  static Parsed<PortRange> parse_ports(std::string_view text);
};

// A persistence netmask: 24, /24 or 255.255.255.0. Its family is the service's, checked there.
struct Netmask {
  [[nodiscard]] static std::string expected() {
    return "a prefix length such as 24, or a mask such as 255.255.255.0";
  }
  [[nodiscard]] static std::string check(uint8_t value);
  template <std::same_as<uint8_t> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_mask(text);
  }
  [[nodiscard]] static std::string format(uint8_t value) { return fmt::format("{}", value); }

 private:
  static Parsed<uint8_t> parse_mask(std::string_view text);
};

// An RSS hash key in hexadecimal, with or without colons between the bytes.
struct HexBytes {
  size_t min_bytes;
  size_t max_bytes;

  [[nodiscard]] std::string expected() const {
    return fmt::format("{} to {} bytes in hexadecimal", min_bytes, max_bytes);
  }
  [[nodiscard]] std::string check(const std::vector<uint8_t>& value) const;
  template <std::same_as<std::vector<uint8_t>> T>
  [[nodiscard]] Parsed<T> parse(std::string_view text) const {
    return parse_bytes(text);
  }
  [[nodiscard]] static std::string format(const std::vector<uint8_t>& value);

 private:
  [[nodiscard]] Parsed<std::vector<uint8_t>> parse_bytes(std::string_view text) const;
};

// Codecs of list elements that may stand for several values at once (`Many`): parse() gives all.

// A core, or a range of them: 4, 4-7.
struct Cores {
  static constexpr bool many = true;
  [[nodiscard]] static std::string expected() { return "a core such as 4, or a range such as 4-7"; }
  [[nodiscard]] static std::string check(uint16_t value) {
    return Number{0, max_core}.check(value);
  }
  [[nodiscard]] static Parsed<std::vector<uint16_t>> parse_many(std::string_view text);
  [[nodiscard]] static std::string format(uint16_t value) { return fmt::format("{}", value); }
};

// An address, or a range of them: 10.0.0.10, 10.0.0.10-10.0.0.19.
struct AddressRanges {
  static constexpr bool many = true;
  [[nodiscard]] static std::string expected() {
    return "an address, or a range such as 10.0.0.10-10.0.0.19";
  }
  [[nodiscard]] static std::string check(const net::IpAddress& value) {
    return Address::check(value);
  }
  [[nodiscard]] static Parsed<std::vector<net::IpAddress>> parse_many(std::string_view text);
  [[nodiscard]] static std::string format(const net::IpAddress& value) {
    return Address::format(value);
  }
};

}  // namespace headgate::config
