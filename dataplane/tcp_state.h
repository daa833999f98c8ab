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

namespace tcp_tables {

inline constexpr ConnState NO = ConnState::none;
inline constexpr ConnState ES = ConnState::established;
inline constexpr ConnState SR = ConnState::syn_recv;
inline constexpr ConnState FW = ConnState::fin_wait;
inline constexpr ConnState TW = ConnState::time_wait;
inline constexpr ConnState CL = ConnState::close;
inline constexpr ConnState CW = ConnState::close_wait;

// What holds in all three:
// - A connection begins with the client's SYN; with sloppy_tcp, an ACK makes it established at once
//   and a FIN finds it closing.
// - ACK after SYN is the end of the handshake, whoever sends it.
// - A SYN of the client on a connection that is over or closing begins it anew; on an established
//   one it changes nothing.
// - A FIN before the handshake is over leaves nothing to wait for but late segments.
// - A RST closes, but for the client's in SYN_RECV: the backend may never have seen the SYN, and an
//   attacker could clear the entries of a flood with it.
// - SYN_SENT, LISTEN, LAST_ACK and SYNACK are LVS's numbers. Nothing here leads to them; should an
//   entry come from elsewhere in one of them, the next segment takes it out.

// The client's FIN first: the backend still sends, CLOSE_WAIT. After the backend's: TIME_WAIT.
inline constexpr TcpTable client_side{{
    // syn fin ack rst
    {SR, CL, ES, CL},  // none
    {ES, CW, ES, CL},  // established
    {SR, TW, ES, SR},  // syn_sent
    {SR, TW, ES, SR},  // syn_recv
    {SR, TW, FW, CL},  // fin_wait: the backend has sent its FIN
    {SR, TW, TW, CL},  // time_wait
    {SR, CL, CL, CL},  // close
    {SR, CW, CW, CL},  // close_wait: the client has sent its FIN
    {SR, TW, CL, CL},  // last_ack
    {SR, TW, ES, SR},  // listen
    {SR, TW, ES, SR},  // synack
}};

// The backend's SYN-ACK waits for the client's ACK. Its FIN first: FIN_WAIT; after the client's:
// TIME_WAIT. Only the client begins anything, so a stray SYN of the backend changes nothing.
inline constexpr TcpTable backend_side{{
    // syn fin ack rst
    {NO, CL, ES, CL},  // none
    {ES, FW, ES, CL},  // established
    {SR, TW, ES, CL},  // syn_sent
    {SR, TW, ES, CL},  // syn_recv
    {FW, FW, FW, CL},  // fin_wait
    {TW, TW, TW, CL},  // time_wait
    {CL, CL, CL, CL},  // close
    {CW, TW, CW, CL},  // close_wait
    {CL, TW, CL, CL},  // last_ack
    {SR, TW, ES, CL},  // listen
    {SR, TW, ES, CL},  // synack
}};

// The backend's FIN is never seen: the client's puts the connection into FIN_WAIT, and there it
// ends by time-out.
inline constexpr TcpTable input_only{{
    // syn fin ack rst
    {SR, CL, ES, CL},  // none
    {ES, FW, ES, CL},  // established
    {SR, TW, ES, SR},  // syn_sent
    {SR, TW, ES, SR},  // syn_recv
    {SR, FW, FW, CL},  // fin_wait
    {SR, TW, TW, CL},  // time_wait
    {SR, CL, CL, CL},  // close
    {SR, CW, CW, CL},  // close_wait
    {SR, TW, CL, CL},  // last_ack
    {SR, TW, ES, SR},  // listen
    {SR, TW, ES, SR},  // synack
}};

}  // namespace tcp_tables

// Whose segment it is, and what else is seen: the three tables.
enum class TcpView : uint8_t { client_side, backend_side, input_only };
[[nodiscard]] constexpr TcpView tcp_view(Direction direction, bool half_view) noexcept {
  if (direction == Direction::reply) return TcpView::backend_side;
  return half_view ? TcpView::input_only : TcpView::client_side;
}

// All of the above for one load a segment: by view, state and the low five flags. States that are
// no TCP's, and segments that are nothing, change nothing.
inline constexpr uint32_t tcp_flag_sets = 32;
constexpr auto tcp_next_states = [] {
  constexpr std::array tables{&tcp_tables::client_side, &tcp_tables::backend_side,
                              &tcp_tables::input_only};
  std::array<std::array<std::array<ConnState, tcp_flag_sets>, 16>, tables.size()> next{};
  for (uint32_t view = 0; view < tables.size(); ++view) {
    for (uint32_t state = 0; state < 16; ++state) {
      for (uint32_t flags = 0; flags < tcp_flag_sets; ++flags) {
        const TcpEvent event = tcp_event(static_cast<uint8_t>(flags));
        const bool stays = event == TcpEvent::nothing || state >= tcp_state_count;
        next[view][state][flags] = stays ? static_cast<ConnState>(state)
                                         : (*tables[view])[state][static_cast<uint32_t>(event)];
      }
    }
  }
  return next;
}();

// The state after a segment. `half_view`: the backend's segments do not pass here. A new connection
// begins in `none`, so this gives its first state too.
[[nodiscard]] inline ConnState next_state(ConnState state, Direction direction, uint8_t tcp_flags,
                                          bool half_view) noexcept {
  const auto view = static_cast<uint32_t>(tcp_view(direction, half_view));
  return tcp_next_states[view][static_cast<uint32_t>(state) % 16][tcp_flags % tcp_flag_sets];
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
