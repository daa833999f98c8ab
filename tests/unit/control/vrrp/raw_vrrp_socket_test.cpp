// IPv4 packets as a raw socket delivers them: what is a VRRP message, and what is nothing.
#include "control/vrrp/raw_vrrp_socket.h"

#include <random>

#include <gtest/gtest.h>

#include "control/vrrp/frames.h"

namespace headgate::control {
namespace {

std::vector<uint8_t> packet_of(std::vector<uint8_t> message) {
  return advert_ipv4_packet(message, net::parse_ip("192.0.2.1").value(),
                            net::parse_ip("224.0.0.18").value(), 254, 7);
}

TEST(RawVrrpSocket, TakesTheMessageOutOfItsHeader) {
  const auto packet = packet_of({1, 2, 3});
  vrrp::Received received;
  ASSERT_TRUE(take_ipv4_header(packet, received));
  EXPECT_EQ(std::vector(received.message.begin(), received.message.end()),
            (std::vector<uint8_t>{1, 2, 3}));
  EXPECT_EQ(net::to_string(received.source), "192.0.2.1");
  EXPECT_EQ(net::to_string(received.destination), "224.0.0.18");
  EXPECT_EQ(received.ttl, 254);
}

TEST(RawVrrpSocket, PassesOverOptionsAndPadding) {
  auto packet = packet_of({1, 1, 1, 1, 2, 3});
  packet[0] = 0x46;  // the first four bytes are an option
  packet.push_back(0);
  vrrp::Received received;
  ASSERT_TRUE(take_ipv4_header(packet, received));
  EXPECT_EQ(std::vector(received.message.begin(), received.message.end()),
            (std::vector<uint8_t>{2, 3}));
}

TEST(RawVrrpSocket, RefusesLengthsThatDoNotAddUp) {
  vrrp::Received received;
  const auto refused = [&](size_t at, uint8_t value) {
    auto packet = packet_of({1, 2, 3});
    packet[at] = value;
    return !take_ipv4_header(packet, received);
  };
  EXPECT_TRUE(refused(0, 0x44)) << "header of 16 bytes";
  EXPECT_TRUE(refused(0, 0x4f)) << "header of 60 bytes";
  EXPECT_TRUE(refused(0, 0x65)) << "version 6";
  EXPECT_TRUE(refused(3, 19)) << "shorter than its header";
  EXPECT_TRUE(refused(3, 24)) << "longer than what came";
  EXPECT_TRUE(refused(6, 0x20)) << "first fragment";
  EXPECT_TRUE(refused(7, 0x01)) << "later fragment";
  const auto whole = packet_of({});
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(take_ipv4_header(std::span(whole).first(length), received)) << length;
  }
}

TEST(RawVrrpSocket, NeverLeavesThePacketWhateverIsInIt) {
  std::mt19937 random(1);
  int taken = 0;
  for (int i = 0; i < 100'000; ++i) {
    auto packet = packet_of({1, 2, 3, 4, 5, 6, 7, 8});
    for (int changes = 0; changes < 3; ++changes) {
      packet[random() % 8] = static_cast<uint8_t>(random());
    }
    packet.resize(random() % (packet.size() + 1));
    packet.shrink_to_fit();
    vrrp::Received received;
    if (!take_ipv4_header(packet, received)) continue;
    ++taken;
    ASSERT_GE(received.message.data(), packet.data() + 20);
    ASSERT_LE(received.message.data() + received.message.size(), packet.data() + packet.size());
  }
  EXPECT_GT(taken, 10);
}

}  // namespace
}  // namespace headgate::control
