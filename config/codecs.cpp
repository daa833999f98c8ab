#include "config/codecs.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstring>
#include <optional>

namespace headgate::config {
namespace {

using net::IpAddress;
using net::Prefix;

std::unexpected<std::string> refuse(std::string message) {
  return std::unexpected(std::move(message));
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Numbers are shown without quotes, and only as much of them as helps.
std::string shortened(std::string_view digits) {
  return digits.size() <= 20 ? std::string(digits) : std::string(digits.substr(0, 20)) + "...";
}

// Messages for text that is no address name what people write instead of one.
std::string not_an_address(std::string_view text) {
  if (text.contains('/')) {
    return fmt::format("{} has a length where a plain address is expected: leave out the '/{}'",
                       in_quotes(text), text.substr(text.find('/') + 1));
  }
  if (text.contains('%')) {
    return fmt::format("{} names an interface: leave out the '%' and what follows",
                       in_quotes(text));
  }
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && all_digits(text.substr(colon + 1))) {
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const bool v4 = !host.contains(':');
    if (net::parse_ip(host) && (v4 || text.starts_with('['))) {
      return fmt::format("{} holds a port: write `address: {}` and `port: {}`", in_quotes(text),
                         host, text.substr(colon + 1));
    }
  }
  return fmt::format("{} is not an IPv4 or IPv6 address; names are not looked up", in_quotes(text));
}

// What keeps an address from being a host's.
std::string not_a_host(const IpAddress& address) {
  const auto& b = address.bytes;
  const auto is = [&](std::string_view what) {
    return fmt::format("{} is {}, not the address of a host", net::to_string(address), what);
  };
  if (address.family == net::Family::none) return "is missing";
  // Parsed once: each of tens of thousands of backends comes by here on every change.
  static const IpAddress broadcast = *net::parse_ip("255.255.255.255");
  static const IpAddress unspecified = *net::parse_ip("::");
  static const IpAddress loopback = *net::parse_ip("::1");
  static const Prefix mapped{*net::parse_ip("::ffff:0:0"), 96};
  if (address.is_v4()) {
    if (b[0] == 0) return is("in 0.0.0.0/8");
    if (b[0] == 127) return is("a loopback address");
    if ((b[0] & 0xf0) == 0xe0) return is("a multicast address");
    if (address == broadcast) return is("the broadcast address");
    return {};
  }
  if (address == unspecified) return is("the unspecified address");
  if (address == loopback) return is("the loopback address");
  if (b[0] == 0xff) return is("a multicast address");
  if (mapped.contains(address)) {
    const std::string text = net::to_string(address);
    return fmt::format("{} is an IPv4 address written as IPv6: write {}", text,
                       text.substr(text.rfind(':') + 1));
  }
  return {};
}

bool has_host_bits(const Prefix& prefix) {
  return net::masked(prefix.address, prefix.length) != prefix.address;
}

// Adds one to the address; false when that wraps around.
bool increment(IpAddress& address) {
  for (size_t i = address.bits() / 8; i > 0; --i) {
    if (++address.bytes[i - 1] != 0) return true;
  }
  return false;
}

std::string unprintable(std::string_view text) {
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) return "holds a control character";
  }
  return {};
}

std::string label_rule(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > max_name) {
    return fmt::format("{} has {} characters, {} are allowed", in_quotes(text), text.size(),
                       max_name);
  }
  const auto allowed = [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
  };
  if (!std::ranges::all_of(text, allowed) || text.front() == '-' || text.front() == '.') {
    return fmt::format(
        "{} is no name: letters, digits, '.', '_' and '-' make a name, and it begins "
        "with a letter, digit or '_'",
        in_quotes(text));
  }
  return {};
}

std::string interface_rule(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > max_interface_name) {
    return fmt::format("{} has {} characters, and the kernel takes {} in an interface's name",
                       in_quotes(text), text.size(), max_interface_name);
  }
  const auto allowed = [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == '@');
  };
  if (!std::ranges::all_of(text, allowed) || text == "." || text == ".." || text.front() == '-') {
    return fmt::format("{} is no interface name: use letters, digits, '.', '_' and '-'",
                       in_quotes(text));
  }
  if (text == "auto" || text == "none" || text == "all" || text == "default" || text == "lo") {
    return fmt::format(
        "{} has a meaning of its own to the kernel or in this file: use another name",
        in_quotes(text));
  }
  return {};
}

