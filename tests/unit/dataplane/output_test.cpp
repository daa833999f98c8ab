// The small bounded pieces of the way out.
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/hold_queue.h"
#include "dataplane/token_bucket.h"

namespace headgate::dataplane {
namespace {

constexpr uint64_t ns_per_second = 1'000'000'000;

TEST(TokenBucket, LetsThroughTheRateAndATenthOfItAtOnce) {
  TokenBucket bucket;
  uint64_t now = 5 * ns_per_second;
  uint32_t burst = 0;
  while (bucket.take(now, 100))
    ++burst;
  EXPECT_EQ(burst, 10U);
  uint32_t taken = 0;
  for (int ms = 0; ms < 10'000; ++ms) {
    now += 1'000'000;
    taken += bucket.take(now, 100) ? 1 : 0;
  }
  EXPECT_NEAR(taken, 1000, 1);
}

TEST(TokenBucket, OfRateZeroGivesNothing) {
  TokenBucket bucket;
  EXPECT_FALSE(bucket.take(ns_per_second, 0));
  EXPECT_FALSE(bucket.take(100 * ns_per_second, 0));
}

TEST(TokenBucket, OfRateOneGivesOneASecond) {
  TokenBucket bucket;
  EXPECT_TRUE(bucket.take(10 * ns_per_second, 1));
  EXPECT_FALSE(bucket.take(10 * ns_per_second + ns_per_second / 2, 1));
  EXPECT_TRUE(bucket.take(11 * ns_per_second, 1));
}

HeldPacket packet_for(const char* neighbour, uint16_t interface = 0) {
  HeldPacket packet{};
  packet.neighbour = *net::parse_ip(neighbour);
  packet.interface = interface;
  packet.configured = true;
  return packet;
}

TEST(HoldQueue, SaysWhenANeighbourIsNewToIt) {
  HoldQueue queue;
  EXPECT_EQ(queue.add(packet_for("10.0.0.1")), HoldQueue::Result::first);
  EXPECT_EQ(queue.add(packet_for("10.0.0.1")), HoldQueue::Result::held);
  EXPECT_EQ(queue.add(packet_for("10.0.0.1", 1)), HoldQueue::Result::first);
}

TEST(HoldQueue, IsBoundedPerNeighbourAndInAll) {
  HoldQueue queue;
  for (uint32_t i = 0; i < held_packets_per_neighbour; ++i) {
    EXPECT_NE(queue.add(packet_for("10.0.0.1")), HoldQueue::Result::full);
  }
  EXPECT_EQ(queue.add(packet_for("10.0.0.1")), HoldQueue::Result::full);
  uint16_t interface = 1;
  while (queue.size() < held_packets) {
    ASSERT_NE(queue.add(packet_for("10.0.0.2", interface++)), HoldQueue::Result::full);
  }
  EXPECT_EQ(queue.add(packet_for("10.0.0.3")), HoldQueue::Result::full);
}

TEST(HoldQueue, KeepsRoomForBackendsAndGateways) {
  HoldQueue queue;
  HeldPacket stranger = packet_for("10.0.0.1");
  stranger.configured = false;
  for (uint32_t i = 0; i < held_packets_unconfigured; ++i) {
    ASSERT_NE(queue.add(stranger), HoldQueue::Result::full);
    ++stranger.interface;
  }
  EXPECT_EQ(queue.add(stranger), HoldQueue::Result::full);
  EXPECT_EQ(queue.add(packet_for("10.0.0.2")), HoldQueue::Result::first);
}

TEST(HoldQueue, SweepsInOrderOfArrivalAndKeepsTheRest) {
  HoldQueue queue;
  for (uint16_t i = 0; i < 6; ++i)
    ASSERT_NE(queue.add(packet_for("10.0.0.1", i)), HoldQueue::Result::full);
  std::vector<uint16_t> seen;
  queue.sweep([&](const HeldPacket& packet) {
    seen.push_back(packet.interface);
    return packet.interface % 2 == 0;
  });
  EXPECT_EQ(seen, (std::vector<uint16_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(queue.size(), 3U);
}

}  // namespace
}  // namespace headgate::dataplane
