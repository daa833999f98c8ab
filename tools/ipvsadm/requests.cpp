#include "tools/ipvsadm/requests.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "tools/ipvsadm/daemon_rows.h"

namespace headgate::ipvsadm {

namespace json = boost::json;
using control::protocol::Request;

namespace {

using Made = std::expected<std::optional<Request>, std::string>;

// A mask of leading ones as its length.
std::optional<uint8_t> prefix_length(const net::IpAddress& mask) {
  const uint32_t bits = (uint32_t{mask.bytes[0]} << 24) | (uint32_t{mask.bytes[1]} << 16) |
                        (uint32_t{mask.bytes[2]} << 8) | uint32_t{mask.bytes[3]};
  const int length = std::countl_one(bits);
  if (std::popcount(bits) != length) return std::nullopt;
  return static_cast<uint8_t>(length);
}

std::expected<json::value, std::string> netmask_value(const Invocation& invocation) {
  if (!invocation.netmask) return nullptr;
  const std::string& text = *invocation.netmask;
  const bool is_v6 = invocation.service->family == net::Family::ipv6;
  std::optional<uint8_t> length;
  if (is_v6) {
    if (const auto number = parse_number(text, 1, 128)) length = static_cast<uint8_t>(*number);
  } else if (const auto mask = parse_host_v4(text)) {
    length = prefix_length(*mask);
  }
  if (!length) {
    return std::unexpected(
        fmt::format("headgate groups clients by the first bits of their addresses: give a netmask "
                    "like {} instead of {}",
                    is_v6 ? "64" : "255.255.255.0", text));
  }
  // A mask of all bits is none.
  if (*length == (is_v6 ? 128 : 32)) return nullptr;
  return *length;
}

std::expected<void, std::string> check_service(const Invocation& invocation) {
  if (!invocation.persistence_engine.empty()) {
    return std::unexpected(fmt::format("headgate has no persistence engines: leave out --pe {}",
                                       invocation.persistence_engine));
  }
  constexpr std::array<std::string_view, 13> schedulers{
      "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"};
  if (!invocation.scheduler.empty() &&
      std::ranges::find(schedulers, invocation.scheduler) == schedulers.end()) {
    return std::unexpected("Scheduler or persistence engine not found");
  }
  const bool hashes = invocation.scheduler == "sh" || invocation.scheduler == "mh";
  if (invocation.flags.flag3 || (!hashes && invocation.flags != SchedulerFlags{})) {
    return std::unexpected(
        "headgate's schedulers have two flags, fallback and port, of sh and mh: leave out the "
        "others");
  }
  return {};
}

Made service_request(const Invocation& invocation) {
  if (auto possible = check_service(invocation); !possible) {
    return std::unexpected(possible.error());
  }
  auto netmask = netmask_value(invocation);
  if (!netmask) return std::unexpected(netmask.error());
  const bool edits = invocation.command == Command::edit_service;
  Request request{edits ? "service edit" : "service add", {}};
  json::object& arguments = request.arguments;
  arguments["service"] = identity_text(*invocation.service);
  arguments["scheduler"] = invocation.scheduler.empty() ? "wlc" : invocation.scheduler;
  if (invocation.persistence_s) {
    arguments["persistence_timeout_s"] = *invocation.persistence_s;
    arguments["persistence_netmask"] = *netmask;
  } else if (edits) {
    arguments["persistence_timeout_s"] = nullptr;
  }
  if (invocation.one_packet || edits) arguments["one_packet"] = invocation.one_packet;
  if (invocation.flags.flag2 || edits) arguments["hash_port"] = invocation.flags.flag2;
  // Without the flag it falls back as well, by headgate's default, and is listed without it.
  arguments["list_fallback"] = invocation.flags.flag1;
  if (invocation.flags.flag1) arguments["fallback"] = true;
  return request;
}

std::string_view mode_of(Method method) {
  switch (method) {
    case Method::masquerade:
      return "nat";
    case Method::tunnel:
      return "ipip";
    case Method::fullnat:
      return "fullnat";
    case Method::route:
      break;
  }
  return "dr";
}

Made server_request(const Invocation& invocation) {
  if (invocation.tunnel_type != TunnelType::ipip) {
    return std::unexpected("headgate tunnels with IPIP alone: leave out --tun-type, or say ipip");
  }
  if (invocation.lower_threshold > invocation.upper_threshold) {
    return std::unexpected("Numerical result out of range");
  }
  constexpr int64_t largest_weight = 65535;
  if (invocation.weight > largest_weight) {
    return std::unexpected(fmt::format("headgate's weights end at {}: give a smaller one than {}",
                                       largest_weight, invocation.weight));
  }
  const bool edits = invocation.command == Command::edit_server;
  Request request{edits ? "backend edit" : "backend add", {}};
  json::object& arguments = request.arguments;
  arguments["service"] = identity_text(*invocation.service);
  arguments["backend"] =
      net::endpoint_to_string(invocation.server->address, invocation.server->port);
  arguments["mode"] = mode_of(invocation.method);
  if (invocation.weight != 1 || edits) arguments["weight"] = invocation.weight;
  if (invocation.upper_threshold != 0 || edits) {
    arguments["upper_threshold"] = invocation.upper_threshold;
  }
  if (invocation.lower_threshold != 0 || edits) {
    arguments["lower_threshold"] = invocation.lower_threshold;
  }
  return request;
}

Request delete_server_request(const Invocation& invocation) {
  Request request{"backend delete", {}};
  request.arguments["service"] = identity_text(*invocation.service);
  request.arguments["backend"] =
      net::endpoint_to_string(invocation.server->address, invocation.server->port);
  return request;
}

Request delete_service_request(const Invocation& invocation) {
  Request request{"service delete", {}};
  request.arguments["service"] = identity_text(*invocation.service);
  return request;
}

std::optional<Request> timeouts_request(const Invocation& invocation) {
  constexpr std::array<std::string_view, 3> names{"tcp_established_s", "tcp_fin_wait_s", "udp_s"};
  Request request{"timeouts set", {}};
  for (size_t i = 0; i < names.size(); ++i) {
    const uint32_t seconds = invocation.set_timeouts_s[i];
    if (seconds != 0) request.arguments[names[i]] = seconds;
  }
  if (request.arguments.empty()) return std::nullopt;
  return request;
}

bool is_of_servers(Command command) {
  return command == Command::add_server || command == Command::edit_server ||
         command == Command::delete_server;
}

}  // namespace

bool is_change(Command command) {
  switch (command) {
    case Command::add_service:
    case Command::edit_service:
    case Command::delete_service:
    case Command::flush:
    case Command::add_server:
    case Command::edit_server:
    case Command::delete_server:
    case Command::set_timeouts:
      return true;
    default:
      return false;
  }
}

Made change_request(const Invocation& invocation) {
  if (invocation.service && invocation.service->protocol == Protocol::sctp) {
    return std::unexpected("headgate balances TCP and UDP, not SCTP: leave its services to IPVS");
  }
  switch (invocation.command) {
    case Command::add_service:
    case Command::edit_service:
      return service_request(invocation);
    case Command::delete_service:
      return delete_service_request(invocation);
    case Command::add_server:
    case Command::edit_server:
      return server_request(invocation);
    case Command::delete_server:
      return delete_server_request(invocation);
    case Command::set_timeouts:
      return timeouts_request(invocation);
    default:
      return Request{"flush", {}};
  }
}

std::string refusal_text(Command command, std::string_view reason, std::string_view message) {
  if (reason == "service_exists") return "Service already exists";
  if (reason == "no_such_service") {
    return is_of_servers(command) ? "Service not defined" : "No such service";
  }
  if (reason == "backend_exists") return "Destination already exists";
  if (reason == "no_such_backend") return "No such destination";
  return std::string(message);
}

}  // namespace headgate::ipvsadm
