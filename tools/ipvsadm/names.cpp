#include "tools/ipvsadm/names.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <netdb.h>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace headgate::ipvsadm {

namespace {

// Text with a NUL in it is no name, and the C library would read only what is in front of it.
bool has_nul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

std::optional<net::IpAddress> resolve(const std::string& host, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr;
  } else {
    bytes = &reinterpret_cast<const sockaddr_in6*>(found->ai_addr)->sin6_addr;
  }
  inet_ntop(family, bytes, text.data(), text.size());
  return net::parse_ip(text.data());
}

std::optional<net::IpAddress> parse_host(std::string_view text) {
  if (auto v4 = parse_host_v4(text)) return v4;
  return text.empty() || has_nul(text) ? std::nullopt : resolve(std::string(text), AF_INET6);
}

std::optional<uint16_t> parse_port(std::string_view text, Protocol protocol) {
  if (const auto number = parse_number(text, 0, UINT16_MAX)) return static_cast<uint16_t>(*number);
  if (text.empty() || has_nul(text)) return std::nullopt;
  const std::string name(text);
  const servent* entry =
      getservbyname(name.c_str(), std::string(service_database_name(protocol)).c_str());
  if (entry == nullptr) return std::nullopt;
  return ntohs(static_cast<uint16_t>(entry->s_port));
}

std::optional<Endpoint> parse_bracketed(std::string_view text, Protocol protocol) {
  const size_t close = text.find(']');
  if (close == std::string_view::npos || !text.substr(close + 1).starts_with(':')) {
    return std::nullopt;
  }
  const std::string_view host = text.substr(1, close - 1);
  const auto address = net::parse_ip(host);
  if (address && address->is_v6()) {
    const auto port = parse_port(text.substr(close + 2), protocol);
    if (!port) return std::nullopt;
    return Endpoint{*address, *port};
  }
  // Others do not belong into brackets; ipvsadm takes them, without their port.
  const auto other = parse_host_v4(host);
  if (!other) return std::nullopt;
  return Endpoint{*other, 0};
}

}  // namespace

std::string_view service_database_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::udp:
      return "udp";
    case Protocol::sctp:
      return "sctp";
    case Protocol::tcp:
    case Protocol::none:
      break;
  }
  return "tcp";
}

std::optional<int64_t> parse_number(std::string_view text, int64_t least, int64_t most) {
  if (text.empty() || has_nul(text)) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const int64_t value = std::strtoll(copy.c_str(), &end, 10);
  if (errno != 0 || end == copy.c_str() || *end != 0 || value < least || value > most) {
    return std::nullopt;
  }
  return value;
}

std::optional<net::IpAddress> parse_host_v4(std::string_view text) {
  if (text.empty() || has_nul(text)) return std::nullopt;
  const std::string host(text);
  in_addr address{};
  if (inet_aton(host.c_str(), &address) == 0) return resolve(host, AF_INET);
  std::array<char, INET_ADDRSTRLEN> plain{};
  inet_ntop(AF_INET, &address, plain.data(), plain.size());
  return net::parse_ip(plain.data());
}

std::optional<Endpoint> parse_endpoint(std::string_view text, Protocol protocol) {
  if (text.starts_with('[')) return parse_bracketed(text, protocol);
  if (const auto address = net::parse_ip(text)) return Endpoint{*address, 0};
  const size_t colon = text.find(':');
  const auto address = parse_host(text.substr(0, colon));
  if (!address) return std::nullopt;
  if (colon == std::string_view::npos) return Endpoint{*address, 0};
  const auto port = parse_port(text.substr(colon + 1), protocol);
  if (!port) return std::nullopt;
  return Endpoint{*address, *port};
}

std::string NumericBook::endpoint(const Endpoint& endpoint, Protocol /*protocol*/) {
  return net::endpoint_to_string(endpoint.address, endpoint.port);
}

struct ResolvingBook::Known {
  std::map<net::IpAddress, std::string> hosts;
  std::map<std::pair<uint16_t, Protocol>, std::string> ports;

  const std::string& host(const net::IpAddress& address) {
    const auto [found, is_new] = hosts.try_emplace(address);
    if (is_new) found->second = name_of(address);
    return found->second;
  }

  const std::string& port(uint16_t number, Protocol protocol) {
    const auto [found, is_new] = ports.try_emplace({number, protocol});
    if (!is_new) return found->second;
    const servent* entry = nullptr;
    if (number != 0 && protocol != Protocol::none) {
      entry = getservbyport(htons(number), std::string(service_database_name(protocol)).c_str());
    }
    found->second = entry == nullptr ? std::to_string(number) : entry->s_name;
    return found->second;
  }

  static std::string name_of(const net::IpAddress& address) {
    const std::string numeric = net::to_string(address);
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (address.is_v6()) {
      auto* its = reinterpret_cast<sockaddr_in6*>(&storage);
      its->sin6_family = AF_INET6;
      inet_pton(AF_INET6, numeric.c_str(), &its->sin6_addr);
      length = sizeof(sockaddr_in6);
    } else {
      auto* its = reinterpret_cast<sockaddr_in*>(&storage);
      its->sin_family = AF_INET;
      inet_pton(AF_INET, numeric.c_str(), &its->sin_addr);
      length = sizeof(sockaddr_in);
    }
    std::array<char, NI_MAXHOST> name{};
    const int failed = getnameinfo(reinterpret_cast<const sockaddr*>(&storage), length, name.data(),
                                   name.size(), nullptr, 0, NI_NAMEREQD);
    const std::string text = failed == 0 ? std::string(name.data()) : numeric;
    return address.is_v6() ? "[" + text + "]" : text;
  }
};

ResolvingBook::ResolvingBook() : known_(std::make_unique<Known>()) {}
ResolvingBook::~ResolvingBook() = default;

std::string ResolvingBook::endpoint(const Endpoint& endpoint, Protocol protocol) {
  return known_->host(endpoint.address) + ":" + known_->port(endpoint.port, protocol);
}

}  // namespace headgate::ipvsadm
