#include "dataplane/tcp_state.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

constexpr std::array views{std::pair{Direction::forward, false}, std::pair{Direction::reply, false},
                           std::pair{Direction::forward, true}};
constexpr std::array flag_letters{std::pair{'S', net::tcp_syn}, std::pair{'F', net::tcp_fin},
                                  std::pair{'A', net::tcp_ack}, std::pair{'R', net::tcp_rst},
                                  std::pair{'P', net::tcp_psh}};

uint8_t flags_of(std::string_view letters) {
  uint8_t flags = 0;
  for (const char letter : letters) {
    for (const auto& [name, bit] : flag_letters) {
      if (letter == name) flags |= bit;
    }
  }
  return flags;
}

// Plays "c:S r:SA …" (c: from the client, r: from the real server) and lists the states passed
// through, as ipvsadm names them.
std::string states(std::string_view segments, bool half_view) {
  ConnState state = ConnState::none;
  std::string result;
  while (!segments.empty()) {
    const std::string_view segment = segments.substr(0, segments.find(' '));
    segments.remove_prefix(std::min(segments.size(), segment.size() + 1));
    const Direction direction = segment[0] == 'c' ? Direction::forward : Direction::reply;
    state = next_state(state, direction, flags_of(segment.substr(2)), half_view);
    if (!result.empty()) result += ' ';
    result += info(state).name;
  }
  return result;
}
std::string full_view(std::string_view segments) {
  return states(segments, false);
}
std::string half_view(std::string_view segments) {
  return states(segments, true);
}

// The recorded columns: ipvsadm -Lnc after each frame.
TEST(TcpState, RealServerClosingFirstGoesThroughFinWait) {
  EXPECT_EQ(full_view("c:S r:SA c:A r:FA c:A c:FA r:A"),
            "SYN_RECV SYN_RECV ESTABLISHED FIN_WAIT FIN_WAIT TIME_WAIT TIME_WAIT");
}

TEST(TcpState, ClientClosingFirstGoesThroughCloseWait) {
  EXPECT_EQ(full_view("c:S r:SA c:A c:PA r:A r:PA c:A c:FA r:A r:FA c:A"),
            "SYN_RECV SYN_RECV ESTABLISHED ESTABLISHED ESTABLISHED ESTABLISHED ESTABLISHED "
            "CLOSE_WAIT CLOSE_WAIT TIME_WAIT TIME_WAIT");
}

TEST(TcpState, HalfViewEndsInFinWait) {
  EXPECT_EQ(half_view("c:S c:A c:PA c:FA c:A"),
            "SYN_RECV ESTABLISHED ESTABLISHED FIN_WAIT FIN_WAIT");
}

TEST(TcpState, HalfViewClosesByReset) {
  EXPECT_EQ(half_view("c:S c:A c:R"), "SYN_RECV ESTABLISHED CLOSE");
}

TEST(TcpState, HalfViewFinBeforeTheHandshakeEndsIsTimeWait) {
  EXPECT_EQ(half_view("c:S c:S c:FA"), "SYN_RECV SYN_RECV TIME_WAIT");
}

TEST(TcpState, ClientResetDoesNotEndAnUnansweredSyn) {
  EXPECT_EQ(full_view("c:S c:R"), "SYN_RECV SYN_RECV");
  EXPECT_EQ(full_view("c:S r:SA c:R"), "SYN_RECV SYN_RECV SYN_RECV");
  EXPECT_EQ(half_view("c:S c:R"), "SYN_RECV SYN_RECV");
}

TEST(TcpState, RealServerResetEndsAnUnansweredSyn) {
  EXPECT_EQ(full_view("c:S r:RA"), "SYN_RECV CLOSE");
}

TEST(TcpState, ResetClosesAnEstablishedConnectionFromEitherSide) {
  EXPECT_EQ(full_view("c:S r:SA c:A c:R"), "SYN_RECV SYN_RECV ESTABLISHED CLOSE");
  EXPECT_EQ(full_view("c:S r:SA c:A r:R"), "SYN_RECV SYN_RECV ESTABLISHED CLOSE");
}

