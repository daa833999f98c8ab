#include "dataplane/probe_path.h"

#include <gtest/gtest.h>

#include "dataplane/exception.h"
#include "dataplane/pool.h"
#include "tests/unit/dataplane/eal_environment.h"
#include "tests/unit/dataplane/probe_frames.h"

namespace headgate::dataplane {
namespace {

using test::Bytes;
using test::frame_of;
using test::framed;
using test::FrameSpec;
using test::ip;
using test::other_mac;
using test::packet_of;
using test::twin_mac;

constexpr uint32_t backend = 0x01000007;
constexpr uint64_t now = 1'000'000'000;

// The addresses of a family.
struct Side {
  net::IpAddress host, probe, unused, vip, router;
};
Side side(bool v6) {
  if (v6) {
    return {ip("fd00:1::1"), ip("fd68:6561:6c74::7"), ip("fd68:6561:6c74::8"), ip("2001:db8::1"),
            ip("fd00:1::9")};
  }
  return {ip("10.1.0.1"), ip("198.18.0.7"), ip("198.18.0.8"), ip("192.0.2.1"), ip("10.1.0.9")};
}

std::shared_ptr<const ProbeTable> table(uint8_t protocol, uint16_t port = 80) {
  ProbeTable made;
  made.networks = {net::parse_prefix("198.18.0.0/15").value(),
                   net::parse_prefix("fd68:6561:6c74::/48").value()};
  for (const bool v6 : {false, true}) {
    made.entries.push_back(
        {side(v6).probe, side(v6).vip, net::be16::from_host(port), protocol, backend});
  }
  return std::make_shared<const ProbeTable>(std::move(made));
}

class ProbePathTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    need_eal();
    auto pool = make_pool({.name = "probes", .mbufs = 1023});
    ASSERT_TRUE(pool) << pool.error().text();
    pool_ = std::move(*pool);
    mbuf_ = rte_pktmbuf_alloc(pool_.get());
    ASSERT_NE(mbuf_, nullptr);
  }
  void TearDown() override { rte_pktmbuf_free(mbuf_); }

  void use(std::shared_ptr<const ProbeTable> what) {
    path_.set(std::move(what));
    path_.refresh();
  }
  void load(const Bytes& frame) {
    rte_pktmbuf_reset(mbuf_);
    char* data = rte_pktmbuf_append(mbuf_, static_cast<uint16_t>(frame.size()));
    std::copy(frame.begin(), frame.end(), data);
  }
  [[nodiscard]] Bytes frame() const {
    const auto* data = rte_pktmbuf_mtod(mbuf_, const uint8_t*);
    return {data, data + mbuf_->data_len};
  }
  ProbePath::Leaving leaves(const Bytes& frame, uint16_t twin = 3) {
    load(frame);
    mbuf_->hash.usr = 12345;  // of whoever had the buffer before
    return path_.leave(mbuf_, twin, now);
  }
  ProbePath::Arriving arrives(const Bytes& frame, uint32_t otherwise = probe_or_nothing) {
    load(frame);
    mbuf_->hash.usr = otherwise;
    twin_ = 99;
    return path_.arrive(mbuf_, twin_, now);
  }
  // The source port of the probe that has just left.
  [[nodiscard]] uint16_t wire_port(uint32_t l2 = 14) const {
    const Bytes sent = frame();
    const uint32_t l4 = l2 + (sent[l2] >> 4 == 4 ? 20U : 40U);
    return static_cast<uint16_t>(sent[l4] << 8 | sent[l4 + 1]);
  }
  [[nodiscard]] uint64_t counted(ProbeCount what) const {
    return path_.counters()[static_cast<uint32_t>(what)].load();
  }

  Pool pool_;
  rte_mbuf* mbuf_ = nullptr;
  ProbePath path_;
  uint16_t twin_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Families, ProbePathTest, testing::Bool(),
                         [](const auto& of) { return of.param ? "IPv6" : "IPv4"; });

TEST_P(ProbePathTest, TcpGoesToTheVipAndItsAnswerComesFromTheProbeAddress) {
  use(table(net::protocol_tcp));
  const Side a = side(GetParam());
  EXPECT_EQ(leaves(frame_of({a.host, a.probe, 40000, 8080, 6, net::tcp_syn})),
            ProbePath::Leaving::probe);
  EXPECT_EQ(mbuf_->hash.usr, backend);
  const uint16_t wire = wire_port();
  EXPECT_GE(wire, probe_first_port);
  EXPECT_LT(wire, 32768);
  EXPECT_EQ(frame(), frame_of({a.host, a.vip, wire, 80, 6, net::tcp_syn})) << "checksums as well";

  const FrameSpec answer{a.vip, a.host, 80, wire, 6, net::tcp_syn | net::tcp_ack};
  EXPECT_EQ(arrives(frame_of(answer, other_mac, {{2, 0, 0, 0, 0, 77}})),
            ProbePath::Arriving::probe);
  EXPECT_EQ(twin_, 3);
  EXPECT_EQ(frame(), frame_of({a.probe, a.host, 8080, 40000, 6, net::tcp_syn | net::tcp_ack},
                              other_mac, twin_mac));
  EXPECT_EQ(counted(ProbeCount::sent), 1U);
  EXPECT_EQ(counted(ProbeCount::received), 1U);
}

