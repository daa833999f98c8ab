#include "tools/ipvsadm/option_table.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include <fmt/format.h>

namespace headgate::ipvsadm {

namespace {

constexpr OptionName option(OptionId id, char letter, std::string_view name,
                            Takes takes = Takes::nothing) {
  return {static_cast<int>(id), letter, name, takes};
}

constexpr std::array names{
    option(OptionId::add_service, 'A', "add-service"),
    option(OptionId::edit_service, 'E', "edit-service"),
    option(OptionId::delete_service, 'D', "delete-service"),
    option(OptionId::flush, 'C', "clear"),
    option(OptionId::restore, 'R', "restore"),
    option(OptionId::save, 'S', "save"),
    option(OptionId::add_server, 'a', "add-server"),
    option(OptionId::edit_server, 'e', "edit-server"),
    option(OptionId::delete_server, 'd', "delete-server"),
    option(OptionId::list, 'L', "list"),
    option(OptionId::list_small, 'l', {}),
    option(OptionId::zero, 'Z', "zero"),
    option(OptionId::set_timeouts, 0, "set"),
    option(OptionId::start_daemon, 0, "start-daemon", Takes::value),
    option(OptionId::stop_daemon, 0, "stop-daemon", Takes::value),
    option(OptionId::add_local_address, 'P', "add-laddr"),
    option(OptionId::delete_local_address, 'Q', "del-laddr"),
    option(OptionId::list_local_addresses, 'G', "get-laddr"),
    option(OptionId::help, 'h', "help"),
    option(OptionId::version, 'v', "version"),
    option(OptionId::tcp_service, 't', "tcp-service", Takes::value),
    option(OptionId::udp_service, 'u', "udp-service", Takes::value),
    option(OptionId::sctp_service, 0, "sctp-service", Takes::value),
    option(OptionId::fwmark_service, 'f', "fwmark-service", Takes::value),
    option(OptionId::ipv6, '6', "ipv6"),
    option(OptionId::scheduler, 's', "scheduler", Takes::value),
    option(OptionId::persistence_engine, 0, "pe", Takes::value),
    option(OptionId::persistent, 'p', "persistent", Takes::optional_value),
    option(OptionId::netmask, 'M', "netmask", Takes::value),
    option(OptionId::real_server, 'r', "real-server", Takes::value),
    option(OptionId::gatewaying, 'g', "gatewaying"),
    option(OptionId::ipip, 'i', "ipip"),
    option(OptionId::masquerading, 'm', "masquerading"),
    option(OptionId::fullnat, 0, "fullnat"),
    option(OptionId::tun_type, 0, "tun-type", Takes::value),
    option(OptionId::tun_port, 0, "tun-port", Takes::value),
    option(OptionId::tun_nocsum, 0, "tun-nocsum"),
    option(OptionId::tun_csum, 0, "tun-csum"),
    option(OptionId::tun_remcsum, 0, "tun-remcsum"),
    option(OptionId::weight, 'w', "weight", Takes::value),
    option(OptionId::upper_threshold, 'x', "u-threshold", Takes::value),
    option(OptionId::lower_threshold, 'y', "l-threshold", Takes::value),
    option(OptionId::connection, 'c', "connection"),
    option(OptionId::timeout, 0, "timeout"),
    option(OptionId::daemon, 0, "daemon"),
    option(OptionId::stats, 0, "stats"),
    option(OptionId::rate, 0, "rate"),
    option(OptionId::exact, 'X', "exact"),
    option(OptionId::thresholds, 0, "thresholds"),
    option(OptionId::persistent_conn, 0, "persistent-conn"),
    option(OptionId::tun_info, 0, "tun-info"),
    option(OptionId::nosort, 0, "nosort"),
    option(OptionId::sort, 0, "sort"),
    option(OptionId::one_packet, 'o', "ops"),
    option(OptionId::numeric, 'n', "numeric"),
    option(OptionId::sched_flags, 'b', "sched-flags", Takes::value),
    option(OptionId::syncid, 0, "syncid", Takes::value),
    option(OptionId::sync_maxlen, 0, "sync-maxlen", Takes::value),
    option(OptionId::mcast_interface, 0, "mcast-interface", Takes::value),
    option(OptionId::mcast_group, 0, "mcast-group", Takes::value),
    option(OptionId::mcast_port, 0, "mcast-port", Takes::value),
    option(OptionId::mcast_ttl, 0, "mcast-ttl", Takes::value),
    option(OptionId::local_address, 'z', "laddr", Takes::value),
    option(OptionId::local_interface, 'F', "ifname", Takes::value),
    option(OptionId::atomic, 0, "atomic"),
    option(OptionId::socket, 0, "socket", Takes::value),
};

struct Rules {
  std::initializer_list<OptionId> required;
  std::initializer_list<OptionId> allowed;
};

using enum OptionId;
constexpr std::initializer_list<OptionId> nothing{};
constexpr std::initializer_list<OptionId> service{service_address};
constexpr std::initializer_list<OptionId> server{service_address, real_server};
constexpr std::initializer_list<OptionId> local{service_address, OptionId::local_address};
constexpr std::initializer_list<OptionId> of_local_address{local_interface};
constexpr std::initializer_list<OptionId> of_service{scheduler, persistent, netmask, one_packet,
                                                     persistence_engine};
constexpr std::initializer_list<OptionId> of_server{forwarding_method, weight,   upper_threshold,
                                                    lower_threshold,   tun_type, tun_port,
                                                    tun_nocsum,        tun_csum, tun_remcsum};
constexpr std::initializer_list<OptionId> of_list{
    numeric,    connection,      service_address, timeout, daemon, stats,   rate,
    thresholds, persistent_conn, nosort,          syncid,  exact,  tun_info};
constexpr std::initializer_list<OptionId> of_sync{mcast_interface, syncid,    mcast_group,
                                                  mcast_port,      mcast_ttl, sync_maxlen};
constexpr std::initializer_list<OptionId> only_syncid{syncid};
constexpr std::initializer_list<OptionId> only_numeric{numeric};
constexpr std::initializer_list<OptionId> only_atomic{OptionId::atomic};

Rules rules_of(Command command) {
  switch (command) {
    case Command::add_service:
    case Command::edit_service:
      return {service, of_service};
    case Command::delete_service:
      return {service, nothing};
    case Command::flush:
    case Command::set_timeouts:
      return {nothing, nothing};
    case Command::restore:
      return {nothing, only_atomic};
    case Command::save:
      return {nothing, only_numeric};
    case Command::add_server:
    case Command::edit_server:
      return {server, of_server};
    case Command::delete_server:
      return {server, nothing};
    case Command::list:
      return {nothing, of_list};
    case Command::zero:
    case Command::list_local_addresses:
      return {nothing, service};
    case Command::start_daemon:
      return {nothing, of_sync};
    case Command::stop_daemon:
      return {nothing, only_syncid};
    case Command::add_local_address:
    case Command::delete_local_address:
      return {local, of_local_address};
  }
  return {nothing, nothing};
}

}  // namespace

std::span<const OptionName> option_names() {
  return names;
}

std::string_view name_of(OptionId option) {
  switch (option) {
    case service_address:
      return "service-address";
    case forwarding_method:
      return "forwarding-method";
    default:
      break;
  }
  const auto* found = std::ranges::find(names, static_cast<int>(option), &OptionName::id);
  return found == names.end() ? std::string_view{} : found->name;
}

std::string_view name_of(Command command) {
  constexpr std::array<std::string_view, 17> all{
      "add-service",  "edit-service", "delete-service", "flush",     "restore",  "save",
      "add-server",   "edit-server",  "delete-server",  "list",      "zero",     "set",
      "start-daemon", "stop-daemon",  "add-laddr",      "del-laddr", "get-laddr"};
  return all[static_cast<size_t>(command)];
}

Rule rule(Command command, OptionId option) {
  const Rules rules = rules_of(command);
  if (std::ranges::find(rules.required, option) != rules.required.end()) return Rule::required;
  return std::ranges::find(rules.allowed, option) == rules.allowed.end() ? Rule::illegal
                                                                         : Rule::allowed;
}

std::string version_text() {
  return "headgate-ipvsadm " HEADGATE_VERSION " (speaks ipvsadm v1.31 to headgated)\n";
}

std::string usage_text(std::string_view program) {
  return version_text() + fmt::format(R"(
  {0} -A|-E SERVICE [-s SCHEDULER] [-p [SECONDS]] [-M NETMASK] [-o] [-b FLAGS]
  {0} -D SERVICE
  {0} -a|-e SERVICE -r SERVER [-g|-i|-m|--fullnat] [-w WEIGHT] [-x UPPER] [-y LOWER]
  {0} -d SERVICE -r SERVER
  {0} -L|-l [SERVICE] [-n] [--stats|--rate|--thresholds|--persistent-conn|--tun-info]
      [--exact] [--nosort]
  {0} -L -c|--timeout|--daemon [-n]
  {0} -Z [SERVICE]
  {0} -C
  {0} -S [-n]
  {0} -R [--atomic]
  {0} --set TCP TCPFIN UDP
  {0} -P|-Q -z ADDRESS SERVICE [-F INTERFACE]
  {0} -G [SERVICE]
  {0} -h|-v

SERVICE   -t HOST[:PORT], -u HOST[:PORT] or -f MARK [-6]
SERVER    HOST[:PORT]
FLAGS     sh-fallback, sh-port, mh-fallback, mh-port, with commas between them

--socket PATH or $HEADGATE_SOCKET names the daemon's socket. ipvsadm(8) explains the commands,
headgate-ipvsadm(8) what is different.
)",
                                      program);
}

}  // namespace headgate::ipvsadm