std::string path_rule(std::string_view text) {
  if (text.empty()) return "is empty";
  if (!text.starts_with('/')) {
    return fmt::format("{} is not an absolute path: begin with '/'", in_quotes(text));
  }
  if (text.size() > max_path) {
    return fmt::format("a path of {} bytes, {} are allowed", text.size(), max_path);
  }
  return unprintable(text);
}

std::string socket_rule(std::string_view text) {
  if (text.size() > max_socket_path) {
    return fmt::format("a path of {} bytes, and a unix socket's may have {}", text.size(),
                       max_socket_path);
  }
  return path_rule(text);
}

std::string audit_log_rule(std::string_view text) {
  return text == "auto" || text == "none" ? std::string{} : path_rule(text);
}

bool is_hex(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

// DDDD:BB:DD.F
std::string pci_rule(std::string_view text) {
  const size_t first = text.find(':');
  const bool shaped = first != std::string_view::npos && text.size() == first + 8 &&
                      text[first + 3] == ':' && text[first + 6] == '.';
  if (shaped && first >= 4 && first <= 8 && is_hex(text.substr(0, first)) &&
      is_hex(text.substr(first + 1, 2)) && is_hex(text.substr(first + 4, 2)) &&
      text[first + 7] >= '0' && text[first + 7] <= '7') {
    return {};
  }
  return fmt::format("{} is not a PCI address such as 0000:3b:00.0 (`lspci -D` lists them)",
                     in_quotes(text));
}

std::string pci_canonical(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  if (result.size() == 7 && result[2] == ':') result.insert(0, "0000:");
  return result;
}

std::string device_arguments_rule(std::string_view text) {
  if (text.empty()) return "is empty";
  if (std::isalpha(static_cast<unsigned char>(text.front())) == 0) {
    return fmt::format(
        "{} does not begin with a driver's name: write it as for DPDK's --vdev, such "
        "as net_ring0 or net_pcap0,iface=eth0",
        in_quotes(text));
  }
  return unprintable(text);
}

}  // namespace

Parsed<uint64_t> parse_number(std::string_view text, uint64_t min, uint64_t max) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (!all_digits(digits)) {
    return refuse(fmt::format("{} is not a whole number from {} to {}", in_quotes(text), min, max));
  }
  if (digits != text) return refuse(fmt::format("{} is below {}", shortened(text), min));
  if (digits.size() > 1 && digits.front() == '0') {
    const size_t first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
    return refuse(fmt::format("{} begins with a zero: write {}", in_quotes(text),
                              shortened(digits.substr(first))));
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || value > max) {
    return refuse(fmt::format("{} is above {}", shortened(text), max));
  }
  if (value < min) return refuse(fmt::format("{} is below {}", value, min));
  return value;
}

std::string FileMode::check(uint16_t value) {
  if (value > 0777) return fmt::format("{:o} has bits beyond 0777", value);
  if ((value & 0600) != 0600) {
    return fmt::format("{:04o} keeps the owner out: the first digit must be 6 or 7, as in 0660",
                       value);
  }
  return {};
}

Parsed<uint16_t> FileMode::parse_mode(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with("0o")) digits.remove_prefix(2);
  uint16_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) {
    return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
  }
  if (std::string problem = check(value); !problem.empty()) return refuse(std::move(problem));
  return value;
}

Parsed<bool> Switch::parse_switch(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "on" || lower == "true" || lower == "yes") return true;
  if (lower == "off" || lower == "false" || lower == "no") return false;
  return refuse(fmt::format("{} is neither on nor off", in_quotes(text)));
}

std::string text_rule(std::string_view text, size_t longest) {
  if (text.empty()) return "is empty";
  if (text.size() > longest) {
    return fmt::format("has {} characters, {} are allowed", text.size(), longest);
  }
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) return "holds a control character";
  }
  if (text == "none" || text == "auto") {
    return fmt::format("{} has a meaning of its own in this file", in_quotes(text));
  }
  return {};
}