TEST_P(ProbePathTest, UdpGoesBothWaysToo) {
  use(table(net::protocol_udp, 53));
  const Side a = side(GetParam());
  const auto spec = [](const net::IpAddress& from, const net::IpAddress& to, uint16_t sport,
                       uint16_t dport) {
    return FrameSpec{from, to, sport, dport, 17, 0, 0, "question or answer"};
  };
  EXPECT_EQ(leaves(frame_of(spec(a.host, a.probe, 40000, 53))), ProbePath::Leaving::probe);
  const uint16_t wire = wire_port();
  EXPECT_EQ(frame(), frame_of(spec(a.host, a.vip, wire, 53)));
  EXPECT_EQ(arrives(frame_of(spec(a.vip, a.host, 53, wire), other_mac, twin_mac)),
            ProbePath::Arriving::probe);
  EXPECT_EQ(frame(), frame_of(spec(a.probe, a.host, 53, 40000), other_mac, twin_mac));
}

TEST_P(ProbePathTest, ATagStaysOnTheWayOutAndIsTakenOffForTheTwin) {
  use(table(net::protocol_tcp));
  const Side a = side(GetParam());
  EXPECT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, 6, net::tcp_syn, 100})),
            ProbePath::Leaving::probe);
  const uint16_t wire = wire_port(18);
  EXPECT_EQ(frame(), frame_of({a.host, a.vip, wire, 80, 6, net::tcp_syn, 100}));
  EXPECT_EQ(arrives(frame_of({a.vip, a.host, 80, wire, 6, net::tcp_ack, 200}, other_mac)),
            ProbePath::Arriving::probe);
  EXPECT_EQ(frame(), frame_of({a.probe, a.host, 80, 40000, 6, net::tcp_ack}, other_mac, twin_mac));
}

TEST_P(ProbePathTest, IcmpErrorsBecomeErrorsAboutWhatTheKernelSent) {
  const Side a = side(GetParam());
  for (const uint8_t protocol : {net::protocol_tcp, net::protocol_udp}) {
    for (const net::IpAddress& reporter : {a.vip, a.router}) {
      use(table(protocol));
      ASSERT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, protocol, net::tcp_syn})),
                ProbePath::Leaving::probe);
      const Bytes seen = packet_of({a.host, a.vip, wire_port(), 80, protocol, net::tcp_syn});
      const Bytes sent = packet_of({a.host, a.probe, 40000, 80, protocol, net::tcp_syn});
      const net::IpAddress told = reporter == a.vip ? a.probe : reporter;
      const size_t header = GetParam() ? 40 : 20;
      for (const size_t quoted : {seen.size(), header + 8}) {
        EXPECT_EQ(arrives(framed(test::icmp_error(reporter, a.host, seen, quoted), 0, other_mac,
                                 twin_mac)),
                  ProbePath::Arriving::probe);
        EXPECT_EQ(frame(),
                  framed(test::icmp_error(told, a.host, sent, quoted), 0, other_mac, twin_mac));
      }
      EXPECT_EQ(arrives(framed(test::icmp_error(reporter, a.host, seen, header + 7), 0, other_mac,
                               twin_mac)),
                ProbePath::Arriving::dropped)
          << "the ports are all there, but RFC 792 says eight bytes";
    }
  }
  EXPECT_EQ(counted(ProbeCount::errors), 8U);
}

TEST_P(ProbePathTest, WhatIsNoAnswerIsTheHostsOrNobodysAsItsMarkSays) {
  const Side a = side(GetParam());
  const Bytes stray = frame_of({a.vip, a.host, 80, 1024});
  EXPECT_EQ(arrives(stray, probe_or_host), ProbePath::Arriving::ordinary) << "no table yet";
  EXPECT_EQ(arrives(stray), ProbePath::Arriving::dropped);
  use(table(net::protocol_tcp));
  EXPECT_EQ(arrives(stray, probe_or_host), ProbePath::Arriving::ordinary);
  EXPECT_EQ(frame(), stray);
  EXPECT_EQ(arrives(stray), ProbePath::Arriving::dropped);
  ASSERT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, 6, net::tcp_syn})),
            ProbePath::Leaving::probe);
  const uint16_t wire = wire_port();
  EXPECT_EQ(arrives(frame_of({a.vip, a.host, 81, wire})), ProbePath::Arriving::dropped);
  EXPECT_EQ(arrives(frame_of({a.router, a.host, 80, wire}), probe_or_host),
            ProbePath::Arriving::ordinary);
  EXPECT_EQ(counted(ProbeCount::drop_no_flow), 3U);
  EXPECT_EQ(counted(ProbeCount::received), 0U);
}

