#include "tools/ipvsadm/checks.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace headgate::ipvsadm {

namespace {

using enum OptionId;
using Done = std::expected<void, Ending>;

std::unexpected<Ending> fail(std::string_view text) {
  return std::unexpected(Ending{exit_usage, std::string(text) + "\n", true});
}

bool has(const GivenOptions& given, OptionId option) {
  return given[static_cast<size_t>(option)];
}

Done check_list(const GivenOptions& given) {
  constexpr std::array<std::pair<OptionId, OptionId>, 6> pairs{{
      {service_address, connection},
      {timeout, connection},
      {OptionId::daemon, connection},
      {timeout, service_address},
      {OptionId::daemon, service_address},
      {OptionId::daemon, timeout},
  }};
  for (const auto& [one, other] : pairs) {
    if (has(given, one) && has(given, other)) {
      return fail(
          fmt::format("The option '{}' conflicts with the '{}' option in the 'list' command",
                      name_of(one), name_of(other)));
    }
  }
  const bool no_services =
      has(given, connection) || has(given, timeout) || has(given, OptionId::daemon);
  const bool of_services = has(given, stats) || has(given, rate) || has(given, thresholds);
  // Connections have engines' data to show with it.
  const bool persistent_too = has(given, persistent_conn) && !has(given, connection);
  if (no_services && (of_services || persistent_too)) {
    return fail("options conflicts in the list command");
  }
  return {};
}

std::string_view name_of(TunnelType type) {
  return type == TunnelType::gue ? "gue" : type == TunnelType::gre ? "gre" : "ipip";
}

Done check_tunnel(const GivenOptions& given, const Invocation& invocation) {
  constexpr std::array details{tun_port, tun_nocsum, tun_csum, tun_remcsum};
  bool any = has(given, tun_type);
  for (const OptionId option : details)
    any = any || has(given, option);
  if (!any) return {};
  if (invocation.method != Method::tunnel)
    return fail("Tunnel options conflict with forward method");
  const TunnelType type = invocation.tunnel_type;
  for (const OptionId option : details) {
    const bool legal = type == TunnelType::gue ||
                       (type == TunnelType::gre && (option == tun_nocsum || option == tun_csum));
    if (!legal && has(given, option)) {
      return fail(fmt::format("Illegal '{}' option with the '{}' tunnel type", name_of(option),
                              name_of(type)));
    }
    if (option == tun_port && type == TunnelType::gue && !has(given, tun_port)) {
      return fail("You need to supply the 'tun-port' option for the 'gue' tunnel type");
    }
  }
  constexpr std::array<std::pair<OptionId, OptionId>, 3> pairs{{
      {tun_csum, tun_nocsum},
      {tun_remcsum, tun_nocsum},
      {tun_remcsum, tun_csum},
  }};
  for (const auto& [one, other] : pairs) {
    if (has(given, one) && has(given, other)) {
      return fail(
          fmt::format("The option '{}' conflicts with the '{}' option in the '{}' tunnel type",
                      name_of(one), name_of(other), name_of(type)));
    }
  }
  return {};
}

Done check_service(const Invocation& invocation) {
  const ServiceId& service = *invocation.service;
  if (service.firewall_mark != 0) return {};
  if (service.endpoint.port == 0 && !invocation.persistence_s) {
    return fail("Zero port specified for non-persistent service");
  }
  if (invocation.one_packet && service.protocol != Protocol::udp) {
    return fail("One-Packet Scheduling is only for UDP virtual services");
  }
  return {};
}

Done check_server(const GivenOptions& given, Invocation& invocation) {
  const ServiceId& service = *invocation.service;
  Endpoint& server = *invocation.server;
  if (service.family != server.address.family && invocation.method != Method::tunnel &&
      invocation.command != Command::delete_server) {
    return fail("Different address family is allowed only for tunneling servers");
  }
  if (auto done = check_tunnel(given, invocation); !done) return done;
  // Without a port of its own it has the service's; where packets keep their port it has to be that
  // one.
  const bool keeps_port = invocation.method == Method::route || invocation.method == Method::tunnel;
  const bool changes = invocation.command != Command::delete_server;
  if (service.firewall_mark == 0 && (server.port == 0 || (keeps_port && changes))) {
    server.port = service.endpoint.port;
  }
  return {};
}

}  // namespace

Done check_group(const std::string& text) {
  const bool is_v6 = text.contains(':');
  const auto address = net::parse_ip(text);
  const bool multicast = address && (address->is_v6() ? address->bytes[0] == 0xff
                                                      : (address->bytes[0] & 0xf0) == 0xe0);
  if (multicast) return {};
  return fail(fmt::format("invalid {} mcast-group `{}'", is_v6 ? "IPv6" : "IPv4", text));
}

Done read_flags(const std::optional<std::string>& text, Invocation& invocation) {
  if (!text) return {};
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view flag = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), flag.size() + 1));
    if (flag.empty()) continue;
    const bool is_sh = flag == "sh-fallback" || flag == "sh-port";
    const bool is_mh = flag == "mh-fallback" || flag == "mh-port";
    if ((is_sh && invocation.scheduler != "sh") || (is_mh && invocation.scheduler != "mh")) {
      return fail(fmt::format("incompatible scheduler flag `{}'", flag));
    }
    if (flag == "flag-1" || flag.ends_with("-fallback")) {
      invocation.flags.flag1 = true;
    } else if (flag == "flag-2" || flag.ends_with("-port")) {
      invocation.flags.flag2 = true;
    } else if (flag == "flag-3") {
      invocation.flags.flag3 = true;
    } else {
      return fail(fmt::format("invalid scheduler flag `{}'", flag));
    }
  }
  return {};
}

Done check_rules(const GivenOptions& given, const Invocation& invocation) {
  for (size_t i = static_cast<size_t>(first_option); i < given.size(); ++i) {
    const auto option = static_cast<OptionId>(i);
    const Rule its = rule(invocation.command, option);
    if (its == Rule::required && !given[i]) {
      return fail(fmt::format("You need to supply the '{}' option for the '{}' command",
                              name_of(option), name_of(invocation.command)));
    }
    if (its == Rule::illegal && given[i]) {
      return fail(fmt::format("Illegal '{}' option with the '{}' command", name_of(option),
                              name_of(invocation.command)));
    }
  }
  return {};
}

Done check_meaning(const GivenOptions& given, Invocation& invocation) {
  switch (invocation.command) {
    case Command::list:
      return check_list(given);
    case Command::add_service:
    case Command::edit_service:
      return check_service(invocation);
    case Command::add_server:
    case Command::edit_server:
    case Command::delete_server:
      return check_server(given, invocation);
    default:
      return {};
  }
}

}  // namespace headgate::ipvsadm