bool is_host_name(std::string_view text) {
  const auto allowed = [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_');
  };
  return !text.empty() && std::ranges::all_of(text, allowed) && text.front() != '-' &&
         text.front() != '.';
}

Text label_text() {
  return {"a name", label_rule};
}
Text interface_text() {
  return {"an interface's name", interface_rule};
}
Text path_text() {
  return {"an absolute path", path_rule};
}
Text socket_text() {
  return {"the absolute path of a unix socket", socket_rule};
}
Text audit_log_text() {
  return {"an absolute path, auto or none", audit_log_rule};
}
Text pci_text() {
  return {"a PCI address such as 0000:3b:00.0", pci_rule, pci_canonical};
}
Text device_arguments_text() {
  return {"a device and its arguments as for DPDK's --vdev", device_arguments_rule};
}

std::string Address::check(const IpAddress& value) {
  return not_a_host(value);
}

Parsed<IpAddress> Address::parse_address(std::string_view text) {
  const auto address = net::parse_ip(text);
  if (!address) return refuse(not_an_address(text));
  if (std::string problem = not_a_host(*address); !problem.empty()) {
    return refuse(std::move(problem));
  }
  return *address;
}

std::string InterfaceAddress::check(const Prefix& value) {
  if (std::string problem = not_a_host(value.address); !problem.empty()) return problem;
  if (value.length == 0 || value.length > value.address.bits()) {
    return fmt::format("/{} is no network's length here: 1 to {}", value.length,
                       value.address.bits());
  }
  return {};
}

Parsed<Prefix> InterfaceAddress::parse_prefix(std::string_view text) {
  const auto prefix = net::parse_prefix(text);
  if (!prefix) return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
  if (!text.contains('/')) {
    return refuse(
        fmt::format("{} has no network's length: write {}/{}, or the length of its network",
                    in_quotes(text), text, prefix->length));
  }
  if (std::string problem = check(*prefix); !problem.empty()) return refuse(std::move(problem));
  return *prefix;
}

std::string Network::check(const Prefix& value) {
  if (value.address.family == net::Family::none) return "is missing";
  if (value.length > value.address.bits()) {
    return fmt::format("/{} is longer than an address", value.length);
  }
  if (has_host_bits(value)) {
    const Prefix network{net::masked(value.address, value.length), value.length};
    return fmt::format("{} is a host, not a network: write {}, or {}/{} for the host alone",
                       net::to_string(value), net::to_string(network),
                       net::to_string(value.address), value.address.bits());
  }
  return {};
}

Parsed<Prefix> Network::parse_network(std::string_view text) {
  if (text == "default") {
    return refuse("\"default\" does not say which family: write 0.0.0.0/0 or ::/0");
  }
  const auto prefix = net::parse_prefix(text);
  if (!prefix) return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
  if (std::string problem = check(*prefix); !problem.empty()) return refuse(std::move(problem));
  return *prefix;
}

std::string AddressOrNetwork::format(const Prefix& value) {
  const bool one = value.length == value.address.bits();
  return as_yaml(one ? net::to_string(value.address) : net::to_string(value));
}

Parsed<Prefix> AddressOrNetwork::parse_target(std::string_view text) {
  if (const auto address = net::parse_ip(text)) {
    return Prefix{*address, static_cast<uint8_t>(address->bits())};
  }
  const auto prefix = net::parse_prefix(text);
  if (!prefix) return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
  if (std::string problem = check(*prefix); !problem.empty()) return refuse(std::move(problem));
  return *prefix;
}

std::string Ports::check(const PortRange& value) {
  if (value.first == 0) return "0 is no port; leave `ports` out for all of them";
  if (value.first > value.last) {
    return fmt::format("{} ends before it begins: write {}-{}", format(value), value.last,
                       value.first);
  }
  return {};
}

std::string Ports::format(const PortRange& value) {
  return value.first == value.last ? fmt::format("{}", value.first)
                                   : fmt::format("{}-{}", value.first, value.last);
}