TEST(TcpState, SynBeginsAnewWhereTheOldConnectionIsOver) {
  EXPECT_EQ(full_view("c:S r:SA c:A c:FA r:FA c:A c:S"),
            "SYN_RECV SYN_RECV ESTABLISHED CLOSE_WAIT TIME_WAIT TIME_WAIT SYN_RECV");
  EXPECT_EQ(full_view("c:S r:SA c:A c:FA c:S"),
            "SYN_RECV SYN_RECV ESTABLISHED CLOSE_WAIT SYN_RECV");
  EXPECT_EQ(full_view("c:S r:SA c:A c:R c:S"), "SYN_RECV SYN_RECV ESTABLISHED CLOSE SYN_RECV");
}

TEST(TcpState, SynOnALiveConnectionChangesNothing) {
  EXPECT_EQ(full_view("c:S r:SA c:A c:S"), "SYN_RECV SYN_RECV ESTABLISHED ESTABLISHED");
  EXPECT_EQ(full_view("c:S c:S"), "SYN_RECV SYN_RECV");
}

TEST(TcpState, OddSynsBeginAConnection) {
  for (const char* segment : {"c:SA", "c:SF", "c:SP"}) {
    EXPECT_EQ(full_view(segment), "SYN_RECV") << segment;
    EXPECT_TRUE(starts_connection(flags_of(std::string_view(segment).substr(2)), false));
  }
  for (const char* flags : {"SR", "", "FP", "A", "FA", "R", "RA"}) {
    EXPECT_FALSE(starts_connection(flags_of(flags), false)) << flags;
  }
}

TEST(TcpState, SloppyStartsWithAckOrFinButNotWithReset) {
  EXPECT_EQ(full_view("c:A"), "ESTABLISHED");
  EXPECT_EQ(full_view("c:PA"), "ESTABLISHED");
  EXPECT_EQ(full_view("c:FA"), "CLOSE");
  EXPECT_EQ(half_view("c:A"), "ESTABLISHED");
  EXPECT_EQ(half_view("c:F"), "CLOSE");
  for (const char* flags : {"A", "FA", "PA", "F"}) {
    EXPECT_TRUE(starts_connection(flags_of(flags), true)) << flags;
  }
  for (const char* flags : {"R", "RA", "", "P"}) {
    EXPECT_FALSE(starts_connection(flags_of(flags), true)) << flags;
  }
}

TEST(TcpState, OnlyTimeWaitAndCloseAreReusable) {
  for (uint32_t i = 0; i < conn_state_count; ++i) {
    const auto state = static_cast<ConnState>(i);
    EXPECT_EQ(is_reusable(state), state == ConnState::time_wait || state == ConnState::close);
  }
}

// Every state and event of every view.
TEST(TcpState, LeadsOnlyToStatesThatLvsShows) {
  for (const auto& [direction, half] : views) {
    for (uint32_t i = 0; i < tcp_state_count; ++i) {
      for (const uint8_t flags : {net::tcp_syn, net::tcp_fin, net::tcp_ack, net::tcp_rst}) {
        const auto from = static_cast<ConnState>(i);
        const ConnState to = next_state(from, direction, flags, half);
        const bool known = to == ConnState::established || to == ConnState::syn_recv ||
                           to == ConnState::fin_wait || to == ConnState::time_wait ||
                           to == ConnState::close || to == ConnState::close_wait;
        const bool stray = from == ConnState::none && direction == Direction::reply;
        EXPECT_TRUE(known || stray) << info(from).name << " -> " << info(to).name;
      }
    }
  }
}

