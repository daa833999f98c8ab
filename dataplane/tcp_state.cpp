#include "dataplane/tcp_state.h"

namespace headgate::dataplane {

namespace {
constexpr ConnState NO = ConnState::none;
constexpr ConnState ES = ConnState::established;
constexpr ConnState SR = ConnState::syn_recv;
constexpr ConnState FW = ConnState::fin_wait;
constexpr ConnState TW = ConnState::time_wait;
constexpr ConnState CL = ConnState::close;
constexpr ConnState CW = ConnState::close_wait;
}  // namespace

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
const TcpTable tcp_client_side{{
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
const TcpTable tcp_backend_side{{
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
const TcpTable tcp_input_only{{
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

}  // namespace headgate::dataplane