TEST_P(ProbePathTest, NothingForTheProbeNetworkLeavesTheMachineAsItIs) {
  use(table(net::protocol_tcp));
  const Side a = side(GetParam());
  EXPECT_EQ(leaves(frame_of({a.host, a.unused, 40000, 80})), ProbePath::Leaving::dropped);
  EXPECT_EQ(counted(ProbeCount::drop_unknown), 1U);
  EXPECT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, 17})), ProbePath::Leaving::dropped);
  const uint8_t icmp = GetParam() ? net::protocol_icmpv6 : net::protocol_icmp;
  const Bytes ping = test::ip_packet(a.host, a.probe, icmp, Bytes(8, 8), 2);
  EXPECT_EQ(leaves(framed(ping, 0, twin_mac, other_mac)), ProbePath::Leaving::dropped);
  Bytes cut = frame_of({a.host, a.probe, 40000, 80});
  cut.resize(cut.size() - 1);
  EXPECT_EQ(leaves(cut), ProbePath::Leaving::dropped);
  EXPECT_EQ(counted(ProbeCount::drop_not_supported), 3U);
}

TEST_P(ProbePathTest, EverythingElseOfTheKernelStaysAsItIs) {
  const Side a = side(GetParam());
  const Bytes probe = frame_of({a.host, a.probe, 40000, 80});
  EXPECT_EQ(leaves(probe), ProbePath::Leaving::ordinary) << "no table, no probe network";
  use(table(net::protocol_tcp));
  Bytes padded = frame_of({a.host, a.router, 40000, 80});
  padded.resize(padded.size() + 6);
  for (const Bytes& ordinary : {padded, frame_of({a.host, a.vip, 40000, 80}), Bytes(14, 0)}) {
    EXPECT_EQ(leaves(ordinary), ProbePath::Leaving::ordinary);
    EXPECT_EQ(frame(), ordinary);
    EXPECT_EQ(mbuf_->hash.usr, 0U);
  }
  use(nullptr);
  EXPECT_EQ(leaves(probe), ProbePath::Leaving::ordinary);
}

TEST_P(ProbePathTest, ARunningFlowGoesOnThroughAChangeOfTheTable) {
  use(table(net::protocol_tcp));
  const Side a = side(GetParam());
  ASSERT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, 6, net::tcp_syn})),
            ProbePath::Leaving::probe);
  const uint16_t wire = wire_port();
  use(table(net::protocol_tcp));
  EXPECT_EQ(arrives(frame_of({a.vip, a.host, 80, wire})), ProbePath::Arriving::probe);
  ASSERT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80})), ProbePath::Leaving::probe);
  EXPECT_EQ(wire_port(), wire);
}

TEST_P(ProbePathTest, FlowsEndWithTheirConnections) {
  use(table(net::protocol_tcp));
  const Side a = side(GetParam());
  const FrameSpec syn{a.host, a.probe, 40000, 80, 6, net::tcp_syn};
  ASSERT_EQ(leaves(frame_of(syn)), ProbePath::Leaving::probe);
  const uint16_t first = wire_port();
  ASSERT_EQ(arrives(frame_of({a.vip, a.host, 80, first, 6, net::tcp_rst | net::tcp_ack})),
            ProbePath::Arriving::probe);
  ASSERT_EQ(leaves(frame_of(syn)), ProbePath::Leaving::probe);
  const uint16_t second = wire_port();
  EXPECT_NE(second, first) << "after a reset";
  ASSERT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, 6, net::tcp_fin | net::tcp_ack})),
            ProbePath::Leaving::probe);
  ASSERT_EQ(arrives(frame_of({a.vip, a.host, 80, second, 6, net::tcp_fin | net::tcp_ack})),
            ProbePath::Arriving::probe);
  ASSERT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, 6, net::tcp_ack})),
            ProbePath::Leaving::probe);
  EXPECT_EQ(wire_port(), second) << "the last ACK";
  ASSERT_EQ(leaves(frame_of(syn)), ProbePath::Leaving::probe);
  EXPECT_NE(wire_port(), second) << "after both FINs";
}

// Nothing that comes in makes it read or write beyond a frame.
TEST_P(ProbePathTest, BrokenFramesAreNoAnswers) {
  use(table(net::protocol_udp));
  const Side a = side(GetParam());
  ASSERT_EQ(leaves(frame_of({a.host, a.probe, 40000, 80, 17})), ProbePath::Leaving::probe);
  const Bytes seen = packet_of({a.host, a.vip, wire_port(), 80, 17});
  const Bytes error =
      framed(test::icmp_error(a.vip, a.host, seen, seen.size()), 0, other_mac, twin_mac);
  for (size_t length = 0; length < error.size(); ++length) {
    EXPECT_EQ(arrives(Bytes(error.begin(), error.begin() + static_cast<ptrdiff_t>(length))),
              ProbePath::Arriving::dropped)
        << length;
  }
  if (GetParam()) return;
  for (const auto& [at, value] : {std::pair{14 + 20 + 8, 0x4f}, std::pair{14 + 20 + 8, 0x65},
                                  std::pair{14 + 20 + 8 + 7, 0x01}, std::pair{14 + 20, 5}}) {
    Bytes broken = error;
    broken[static_cast<size_t>(at)] = static_cast<uint8_t>(value);
    EXPECT_EQ(arrives(broken), ProbePath::Arriving::dropped) << at;
  }
}

}  // namespace
}  // namespace headgate::dataplane
