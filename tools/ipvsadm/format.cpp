#include "tools/ipvsadm/format.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

namespace headgate::ipvsadm {

namespace {

// Longer names are cut in lists, so that columns stay; numeric addresses are not.
constexpr size_t name_width = 28;
constexpr int traffic_name_width = 33;

std::string_view protocol_name(const ServiceId& id) {
  if (id.firewall_mark != 0) return "FWM";
  switch (id.protocol) {
    case Protocol::udp:
      return "UDP";
    case Protocol::sctp:
      return "SCTP";
    case Protocol::tcp:
    case Protocol::none:
      break;
  }
  return "TCP";
}

// Of the ports of servers.
Protocol ports_of(const ServiceId& id) {
  return id.firewall_mark != 0 ? Protocol::none : id.protocol;
}

std::string in_list(std::string name) {
  const bool numeric = name.starts_with('[') || name.size() <= name_width;
  if (!numeric) name.resize(name_width);
  return name;
}

std::string service_name(const ServiceId& id, NameBook& names) {
  if (id.firewall_mark == 0) return in_list(names.endpoint(id.endpoint, id.protocol));
  return fmt::format("{}{}", id.firewall_mark, id.family == net::Family::ipv6 ? " IPv6" : "");
}

// In list and save alike: sh-fallback,sh-port.
std::string flags_text(const ListedService& service) {
  const bool named = service.scheduler == "sh" || service.scheduler == "mh";
  std::string text;
  const auto add = [&](bool set, std::string_view suffix, std::string_view number) {
    if (!set) return;
    if (!text.empty()) text += ',';
    text += named && !suffix.empty() ? fmt::format("{}-{}", service.scheduler, suffix)
                                     : std::string(number);
  };
  add(service.flags.flag1, "fallback", "flag-1");
  add(service.flags.flag2, "port", "flag-2");
  add(service.flags.flag3, {}, "flag-3");
  return text;
}

// 255.255.255.0 or 64; empty where each client counts alone.
std::string netmask_text(const ListedService& service) {
  const bool is_v6 = service.id.family == net::Family::ipv6;
  if (!service.netmask || *service.netmask >= (is_v6 ? 128 : 32)) return {};
  if (is_v6) return fmt::format("{}", *service.netmask);
  const auto all = net::parse_ip("255.255.255.255");
  return net::to_string(net::masked(*all, *service.netmask));
}

std::string_view forward_name(Forward forward) {
  switch (forward) {
    case Forward::masquerade:
      return "Masq";
    case Forward::local:
      return "Local";
    case Forward::tunnel:
      return "Tunnel";
    case Forward::route:
      return "Route";
    case Forward::fullnat:
      return "FullNat";
  }
  return "Route";
}

std::string tunnel_text(const ListedServer& server) {
  if (server.forward != Forward::tunnel) return "n/a";
  const Tunnel& tunnel = server.tunnel;
  const std::string_view sum = tunnel.checksum == TunnelChecksum::full     ? "+c"
                               : tunnel.checksum == TunnelChecksum::remote ? "r+c"
                                                                           : "-c";
  if (tunnel.type == TunnelType::gue) return fmt::format("gue:{}:{}", tunnel.port, sum);
  if (tunnel.type == TunnelType::gre) return fmt::format("gre:{}", sum);
  return "ipip";
}

// Eight columns behind a blank, or more with all digits.
std::string number(uint64_t value, bool exact) {
  constexpr uint64_t thousand = 1000;
  constexpr uint64_t million = thousand * thousand;
  constexpr uint64_t billion = thousand * million;
  if (exact || value < 100 * million) return fmt::format(" {:8}", value);
  if (value < billion) return fmt::format(" {:7}K", value / thousand);
  if (value < 100 * billion) return fmt::format(" {:7}M", value / million);
  if (value < 100 * thousand * billion) return fmt::format(" {:7}G", value / billion);
  return fmt::format(" {:7}T", value / (thousand * billion));
}

std::string traffic_text(const Traffic& traffic, bool exact) {
  return number(traffic.connections, exact) + number(traffic.in_packets, exact) +
         number(traffic.out_packets, exact) + number(traffic.in_bytes, exact) +
         number(traffic.out_bytes, exact) + "\n";
}

bool is_traffic(View view) {
  return view == View::stats || view == View::rates;
}

std::string server_line(const ListedService& service, const ListedServer& server,
                        const ListStyle& style, NameBook& names) {
  const std::string name = in_list(names.endpoint(server.endpoint, ports_of(service.id)));
  const std::string_view forward = forward_name(server.forward);
  switch (style.view) {
    case View::stats:
    case View::rates:
      return fmt::format("{:<{}}", fmt::format("  -> {}", name), traffic_name_width) +
             traffic_text(style.view == View::rates ? server.rates : server.totals, style.exact);
    case View::thresholds:
      return fmt::format("  -> {:<28} {:<10} {:<10} {:<10} {:<10}\n", name, server.upper_threshold,
                         server.lower_threshold, server.active, server.inactive);
    case View::persistent:
      return fmt::format("  -> {:<28} {:<9} {:<11} {:<10} {:<10}\n", name, server.weight,
                         server.persistent, server.active, server.inactive);
    case View::tunnels:
      return fmt::format("  -> {:<28} {:<7} {:<13} {:<6} {:<10} {:<10}\n", name, forward,
                         tunnel_text(server), server.weight, server.active, server.inactive);
    case View::servers:
      break;
  }
  return fmt::format("  -> {:<28} {:<7} {:<6} {:<10} {:<10}\n", name, forward, server.weight,
                     server.active, server.inactive);
}

std::string service_line(const ListedService& service, const ListStyle& style, NameBook& names) {
  std::string line =
      fmt::format("{:<4} {}", protocol_name(service.id), service_name(service.id, names));
  if (is_traffic(style.view)) {
    return fmt::format("{:<{}}", line, traffic_name_width) +
           traffic_text(style.view == View::rates ? service.rates : service.totals, style.exact);
  }
  line += " " + service.scheduler;
  if (const std::string flags = flags_text(service); !flags.empty()) {
    line += fmt::format(" ({})", flags);
  }
  if (service.persistence_s) {
    line += fmt::format(" persistent {}", *service.persistence_s);
    if (const std::string mask = netmask_text(service); !mask.empty()) {
      line += fmt::format(" mask {}", mask);
    }
    if (!service.persistence_engine.empty()) {
      line += fmt::format(" pe {}", service.persistence_engine);
    }
  }
  if (service.one_packet) line += " ops";
  return line + "\n";
}

std::string service_option(const ServiceId& id, NameBook& names) {
  if (id.firewall_mark != 0) {
    return fmt::format("-f {}{}", id.firewall_mark, id.family == net::Family::ipv6 ? " -6" : "");
  }
  const std::string_view option = id.protocol == Protocol::udp    ? "-u"
                                  : id.protocol == Protocol::sctp ? "--sctp-service"
                                                                  : "-t";
  return fmt::format("{} {}", option, names.endpoint(id.endpoint, id.protocol));
}

std::string_view method_option(Forward forward) {
  switch (forward) {
    case Forward::masquerade:
      return "-m";
    case Forward::tunnel:
      return "-i";
    case Forward::fullnat:
      return "--fullnat";
    case Forward::route:
    case Forward::local:
      break;
  }
  return "-g";
}

std::string tunnel_options(const ListedServer& server) {
  if (server.forward != Forward::tunnel) return {};
  const Tunnel& tunnel = server.tunnel;
  if (tunnel.type == TunnelType::ipip) return " --tun-type ipip";
  std::string text = tunnel.type == TunnelType::gue
                         ? fmt::format(" --tun-type gue --tun-port {}", tunnel.port)
                         : " --tun-type gre";
  text += tunnel.checksum == TunnelChecksum::full     ? " --tun-csum"
          : tunnel.checksum == TunnelChecksum::remote ? " --tun-remcsum"
                                                      : " --tun-nocsum";
  return text;
}

}  // namespace

void sort_services(std::vector<ListedService>& services) {
  const auto key = [](const ListedService& service) {
    const ServiceId& id = service.id;
    return std::tuple(id.firewall_mark, id.family, id.protocol, id.endpoint.address,
                      id.endpoint.port);
  };
  std::ranges::sort(services, {}, key);
  for (ListedService& service : services) {
    std::ranges::sort(service.servers, {}, [](const ListedServer& server) {
      return std::tuple(server.endpoint.address, server.endpoint.port);
    });
  }
}

ListStyle style_of(const Invocation& invocation) {
  const View view = invocation.stats                    ? View::stats
                    : invocation.rate                   ? View::rates
                    : invocation.thresholds             ? View::thresholds
                    : invocation.persistent_connections ? View::persistent
                    : invocation.tunnel_info            ? View::tunnels
                                                        : View::servers;
  return {view, invocation.exact};
}

std::string version_line(uint64_t size) {
  return fmt::format("IP Virtual Server version 1.2.1 (size={})\n", size);
}

std::string list_header(const ListStyle& style) {
  switch (style.view) {
    case View::stats:
      return "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
             "  -> RemoteAddress:Port\n";
    case View::rates:
      return "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n"
             "  -> RemoteAddress:Port\n";
    case View::thresholds:
      return "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n"
             "  -> RemoteAddress:Port\n";
    case View::persistent:
      return "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n"
             "  -> RemoteAddress:Port\n";
    case View::tunnels:
      return "Prot LocalAddress:Port Scheduler Flags\n"
             "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn "
             "InActConn\n";
    case View::servers:
      break;
  }
  return "Prot LocalAddress:Port Scheduler Flags\n"
         "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n";
}

std::string list_service(const ListedService& service, const ListStyle& style, NameBook& names) {
  std::string text = service_line(service, style, names);
  for (const ListedServer& server : service.servers)
    text += server_line(service, server, style, names);
  return text;
}

std::string connection_header(bool with_engines) {
  return fmt::format(
      "IPVS connection entries\n"
      "pro expire state       source             virtual            destination{}\n",
      with_engines ? "        pe name          pe_data" : "");
}

std::string list_connection(const ListedConnection& connection, NameBook& names) {
  constexpr uint64_t minute = 60;
  const std::string expires =
      fmt::format("{:02}:{:02}", connection.expires_s / minute, connection.expires_s % minute);
  const auto name = [&](const Endpoint& endpoint) {
    return names.endpoint(endpoint, connection.ports_of);
  };
  return fmt::format("{:<3} {:<6} {:<11} {:<18} {:<18} {}\n", connection.protocol, expires,
                     connection.state, name(connection.client), name(connection.service),
                     name(connection.server));
}

std::string list_timeouts(const std::array<uint32_t, 3>& seconds) {
  return fmt::format("Timeout (tcp tcpfin udp): {} {} {}\n", seconds[0], seconds[1], seconds[2]);
}

std::string save_service(const ListedService& service, NameBook& names) {
  const std::string which = service_option(service.id, names);
  std::string text = fmt::format("-A {} -s {}", which, service.scheduler);
  if (service.persistence_s) {
    text += fmt::format(" -p {}", *service.persistence_s);
    if (const std::string mask = netmask_text(service); !mask.empty()) {
      text += fmt::format(" -M {}", mask);
    }
    if (!service.persistence_engine.empty()) {
      text += fmt::format(" --pe {}", service.persistence_engine);
    }
  }
  if (service.one_packet) text += " -o";
  if (const std::string flags = flags_text(service); !flags.empty()) {
    text += fmt::format(" -b {}", flags);
  }
  text += "\n";
  for (const ListedServer& server : service.servers) {
    text += fmt::format("-a {} -r {} {} -w {}{}", which,
                        names.endpoint(server.endpoint, ports_of(service.id)),
                        method_option(server.forward), server.weight, tunnel_options(server));
    if (server.upper_threshold != 0) text += fmt::format(" -x {}", server.upper_threshold);
    if (server.lower_threshold != 0) text += fmt::format(" -y {}", server.lower_threshold);
    text += "\n";
  }
  return text;
}

}  // namespace headgate::ipvsadm
