#include "dataplane/fullnat_ports.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

constexpr uint32_t default_ports = 64512;

RssTable random_rss(uint16_t queues) {
  std::mt19937 random(7);
  std::vector<uint8_t> key(40);
  for (uint8_t& byte : key)
    byte = static_cast<uint8_t>(random());
  std::vector<uint16_t> reta(128);
  for (size_t i = 0; i < reta.size(); ++i)
    reta[i] = static_cast<uint16_t>(i % queues);
  return {key, reta};
}

ReplyTuple reply_to(const RssTable* rss, uint16_t queue = 0) {
  return {.rss = rss,
          .backend = *net::parse_ip("10.2.0.11"),
          .local = *net::parse_ip("10.2.0.1"),
          .backend_port = net::be16::from_host(8080),
          .queue = queue};
}

uint16_t queue_of_reply(const RssTable& rss, const ReplyTuple& reply, uint16_t port) {
  return rss.queue_of(
      rss.hash(reply.backend, reply.local, reply.backend_port, net::be16::from_host(port)));
}

class UsedPorts {
 public:
  // Tries candidates until one is free and takes it; 0 if the walk gave up.
  uint16_t take(PortCandidates candidates) {
    while (const auto port = candidates.next()) {
      if (!used_[*port]) {
        use(*port);
        return *port;
      }
    }
    return 0;
  }
  void use(uint16_t port) {
    used_[port] = true;
    ++count_;
  }
  void release(uint16_t port) {
    used_[port] = false;
    --count_;
  }
  [[nodiscard]] uint32_t count() const { return count_; }

 private:
  std::vector<bool> used_ = std::vector<bool>(65536);
  uint32_t count_ = 0;
};

std::vector<uint16_t> all_candidates(PortCandidates candidates) {
  std::vector<uint16_t> result;
  while (const auto port = candidates.next())
    result.push_back(*port);
  return result;
}

TEST(PortCandidates, StayInTheRangeAndNeverRepeat) {
  const RssTable rss = random_rss(8);
  std::mt19937_64 random(1);
  for (const PortRange range : {PortRange{}, PortRange{1024, 1024}, PortRange{1024, 1025},
                                PortRange{40000, 40099}, PortRange{1, 65535}}) {
    for (const RssTable* table : {static_cast<const RssTable*>(nullptr), &rss}) {
      for (int flow = 0; flow < 200; ++flow) {
        const auto ports = all_candidates(PortCandidates(random(), range, reply_to(table)));
        EXPECT_EQ(ports.size(), std::min(range.size(), PortCandidates::max_candidates));
        EXPECT_EQ(std::set(ports.begin(), ports.end()).size(), ports.size());
        for (const uint16_t port : ports) {
          ASSERT_GE(port, range.first);
          ASSERT_LE(port, range.last);
        }
      }
    }
  }
}

TEST(PortCandidates, AreTheSameForARepeatedSyn) {
  const RssTable rss = random_rss(4);
  EXPECT_EQ(all_candidates(PortCandidates(0x123456789abcdef0, {}, reply_to(&rss, 2))),
            all_candidates(PortCandidates(0x123456789abcdef0, {}, reply_to(&rss, 2))));
}

TEST(PortCandidates, ComeFirstFromTheOwnQueue) {
  const RssTable rss = random_rss(8);
  std::mt19937_64 random(2);
  for (uint16_t queue = 0; queue < 8; ++queue) {
    const ReplyTuple reply = reply_to(&rss, queue);
    PortCandidates candidates(random(), {}, reply);
    for (uint32_t i = 0; i < PortCandidates::max_own_queue_candidates; ++i) {
      const auto port = candidates.next();
      ASSERT_TRUE(port.has_value());
      EXPECT_TRUE(candidates.on_own_queue());
      EXPECT_EQ(queue_of_reply(rss, reply, *port), queue);
    }
    uint32_t elsewhere = 0;
    while (const auto port = candidates.next()) {
      EXPECT_EQ(candidates.on_own_queue(), queue_of_reply(rss, reply, *port) == queue);
      if (!candidates.on_own_queue()) ++elsewhere;
    }
    EXPECT_GT(elsewhere, 200);
  }
}

TEST(PortCandidates, SayThatNoQueueIsOwnWithoutRss) {
  PortCandidates candidates(1, {}, reply_to(nullptr));
  while (candidates.next())
    EXPECT_FALSE(candidates.on_own_queue());
}

TEST(PortCandidates, GoOnWhenNoReplyLandsOnTheOwnQueue) {
  const RssTable rss = random_rss(4);
  const auto ports = all_candidates(PortCandidates(99, {}, reply_to(&rss, 9)));
  EXPECT_EQ(ports.size(), PortCandidates::max_candidates);
}

TEST(PortCandidates, KeepNineteenOfTwentyOnTheOwnQueueWhilePortsArePlentiful) {
  for (const uint16_t queues : {2, 8, 64}) {
    const RssTable rss = random_rss(queues);
    std::mt19937_64 random(3);
    UsedPorts used;
    uint32_t own = 0;
    const uint32_t flows = default_ports / 2;
    for (uint32_t flow = 0; flow < flows; ++flow) {
      const auto queue = static_cast<uint16_t>(random() % queues);
      const ReplyTuple reply = reply_to(&rss, queue);
      const uint16_t port = used.take(PortCandidates(random(), {}, reply));
      ASSERT_NE(port, 0);
      if (queue_of_reply(rss, reply, port) == queue) ++own;
    }
    EXPECT_GE(own * 100, flows * 95) << queues << " queues";
  }
}

// Fills one (local address, backend) to 98 %, then keeps it there by closing and opening flows.
void expect_98_percent_usable(const RssTable* rss, uint16_t queues) {
  std::mt19937_64 random(4);
  UsedPorts used;
  std::vector<uint16_t> open;
  const auto take = [&] {
    const auto queue = static_cast<uint16_t>(random() % queues);
    return used.take(PortCandidates(random(), {}, reply_to(rss, queue)));
  };
  uint32_t failures_while_filling = 0;
  while (open.size() < default_ports * 98 / 100) {
    const uint16_t port = take();
    if (port != 0) {
      open.push_back(port);
    } else {
      ++failures_while_filling;
    }
  }
  EXPECT_LE(failures_while_filling, 2);

  constexpr uint32_t turnover = 20000;
  uint32_t failures = 0;
  for (uint32_t i = 0; i < turnover; ++i) {
    const size_t closing = random() % open.size();
    used.release(open[closing]);
    const uint16_t port = take();
    if (port == 0) {
      ++failures;
      used.use(open[closing]);  // keep it full
    } else {
      open[closing] = port;
    }
  }
  EXPECT_LE(failures * 1000, turnover) << failures << " failures";
}

TEST(PortCandidates, Use98PercentOfThePortsWithoutRss) {
  expect_98_percent_usable(nullptr, 1);
}

TEST(PortCandidates, Use98PercentOfThePortsFromManyQueues) {
  const RssTable rss = random_rss(8);
  expect_98_percent_usable(&rss, 8);
}

TEST(PortCandidates, Use98PercentOfThePortsFromOneOfManyQueues) {
  const RssTable rss = random_rss(16);
  std::mt19937_64 random(5);
  UsedPorts used;
  uint32_t failures = 0;
  while (used.count() < default_ports * 98 / 100) {
    if (used.take(PortCandidates(random(), {}, reply_to(&rss, 3))) == 0) ++failures;
  }
  EXPECT_LE(failures, 5);
}

}  // namespace
}  // namespace headgate::dataplane
