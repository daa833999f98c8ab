// States of a connection and what follows from them: name, default time-out, how LVS counts them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace headgate::dataplane {

// Which of the two keys of an entry: what a packet that matched it is.
enum class Direction : uint8_t { forward = 0, reply = 1 };

// In the order of LVS. Four bits of a connection's state word; index of Settings::timeout_ticks. A
// persistence template is `none`.
enum class ConnState : uint8_t {
  none = 0,
  established,
  syn_sent,
  syn_recv,
  fin_wait,
  time_wait,
  close,
  close_wait,
  last_ack,
  listen,
  synack,
  udp,
};
inline constexpr uint32_t conn_state_count = 12;

struct ConnStateInfo {
  std::string_view name;             // as `ipvsadm -Lnc` prints it
  uint32_t default_timeout_seconds;  // 900/120/300 and the fixed ones of LVS
};

inline constexpr std::array<ConnStateInfo, conn_state_count> conn_state_table{{
    {"NONE", 2},
    {"ESTABLISHED", 900},
    {"SYN_SENT", 120},
    {"SYN_RECV", 60},
    {"FIN_WAIT", 120},
    {"TIME_WAIT", 120},
    {"CLOSE", 10},
    {"CLOSE_WAIT", 60},
    {"LAST_ACK", 30},
    {"LISTEN", 120},
    {"SYNACK", 120},
    {"UDP", 300},
}};

[[nodiscard]] constexpr const ConnStateInfo& info(ConnState state) noexcept {
  return conn_state_table[static_cast<uint32_t>(state)];
}

// ActiveConn against InActConn. LVS counts UDP flows as inactive, which starves all backends but
// one of a sed or nq service; here a live UDP flow is active unless the service asks for the LVS
// way (service_udp_inactive).
[[nodiscard]] constexpr bool counts_as_active(ConnState state, bool udp_inactive) noexcept {
  return state == ConnState::established || state == ConnState::syn_recv ||
         (state == ConnState::udp && !udp_inactive);
}

static_assert(conn_state_count <= 16);
static_assert(static_cast<uint32_t>(ConnState::udp) + 1 == conn_state_count);

}  // namespace headgate::dataplane