Parsed<PortRange> Ports::parse_ports(std::string_view text) {
  const size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash), 0, UINT16_MAX);
  const auto last =
      dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 0, UINT16_MAX);
  if (!first) return refuse(first.error());
  if (!last) return refuse(last.error());
  const PortRange range{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
  if (std::string problem = check(range); !problem.empty()) return refuse(std::move(problem));
  return range;
}

std::string Netmask::check(uint8_t value) {
  if (value < 1 || value > 128) return fmt::format("{} is not from 1 to 128", value);
  return {};
}

Parsed<uint8_t> Netmask::parse_mask(std::string_view text) {
  if (text.contains('.')) {
    const auto mask = net::parse_ip(text);
    if (!mask) return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
    const uint32_t bits = mask->v4().host();
    const int length = std::countl_one(bits);
    if (length == 0 || std::popcount(bits) != length) {
      return refuse(fmt::format("{} is no netmask: its ones must be in front, as in 255.255.255.0",
                                in_quotes(text)));
    }
    return static_cast<uint8_t>(length);
  }
  const std::string_view digits = text.starts_with('/') ? text.substr(1) : text;
  if (!all_digits(digits)) return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
  const auto number = parse_number(digits, 1, 128);
  if (!number) return refuse(number.error());
  return static_cast<uint8_t>(*number);
}

std::string HexBytes::check(const std::vector<uint8_t>& value) const {
  if (value.size() >= min_bytes && value.size() <= max_bytes) return {};
  return fmt::format("{} bytes, where {} to {} are expected", value.size(), min_bytes, max_bytes);
}

Parsed<std::vector<uint8_t>> HexBytes::parse_bytes(std::string_view text) const {
  std::vector<uint8_t> bytes;
  for (size_t at = 0; at < text.size(); at += 2) {
    if (at > 0 && text[at] == ':') ++at;
    if (at + 2 > text.size() || !is_hex(text.substr(at, 2))) {
      return refuse(fmt::format("{} is not {}", in_quotes(text), expected()));
    }
    uint8_t byte = 0;
    std::from_chars(text.data() + at, text.data() + at + 2, byte, 16);
    bytes.push_back(byte);
  }
  if (std::string problem = check(bytes); !problem.empty()) return refuse(std::move(problem));
  return bytes;
}

std::string HexBytes::format(const std::vector<uint8_t>& value) {
  std::string result;
  for (const uint8_t byte : value) {
    if (!result.empty()) result += ':';
    result += fmt::format("{:02x}", byte);
  }
  return '"' + result + '"';
}

Parsed<std::vector<uint16_t>> Cores::parse_many(std::string_view text) {
  const size_t dash = text.find('-', 1);
  const auto first = parse_number(text.substr(0, dash), 0, max_core);
  if (!first) return refuse(first.error());
  auto last = first;
  if (dash != std::string_view::npos) last = parse_number(text.substr(dash + 1), 0, max_core);
  if (!last) return refuse(last.error());
  if (*last < *first) {
    return refuse(fmt::format("{} runs backwards: write {}-{}", in_quotes(text), *last, *first));
  }
  std::vector<uint16_t> cores;
  for (uint64_t core = *first; core <= *last; ++core)
    cores.push_back(static_cast<uint16_t>(core));
  return cores;
}

Parsed<std::vector<IpAddress>> AddressRanges::parse_many(std::string_view text) {
  const size_t dash = text.find('-');
  const auto first = Address{}.parse<IpAddress>(text.substr(0, dash));
  if (!first) return refuse(first.error());
  if (dash == std::string_view::npos) return std::vector{*first};
  const auto last = Address{}.parse<IpAddress>(text.substr(dash + 1));
  if (!last) return refuse(last.error());
  if (first->family != last->family) {
    return refuse(fmt::format("{} runs from one address family to the other", in_quotes(text)));
  }
  if (*last < *first) {
    return refuse(fmt::format("{} runs backwards: the lower address comes first", in_quotes(text)));
  }
  std::vector<IpAddress> addresses;
  IpAddress next = *first;
  do {
    if (addresses.size() == max_local_addresses) {
      return refuse(
          fmt::format("{} holds more than {} addresses", in_quotes(text), max_local_addresses));
    }
    addresses.push_back(next);
  } while (next != *last && increment(next));
  return addresses;
}

}  // namespace headgate::config
