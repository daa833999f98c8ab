#include "control/selector.h"

#include <charconv>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/names.h"
#include "config/text.h"

namespace headgate::control {

namespace {

struct Endpoint {
  net::IpAddress address;
  std::optional<uint16_t> port;
};

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// ADDRESS, V4:PORT or [V6]:PORT.
std::optional<Endpoint> parse_endpoint(std::string_view text) {
  if (const auto address = net::parse_ip(text)) return Endpoint{*address, std::nullopt};
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = net::parse_ip(host);
  const auto port = parse_number<uint16_t>(text.substr(colon + 1));
  if (!address || !port || bracketed != address->is_v6()) return std::nullopt;
  return Endpoint{*address, port};
}

struct Suffixed {
  std::string_view base;
  std::string_view suffix;  // after the last slash; empty: none
};
Suffixed split_suffix(std::string_view text) {
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return {text, {}};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

Error not_a_service(std::string_view text) {
  return {fmt::format("{} is no service: write ADDRESS:PORT, ADDRESS:PORT/udp, [V6]:PORT or mark:N",
                      config::in_quotes(text))};
}

std::expected<config::Service, Error> parse_mark(std::string_view text) {
  const auto [base, suffix] = split_suffix(text);
  const auto mark = parse_number<uint32_t>(base);
  const auto family = suffix.empty() ? net::Family::ipv4 : config::parse_name<net::Family>(suffix);
  if (!mark || *mark == 0 || !family) {
    return std::unexpected(Error{fmt::format(
        "{} is no firewall mark: write mark:N, mark:N/ipv4 or mark:N/ipv6, N from 1", text)});
  }
  config::Service service;
  service.firewall_mark = mark;
  service.family = *family;
  return service;
}

constexpr std::string_view mark_prefix = "mark:";

}  // namespace

std::expected<config::Service, Error> parse_service(std::string_view text) {
  if (text.starts_with(mark_prefix)) return parse_mark(text.substr(mark_prefix.size()));
  const auto [base, suffix] = split_suffix(text);
  const auto protocol =
      suffix.empty() ? config::Protocol::tcp : config::parse_name<config::Protocol>(suffix);
  const auto endpoint = parse_endpoint(base);
  if (!protocol || !endpoint || !endpoint->port) return std::unexpected(not_a_service(text));
  config::Service service;
  service.address = endpoint->address;
  service.port = *endpoint->port;
  service.protocol = *protocol;
  return service;
}

std::expected<size_t, Error> find_service(const config::Config& config, std::string_view text) {
  std::optional<size_t> found;
  const auto wanted = parse_service(text);
  const bool any_protocol = wanted && !wanted->firewall_mark && split_suffix(text).suffix.empty();
  for (size_t i = 0; i < config.services.size(); ++i) {
    const config::Service& service = config.services[i];
    if (!service.name.empty() && service.name == text) return i;
    if (!wanted) continue;
    const bool same = any_protocol ? !service.firewall_mark && service.address == wanted->address &&
                                         service.port == wanted->port
                                   : key_of(service) == key_of(*wanted);
    if (!same) continue;
    if (found) {
      return std::unexpected(Error{fmt::format("{} is {} and {}: say which", text,
                                               to_string(key_of(config.services[*found])),
                                               to_string(key_of(service)))});
    }
    found = i;
  }
  if (found) return *found;
  return std::unexpected(
      Error{fmt::format("there is no service {}; `headgate show services` lists them",
                        config::in_quotes(text)),
            Reason::no_such_service});
}

std::expected<ServiceRange, Error> named_services(const config::Config& config,
                                                  const std::optional<std::string>& name) {
  if (!name) return ServiceRange{0, config.services.size()};
  const auto index = find_service(config, *name);
  if (!index) return std::unexpected(index.error());
  return ServiceRange{*index, *index + 1};
}

std::expected<config::BackendKey, Error> parse_backend(std::string_view text,
                                                       uint16_t default_port) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint) {
    return std::unexpected(Error{fmt::format(
        "{} is no backend: write ADDRESS, ADDRESS:PORT or [V6]:PORT", config::in_quotes(text))});
  }
  return config::BackendKey{endpoint->address, endpoint->port.value_or(default_port)};
}

std::expected<size_t, Error> find_backend(const config::Service& service, std::string_view text) {
  const auto endpoint = parse_endpoint(text);
  std::optional<size_t> found;
  for (size_t i = 0; i < service.backends.size(); ++i) {
    const config::Backend& backend = service.backends[i];
    if (!backend.name.empty() && backend.name == text) return i;
    if (!endpoint || backend.address != endpoint->address) continue;
    if (endpoint->port && *endpoint->port != backend.port) continue;
    if (found) {
      return std::unexpected(Error{fmt::format("{} is {} and {}: say which", text,
                                               to_string(key_of(service.backends[*found])),
                                               to_string(key_of(backend)))});
    }
    found = i;
  }
  if (found) return *found;
  return std::unexpected(
      Error{fmt::format("service {} has no backend {}; `headgate show backends {}` lists them",
                        name_of(service), config::in_quotes(text), name_of(service)),
            Reason::no_such_backend});
}

std::expected<EndpointFilter, Error> parse_endpoint_filter(std::string_view text) {
  if (const auto endpoint = parse_endpoint(text)) {
    return EndpointFilter{{endpoint->address, endpoint->address.bits()}, endpoint->port};
  }
  if (const auto network = net::parse_prefix(text)) {
    return EndpointFilter{{net::masked(network->address, network->length), network->length},
                          std::nullopt};
  }
  return std::unexpected(Error{
      fmt::format("{} is no address: write ADDRESS, ADDRESS:PORT, [V6]:PORT or ADDRESS/LENGTH",
                  config::in_quotes(text))});
}

}  // namespace headgate::control
