#include "control/snapshot_settings.h"

#include "dataplane/conn_state.h"
#include "dataplane/limits.h"

namespace headgate::control {
namespace {

using dataplane::ConnState;

// The file's rates are for all workers together. Each gets its share, but not nothing.
uint32_t share(uint32_t per_second, uint32_t workers) {
  if (workers == 0) return per_second;
  return (per_second + workers - 1) / workers;
}

}  // namespace

dataplane::Settings make_settings(const config::Config& config, uint32_t workers) {
  dataplane::Settings settings{};
  const auto set = [&](ConnState state, uint32_t seconds) {
    settings.timeout_ticks[static_cast<uint32_t>(state)] = seconds * dataplane::ticks_per_second;
  };
  for (uint32_t state = 0; state < dataplane::conn_state_count; ++state) {
    set(static_cast<ConnState>(state), dataplane::conn_state_table[state].default_timeout_seconds);
  }
  const config::Timeouts& timeouts = config.timeouts;
  set(ConnState::established, timeouts.tcp_established_s);
  set(ConnState::syn_sent, timeouts.tcp_syn_sent_s);
  set(ConnState::syn_recv, timeouts.tcp_syn_recv_s);
  set(ConnState::fin_wait, timeouts.tcp_fin_wait_s);
  set(ConnState::time_wait, timeouts.tcp_time_wait_s);
  set(ConnState::close, timeouts.tcp_close_s);
  set(ConnState::close_wait, timeouts.tcp_close_wait_s);
  set(ConnState::last_ack, timeouts.tcp_last_ack_s);
  set(ConnState::listen, timeouts.tcp_listen_s);
  set(ConnState::udp, timeouts.udp_s);

  const config::Connections& connections = config.connections;
  const uint64_t entries = uint64_t{connections.max_ipv4} + connections.max_ipv6;
  const uint64_t limit = entries * connections.embryonic_percent / 100;
  settings.embryonic_limit = static_cast<uint32_t>(limit);
  settings.embryonic_pressure =
      static_cast<uint32_t>(limit * connections.embryonic_pressure_percent / 100);
  settings.embryonic_timeout_pressure_ticks =
      connections.embryonic_pressure_timeout_s * dataplane::ticks_per_second;

  settings.rst_per_second = share(config.rates.rst_per_s, workers);
  settings.icmp_per_second = share(config.rates.icmp_per_s, workers);
  settings.answers_per_second = share(config.rates.arp_per_s, workers);
  settings.echo_per_second = share(config.rates.icmp_echo_per_s, workers);
  settings.routing = config.forwarding.routing ? 1 : 0;
  settings.conn_reuse = connections.tcp_reuse ? 1 : 0;
  settings.sloppy_tcp = connections.sloppy_tcp ? 1 : 0;
  return settings;
}

}  // namespace headgate::control
