// The options of ipvsadm 1.31 and what they may stand with.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tools/ipvsadm/options.h"
#include "tools/ipvsadm/scanner.h"

namespace headgate::ipvsadm {

// Ids of OptionName: commands below first_option, then options in the order in which wrong ones are
// reported.
enum class OptionId : uint8_t {
  add_service,
  edit_service,
  delete_service,
  flush,
  restore,
  save,
  add_server,
  edit_server,
  delete_server,
  list,
  list_small,
  zero,
  set_timeouts,
  start_daemon,
  stop_daemon,
  add_local_address,
  delete_local_address,
  list_local_addresses,
  help,
  version,
  first_option,
  numeric = first_option,
  connection,
  service_address,
  scheduler,
  persistent,
  netmask,
  real_server,
  forwarding_method,
  weight,
  upper_threshold,
  lower_threshold,
  mcast_interface,
  timeout,
  daemon,
  stats,
  rate,
  thresholds,
  persistent_conn,
  nosort,
  syncid,
  exact,
  one_packet,
  persistence_engine,
  mcast_group,
  mcast_port,
  mcast_ttl,
  sync_maxlen,
  tun_info,
  tun_type,
  tun_port,
  tun_nocsum,
  tun_csum,
  tun_remcsum,
  local_address,
  local_interface,
  atomic,
  last_checked,  // the others are legal with every command
  // Several names of one of the above.
  tcp_service = last_checked,
  udp_service,
  sctp_service,
  fwmark_service,
  ipv6,
  sched_flags,
  gatewaying,
  ipip,
  masquerading,
  fullnat,
  sort,
  socket,
  count,
};

[[nodiscard]] std::span<const OptionName> option_names();
// As messages call them: "service-address".
[[nodiscard]] std::string_view name_of(OptionId option);
// "add-service".
[[nodiscard]] std::string_view name_of(Command command);

enum class Rule : uint8_t { illegal, allowed, required };
[[nodiscard]] Rule rule(Command command, OptionId option);

[[nodiscard]] std::string usage_text(std::string_view program);
[[nodiscard]] std::string version_text();

}  // namespace headgate::ipvsadm
