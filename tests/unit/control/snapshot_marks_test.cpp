// Firewall marks in the snapshot: which packet bears which mark, by the rules as a file says them.
#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/marks.h"
#include "dataplane/net/headers.h"
#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

using dataplane::MarkedFlow;

config::MarkRule rule(uint32_t mark, std::string_view destination,
                      std::vector<config::PortRange> ports = {}) {
  config::MarkRule result;
  result.mark = mark;
  result.destination = prefix(destination);
  result.ports = std::move(ports);
  return result;
}

config::Service marked_service(uint32_t mark, net::Family family = net::Family::ipv4) {
  config::Service service;
  service.firewall_mark = mark;
  service.family = family;
  service.backends = {make_backend(family == net::Family::ipv4 ? "10.1.0.11" : "fd01::11", 0)};
  return service;
}

MarkedFlow flow(std::string_view source, std::string_view destination, uint16_t port,
                uint8_t protocol = net::protocol_tcp) {
  return {ip(source), ip(destination), net::be16::from_host(port), protocol};
}

// The rules as they are written, asked one after the other.
uint32_t mark_by_file(const std::vector<config::MarkRule>& rules, const MarkedFlow& flow) {
  const uint16_t port = flow.destination_port.host();
  for (const config::MarkRule& rule : rules) {
    const bool port_fits =
        rule.ports.empty() || std::ranges::any_of(rule.ports, [&](const config::PortRange& range) {
          return range.first <= port && port <= range.last;
        });
    const bool protocol_fits =
        !rule.protocol || static_cast<uint8_t>(*rule.protocol) == flow.protocol;
    if (port_fits && protocol_fits && rule.destination.contains(flow.destination) &&
        (!rule.source || rule.source->contains(flow.source))) {
      return rule.mark;
    }
  }
  return 0;
}

class SnapshotMarks : public testing::Test {
 protected:
  SnapshotMarks() { fixture_.apply_kernel(two_networks()); }
  [[nodiscard]] uint32_t mark(const MarkedFlow& flow) const {
    return dataplane::mark_of(fixture_.region(), fixture_.root(), flow);
  }
  [[nodiscard]] const dataplane::ServiceBlock* service(const MarkedFlow& flow) const {
    return dataplane::service_by_mark(fixture_.region(), fixture_.root(), flow);
  }

  SnapshotFixture fixture_;
  config::Config config_;
};

TEST_F(SnapshotMarks, NothingIsMarkedWithoutRules) {
  fixture_.apply_config(config_);
  EXPECT_FALSE(dataplane::has_marks(fixture_.root()));
  EXPECT_EQ(mark(flow("198.51.100.1", "192.0.2.1", 80)), 0U);
}

TEST_F(SnapshotMarks, TheFirstRuleThatFitsCountsWhetherItNamesAnAddressOrANetwork) {
  config_.firewall_marks = {rule(1, "192.0.2.1", {{80, 80}, {8000, 8099}}),
                            rule(2, "192.0.2.0/24", {{443, 443}}), rule(3, "192.0.2.1"),
                            rule(4, "0.0.0.0/0"), rule(5, "192.0.2.9")};
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.root().mark_rules.count, 6U) << "one for each range";
  EXPECT_EQ(fixture_.root().mark_networks, 2U);
  EXPECT_EQ(mark(flow("198.51.100.1", "192.0.2.1", 8050)), 1U);
  EXPECT_EQ(mark(flow("198.51.100.1", "192.0.2.1", 443)), 2U);
  EXPECT_EQ(mark(flow("198.51.100.1", "192.0.2.1", 22)), 3U);
  EXPECT_EQ(mark(flow("198.51.100.1", "192.0.2.2", 22)), 4U);
  EXPECT_EQ(mark(flow("198.51.100.1", "192.0.2.9", 22)), 4U) << "a network's rule comes before";
  EXPECT_EQ(mark(flow("2001:db8::1", "2001:db8::2", 80)), 0U) << "another family";
}

TEST_F(SnapshotMarks, LeadToTheServiceOfTheirMarkAndFamily) {
  config_.firewall_marks = {rule(7, "192.0.2.1"), rule(7, "2001:db8:9::1"), rule(8, "192.0.2.2")};
  config_.services = {marked_service(7), marked_service(7, net::Family::ipv6)};
  fixture_.apply_config(config_);
  const auto* four = service(flow("198.51.100.1", "192.0.2.1", 80));
  const auto* six = service(flow("2001:db8::1", "2001:db8:9::1", 80));
  ASSERT_NE(four, nullptr);
  ASSERT_NE(six, nullptr);
  EXPECT_EQ(four->vip.family, net::Family::ipv4);
  EXPECT_EQ(six->vip.family, net::Family::ipv6);
  EXPECT_EQ(service(flow("198.51.100.1", "192.0.2.2", 80)), nullptr) << "a mark without a service";
}

