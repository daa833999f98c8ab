#include "dataplane/net/address.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace headgate::net {

bool Prefix::contains(const IpAddress& other) const noexcept {
  return other.family == address.family && masked(other, length) == masked(address, length);
}

std::optional<IpAddress> parse_ip(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size()) return std::nullopt;
  std::ranges::copy(text, buffer.begin());
  if (Ipv4Address v4; inet_pton(AF_INET, buffer.data(), &v4) == 1) return IpAddress{v4};
  if (Ipv6Address v6; inet_pton(AF_INET6, buffer.data(), v6.bytes.data()) == 1) {
    return IpAddress{v6};
  }
  return std::nullopt;
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  MacAddress mac;
  for (size_t i = 0; i < 6; ++i) {
    const char* begin = text.data() + i * 3;
    const auto [end, error] = std::from_chars(begin, begin + 2, mac.bytes[i], 16);
    if (error != std::errc{} || end != begin + 2) return std::nullopt;
    if (i < 5 && *end != ':') return std::nullopt;
  }
  return mac;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Prefix{*address, address->bits()};
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), length, 10);
  if (error != std::errc{} || end != digits.data() + digits.size() || length > address->bits()) {
    return std::nullopt;
  }
  return Prefix{*address, static_cast<uint8_t>(length)};
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (address.family == Family::none) return "none";
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  return inet_ntop(family, address.bytes.data(), buffer.data(), buffer.size());
}

std::string to_string(const MacAddress& address) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (const uint8_t byte : address.bytes) {
    if (!result.empty()) result += ':';
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result;
}

std::string to_string(const Prefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

std::string endpoint_to_string(const IpAddress& address, uint16_t port) {
  const std::string text = to_string(address);
  return (address.is_v6() ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

}  // namespace headgate::net
