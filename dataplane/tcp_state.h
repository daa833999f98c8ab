// The TCP states of LVS: what a segment makes of its connection.
//
// This is no TCP state machine: sequence numbers are not looked at, and only the strongest flag of
// a segment counts, in the order RST, SYN, FIN, ACK. It decides which time-out applies and whether
// a connection counts as active. There is a table for each view of the traffic:
//   client side   a segment of the client, where the backend's segments are seen too (NAT, FULLNAT)
//   backend side  a segment of the backend
//   input only    a segment of the client, where nothing else is ever seen (DR, IPIP)
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/conn_state.h"
#include "dataplane/net/headers.h"

namespace headgate::dataplane {

enum class TcpEvent : uint8_t { syn, fin, ack, rst, nothing };
inline constexpr uint32_t tcp_event_count = 4;  // `nothing` has no column: it changes no state

// A SYN-ACK is a SYN, a FIN-ACK a FIN. A segment without any of the four flags is `nothing`.
[[nodiscard]] constexpr TcpEvent tcp_event(uint8_t tcp_flags) noexcept {
  if ((tcp_flags & net::tcp_rst) != 0) return TcpEvent::rst;
  if ((tcp_flags & net::tcp_syn) != 0) return TcpEvent::syn;
  if ((tcp_flags & net::tcp_fin) != 0) return TcpEvent::fin;
  if ((tcp_flags & net::tcp_ack) != 0) return TcpEvent::ack;
  return TcpEvent::nothing;
}

// Rows: ConnState up to synack. Columns: TcpEvent.
inline constexpr uint32_t tcp_state_count = 11;
using TcpTable = std::array<std::array<ConnState, tcp_event_count>, tcp_state_count>;
extern const TcpTable tcp_client_side;
extern const TcpTable tcp_backend_side;
extern const TcpTable tcp_input_only;

// The state after a segment. `half_view`: the backend's segments do not pass here. A new connection
// begins in `none`, so this gives its first state too.
[[nodiscard]] inline ConnState next_state(ConnState state, Direction direction, uint8_t tcp_flags,
                                          bool half_view) noexcept {
  const TcpEvent event = tcp_event(tcp_flags);
  if (event == TcpEvent::nothing || state >= ConnState::udp) return state;
  const TcpTable& table = direction == Direction::reply ? tcp_backend_side
                          : half_view                   ? tcp_input_only
                                                        : tcp_client_side;
  return table[static_cast<uint32_t>(state)][static_cast<uint32_t>(event)];
}

// Whether a segment without a connection may start one. LVS schedules whatever has SYN and not RST,
// and with sloppy_tcp ACK and FIN as well.
[[nodiscard]] constexpr bool starts_connection(uint8_t tcp_flags, bool sloppy) noexcept {
  const TcpEvent event = tcp_event(tcp_flags);
  return event == TcpEvent::syn || (sloppy && (event == TcpEvent::ack || event == TcpEvent::fin));
}

// Whether a SYN of the client on a connection in this state begins a new one, to be scheduled
// afresh (conn_reuse). In the other states it stays with its backend.
[[nodiscard]] constexpr bool is_reusable(ConnState state) noexcept {
  return state == ConnState::time_wait || state == ConnState::close;
}

}  // namespace headgate::dataplane