TEST(TcpState, ResetClosesEveryStateButAnUnfinishedHandshake) {
  for (const auto& [direction, half] : views) {
    for (const ConnState from :
         {ConnState::none, ConnState::established, ConnState::fin_wait, ConnState::time_wait,
          ConnState::close, ConnState::close_wait, ConnState::last_ack}) {
      EXPECT_EQ(next_state(from, direction, net::tcp_rst, half), ConnState::close);
    }
  }
  EXPECT_EQ(next_state(ConnState::syn_recv, Direction::forward, net::tcp_rst, false),
            ConnState::syn_recv);
  EXPECT_EQ(next_state(ConnState::syn_recv, Direction::reply, net::tcp_rst, false),
            ConnState::close);
}

TEST(TcpState, AckNeitherRevivesNorEndsAClosingConnection) {
  for (const auto& [direction, half] : views) {
    for (const ConnState from : {ConnState::established, ConnState::fin_wait, ConnState::time_wait,
                                 ConnState::close, ConnState::close_wait}) {
      EXPECT_EQ(next_state(from, direction, net::tcp_ack, half), from);
    }
  }
}

TEST(TcpState, RepeatedFinsChangeNothingMore) {
  EXPECT_EQ(full_view("c:S r:SA c:A c:FA c:FA"),
            "SYN_RECV SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE_WAIT");
  EXPECT_EQ(full_view("c:S r:SA c:A r:FA r:FA"), "SYN_RECV SYN_RECV ESTABLISHED FIN_WAIT FIN_WAIT");
  EXPECT_EQ(full_view("c:S r:SA c:A r:FA c:FA c:FA r:FA"),
            "SYN_RECV SYN_RECV ESTABLISHED FIN_WAIT TIME_WAIT TIME_WAIT TIME_WAIT");
}

TEST(TcpState, ALateSynAckDoesNotBeginAConnection) {
  for (const ConnState from : {ConnState::established, ConnState::fin_wait, ConnState::time_wait,
                               ConnState::close, ConnState::close_wait}) {
    EXPECT_EQ(next_state(from, Direction::reply, net::tcp_syn | net::tcp_ack, false), from);
  }
}

TEST(TcpState, ASegmentWithoutFlagsChangesNothing) {
  for (const auto& [direction, half] : views) {
    for (uint32_t i = 0; i < conn_state_count; ++i) {
      const auto state = static_cast<ConnState>(i);
      EXPECT_EQ(next_state(state, direction, 0, half), state);
      EXPECT_EQ(next_state(state, direction, net::tcp_psh, half), state);
    }
  }
}

TEST(ConnState, CountsAsLvsDoes) {
  for (uint32_t i = 0; i < tcp_state_count; ++i) {
    const auto state = static_cast<ConnState>(i);
    const bool active = state == ConnState::established || state == ConnState::syn_recv;
    EXPECT_EQ(counts_as_active(state, false), active) << info(state).name;
    EXPECT_EQ(counts_as_active(state, true), active) << info(state).name;
  }
}

TEST(ConnState, UdpIsActiveUnlessTheServiceWantsItTheLvsWay) {
  EXPECT_TRUE(counts_as_active(ConnState::udp, false));
  EXPECT_FALSE(counts_as_active(ConnState::udp, true));
}

TEST(ConnState, HasTheTimeoutsOfLvs) {
  EXPECT_EQ(info(ConnState::established).default_timeout_seconds, 900);
  EXPECT_EQ(info(ConnState::syn_sent).default_timeout_seconds, 120);
  EXPECT_EQ(info(ConnState::syn_recv).default_timeout_seconds, 60);
  EXPECT_EQ(info(ConnState::fin_wait).default_timeout_seconds, 120);
  EXPECT_EQ(info(ConnState::time_wait).default_timeout_seconds, 120);
  EXPECT_EQ(info(ConnState::close).default_timeout_seconds, 10);
  EXPECT_EQ(info(ConnState::close_wait).default_timeout_seconds, 60);
  EXPECT_EQ(info(ConnState::last_ack).default_timeout_seconds, 30);
  EXPECT_EQ(info(ConnState::listen).default_timeout_seconds, 120);
  EXPECT_EQ(info(ConnState::udp).default_timeout_seconds, 300);
}

}  // namespace
}  // namespace headgate::dataplane