TEST_F(SnapshotMarks, ASingleAddressIsAVipForAsLongAsItsMarkHasAService) {
  config_.firewall_marks = {rule(7, "192.0.2.1"), rule(8, "192.0.2.2"), rule(7, "192.0.3.0/24")};
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.address_flags("192.0.2.1"), 0);
  config_.services = {marked_service(7)};
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.address_flags("192.0.2.1"), dataplane::address_vip);
  EXPECT_EQ(fixture_.address_flags("192.0.2.2"), 0);
  EXPECT_EQ(fixture_.address_flags("192.0.3.0"), 0) << "a network is routed here, not answered for";
  config_.services[0] = marked_service(8);
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.address_flags("192.0.2.2"), dataplane::address_vip);
  config_.firewall_marks.clear();
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.address_flags("192.0.2.2"), 0);
  EXPECT_FALSE(dataplane::has_marks(fixture_.root()));
}

TEST_F(SnapshotMarks, AreSharedByChangesThatAreNotAboutThem) {
  config_.firewall_marks = {rule(7, "192.0.2.1"), rule(8, "192.0.3.0/24")};
  config_.services = {marked_service(7)};
  fixture_.apply_config(config_);
  const auto rules = fixture_.root().mark_rules;
  const auto slots = fixture_.root().mark_slots;
  config_.services[0].backends[0].weight = 5;
  fixture_.apply_config(config_);
  EXPECT_EQ(fixture_.root().mark_rules, rules);
  EXPECT_EQ(fixture_.root().mark_slots, slots);
  std::swap(config_.firewall_marks[0], config_.firewall_marks[1]);
  fixture_.apply_config(config_);
  EXPECT_NE(fixture_.root().mark_rules, rules);
}

TEST(Marks, StandInThePlaceOfAnAddress) {
  for (const net::Family family : {net::Family::ipv4, net::Family::ipv6}) {
    for (const uint32_t mark : {1U, 7U, 0x01020304U, 0xffffffffU}) {
      EXPECT_EQ(dataplane::mark_of_address(dataplane::address_of_mark(mark, family)), mark);
    }
  }
  EXPECT_EQ(dataplane::address_of_mark(7, net::Family::ipv4), ip("0.0.0.7"));
  EXPECT_EQ(dataplane::address_of_mark(7, net::Family::ipv6), ip("::7"));
}

// Few addresses, ports and networks, so that rules overlap in every way.
class RandomMarks {
 public:
  explicit RandomMarks(uint32_t seed) : random_(seed) {}

  net::IpAddress address(bool v6) {
    const std::string low = std::to_string(number(4));
    const std::string high = std::to_string(number(2));
    return ip(v6 ? "2001:db8:" + high + "::" + low : "192.0." + high + "." + low);
  }
  config::MarkRule rule() {
    const bool v6 = number(3) == 0;
    config::MarkRule result;
    result.mark = number(5) + 1;
    result.destination = network(v6);
    if (number(2) == 0) result.source = network(v6);
    if (number(2) == 0) {
      result.protocol = number(2) == 0 ? config::Protocol::tcp : config::Protocol::udp;
    }
    for (uint32_t ranges = number(3); ranges > 0; --ranges) {
      const auto first = static_cast<uint16_t>(number(6));
      result.ports.push_back({first, static_cast<uint16_t>(first + number(3))});
    }
    return result;
  }
  MarkedFlow flow() {
    const bool v6 = number(3) == 0;
    return {address(v6), address(v6), net::be16::from_host(static_cast<uint16_t>(number(8))),
            number(2) == 0 ? net::protocol_tcp : net::protocol_udp};
  }
  uint32_t number(uint32_t below) { return std::uniform_int_distribution(0U, below - 1)(random_); }

 private:
  net::Prefix network(bool v6) {
    const net::IpAddress base = address(v6);
    static constexpr uint8_t lengths[2][4] = {{32, 24, 30, 0}, {128, 48, 126, 0}};
    const uint8_t length = number(2) == 0 ? base.bits() : lengths[v6][number(4)];
    return {net::masked(base, length), length};
  }

  std::mt19937 random_;
};

TEST_F(SnapshotMarks, EveryPacketHasTheMarkOfTheFirstRuleInTheFile) {
  uint32_t marked = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    RandomMarks random(seed);
    config_.firewall_marks.clear();
    for (uint32_t i = random.number(30); i > 0; --i)
      config_.firewall_marks.push_back(random.rule());
    fixture_.apply_config(config_);
    for (uint32_t i = 0; i < 500; ++i) {
      const MarkedFlow packet = random.flow();
      const uint32_t wanted = mark_by_file(config_.firewall_marks, packet);
      ASSERT_EQ(mark(packet), wanted)
          << "seed " << seed << ": " << net::to_string(packet.source) << " to "
          << net::endpoint_to_string(packet.destination, packet.destination_port.host());
      marked += wanted != 0 ? 1 : 0;
    }
  }
  EXPECT_GT(marked, 5000U);
  EXPECT_LT(marked, 29000U);
}

}  // namespace
}  // namespace headgate::test
