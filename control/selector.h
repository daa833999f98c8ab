// How people name services, backends and clients on the command line, and what they mean by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "config/model.h"
#include "control/error.h"

namespace headgate::control {

// 192.0.2.1:80/tcp, [2001:db8::1]:53/udp, 192.0.2.1:80 (tcp), mark:6, mark:6/ipv6: the identity of
// a service that does not exist yet.
[[nodiscard]] std::expected<config::Service, Error> parse_service(std::string_view text);

// Index of the service that `text` names: its name, or its identity; the protocol may be left out
// where only one service has the address and port.
[[nodiscard]] std::expected<size_t, Error> find_service(const config::Config& config,
                                                        std::string_view text);

// Indexes of the services that a command is about: the named one, or all.
struct ServiceRange {
  size_t begin;
  size_t end;
};
[[nodiscard]] std::expected<ServiceRange, Error> named_services(
    const config::Config& config, const std::optional<std::string>& name);

// 10.0.0.1 or 10.0.0.1:80; without a port the service's is meant.
[[nodiscard]] std::expected<config::BackendKey, Error> parse_backend(std::string_view text,
                                                                     uint16_t default_port);

// Index of the backend of `service` that `text` names: its name, address and port, or its address
// where only one backend has it.
[[nodiscard]] std::expected<size_t, Error> find_backend(const config::Service& service,
                                                        std::string_view text);

// Which addresses and ports a filter lets through: 10.0.0.1, 10.0.0.1:80, [fd00::1]:80, 10.0.0.0/8.
struct EndpointFilter {
  net::Prefix network;
  std::optional<uint16_t> port;

  [[nodiscard]] bool matches(const net::IpAddress& address, uint16_t its_port) const {
    return network.contains(address) && (!port || *port == its_port);
  }
};
[[nodiscard]] std::expected<EndpointFilter, Error> parse_endpoint_filter(std::string_view text);

}  // namespace headgate::control
