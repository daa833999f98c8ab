#include "dataplane/probe_flows.h"

#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/probe_frames.h"

namespace headgate::dataplane {
namespace {

using test::ip;

constexpr uint64_t second = 1'000'000'000;

net::be16 port(uint32_t host) {
  return net::be16::from_host(static_cast<uint16_t>(host));
}

ProbeSocket socket_at(uint16_t host_port, const char* probe = "198.18.0.7") {
  return {ip("10.1.0.1"), ip(probe), port(host_port), port(80), net::protocol_tcp};
}

const ProbeEntry web{ip("198.18.0.7"), ip("192.0.2.1"), port(80), net::protocol_tcp, 1};

// What answers a flow from the VIP.
ProbeFlow* answer_to(ProbeFlows& flows, net::be16 wire_port, uint64_t now) {
  return flows.find(web.vip, port(80), ip("10.1.0.1"), wire_port, net::protocol_tcp, now);
}

TEST(ProbeFlows, AnswersFindTheSocketThatAsked) {
  ProbeFlows flows;
  ProbeFlow* flow = flows.use(socket_at(40000), web, true, 0);
  ASSERT_NE(flow, nullptr);
  const net::be16 wire = flows.wire_port(*flow);
  EXPECT_EQ(answer_to(flows, wire, second), flow);
  EXPECT_EQ(flows.use(socket_at(40000), web, false, second), flow) << "one flow, one port";
  EXPECT_EQ(flows.find(ip("192.0.2.2"), port(80), ip("10.1.0.1"), wire, net::protocol_tcp, second),
            nullptr);
  EXPECT_EQ(flows.find(web.vip, port(81), ip("10.1.0.1"), wire, net::protocol_tcp, second),
            nullptr);
  EXPECT_EQ(flows.find(web.vip, port(80), ip("10.1.0.2"), wire, net::protocol_tcp, second),
            nullptr);
  EXPECT_EQ(flows.find(web.vip, port(80), ip("10.1.0.1"), wire, net::protocol_udp, second),
            nullptr);
  EXPECT_EQ(answer_to(flows, port(wire.host() + 1U), second), nullptr);
  EXPECT_EQ(answer_to(flows, port(1), second), nullptr);
  EXPECT_EQ(answer_to(flows, port(65535), second), nullptr);
}

TEST(ProbeFlows, SocketsWithOnePortThatAskTwoBackendsOfAVipHaveTwoPortsOnTheWire) {
  ProbeFlows flows;
  ProbeEntry other = web;
  other.address = ip("198.18.0.8");
  ProbeFlow* first = flows.use(socket_at(40000), web, true, 0);
  ProbeFlow* second_flow = flows.use(socket_at(40000, "198.18.0.8"), other, true, 0);
  ASSERT_NE(first, second_flow);
  EXPECT_EQ(answer_to(flows, flows.wire_port(*first), 1)->socket.probe, web.address);
  EXPECT_EQ(answer_to(flows, flows.wire_port(*second_flow), 1)->socket.probe, other.address);
}

TEST(ProbeFlows, AServiceOfAllPortsKeepsTheOneThatIsAsked) {
  ProbeFlows flows;
  ProbeEntry all = web;
  all.port = {};
  EXPECT_EQ(flows.use(socket_at(40000), all, true, 0)->vip_port, port(80));
}

TEST(ProbeFlows, IdleFlowsEndAfterHalfAMinute) {
  ProbeFlows flows;
  const net::be16 wire = flows.wire_port(*flows.use(socket_at(40000), web, true, 0));
  EXPECT_NE(answer_to(flows, wire, 30 * second), nullptr);
  EXPECT_NE(answer_to(flows, wire, 60 * second), nullptr) << "it was heard of";
  EXPECT_EQ(answer_to(flows, wire, 90 * second + 1), nullptr);
}

TEST(ProbeFlows, AnEndedFlowLingersForASecondAndASynBeginsANewOne) {
  ProbeFlows flows;
  ProbeFlow* flow = flows.use(socket_at(40000), web, true, 0);
  const net::be16 wire = flows.wire_port(*flow);
  flow->ends = probe_host_fin;
  EXPECT_NE(answer_to(flows, wire, 2 * second), nullptr) << "one side alone has ended";
  flow->ends |= probe_server_fin;
  EXPECT_NE(answer_to(flows, wire, 3 * second), nullptr);
  EXPECT_EQ(flows.use(socket_at(40000), web, false, 3 * second), flow) << "the last ACK";
  const ProbeFlow* next = flows.use(socket_at(40000), web, true, 3 * second);
  ASSERT_NE(next, nullptr);
  EXPECT_NE(flows.wire_port(*next), wire) << "the server may still remember the former";
  EXPECT_EQ(answer_to(flows, wire, 3 * second), nullptr);
}

TEST(ProbeFlows, AProbeAddressThatStandsForAnotherServiceByNowBeginsANewFlow) {
  ProbeFlows flows;
  ProbeFlow* flow = flows.use(socket_at(40000), web, true, 0);
  const net::be16 wire = flows.wire_port(*flow);
  ProbeEntry moved = web;
  moved.vip = ip("192.0.2.9");
  EXPECT_EQ(flows.use(socket_at(40000), moved, false, 1)->vip, moved.vip);
  EXPECT_EQ(answer_to(flows, wire, 1), nullptr);
}

TEST(ProbeFlows, AllPortsAreUsedOnceAndThenThoseThatHaveEnded) {
  ProbeFlows flows;
  std::set<uint16_t> wires;
  const auto open = [&](uint32_t i, uint64_t now) {
    const ProbeSocket socket{ip("10.1.0.1"), web.address, port(i), port(80 + i / 65536),
                             net::protocol_tcp};
    ProbeEntry any = web;
    any.port = {};
    return flows.use(socket, any, true, now);
  };
  for (uint32_t i = 0; i < probe_flow_count; ++i) {
    ProbeFlow* flow = open(i, 0);
    ASSERT_NE(flow, nullptr) << i;
    wires.insert(flows.wire_port(*flow).host());
  }
  EXPECT_EQ(wires.size(), probe_flow_count);
  EXPECT_EQ(*wires.begin(), probe_first_port);
  EXPECT_EQ(*wires.rbegin(), 32767);
  EXPECT_EQ(open(40000, 29 * second), nullptr);
  EXPECT_NE(open(40000, 31 * second), nullptr);
}

// Against a plain list of what has been opened.
TEST(ProbeFlows, AgreesWithAListOfFlowsOverRandomOperations) {
  ProbeFlows flows;
  struct Known {
    ProbeSocket socket;
    net::be16 wire;
  };
  std::vector<Known> known;
  std::mt19937 random(7);
  uint64_t now = 0;
  for (int step = 0; step < 50'000; ++step) {
    now += second / 10'000;
    const ProbeSocket socket = socket_at(static_cast<uint16_t>(random() % 500));
    const auto at = std::ranges::find(known, socket, &Known::socket);
    if (random() % 4 == 0 && at != known.end()) {
      ProbeFlow* flow = answer_to(flows, at->wire, now);
      ASSERT_NE(flow, nullptr);
      ASSERT_EQ(flow->socket, socket);
      flow->ends = probe_reset;
      ASSERT_NE(flows.use(socket, web, true, now), flow);
      known.erase(at);
      known.push_back({socket, flows.wire_port(*flows.use(socket, web, false, now))});
      continue;
    }
    ProbeFlow* flow = flows.use(socket, web, false, now);
    ASSERT_NE(flow, nullptr);
    if (at == known.end()) {
      known.push_back({socket, flows.wire_port(*flow)});
    } else {
      ASSERT_EQ(flows.wire_port(*flow), at->wire);
    }
  }
}

}  // namespace
}  // namespace headgate::dataplane
