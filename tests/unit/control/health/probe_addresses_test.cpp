#include "control/health/probe_addresses.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/support/snapshot_fixture.h"

namespace headgate::control {
namespace {

using std::chrono::seconds;
using test::ip;

const ProbeAddresses::Clock::time_point start{};

config::ServiceKey service(const char* vip, uint16_t port = 80) {
  return {.family = ip(vip).family,
          .protocol = 6,
          .port = port,
          .firewall_mark = 0,
          .address = ip(vip)};
}
config::BackendKey backend(uint32_t number) {
  return {net::Ipv4Address::from_host(0x0a000000 + number), 80};
}
ProbeNetworks small() {
  return {net::parse_prefix("198.18.0.0/29").value(), net::parse_prefix("fd00::/125").value()};
}
const auto known = [](const config::ServiceKey&, const config::BackendKey& key) {
  return std::optional<uint32_t>(key.address.v4().host() & 0xff);
};

TEST(ProbeAddresses, EachBackendOfEachServiceHasItsOwnOfTheVipsFamily) {
  ProbeAddresses addresses;
  EXPECT_EQ(addresses.use(service("192.0.2.1"), backend(1), start), ip("198.18.0.2"));
  EXPECT_EQ(addresses.use(service("192.0.2.1"), backend(2), start), ip("198.18.0.3"));
  EXPECT_EQ(addresses.use(service("192.0.2.2"), backend(1), start), ip("198.18.0.4"));
  EXPECT_EQ(addresses.use(service("192.0.2.1", 81), backend(1), start), ip("198.18.0.5"));
  EXPECT_EQ(addresses.use(service("2001:db8::1"), backend(1), start), ip("fd68:6561:6c74::2"));
  EXPECT_EQ(addresses.use(service("192.0.2.1"), backend(1), start), ip("198.18.0.2"));
  EXPECT_EQ(probe_gateway(default_probe_networks().v4), ip("198.18.0.1"));
  EXPECT_EQ(probe_gateway(default_probe_networks().v6), ip("fd68:6561:6c74::1"));
}

TEST(ProbeAddresses, AServiceWithoutAnAddressIsToldWhatToDo) {
  ProbeAddresses addresses;
  const config::ServiceKey mark{.family = net::Family::ipv4, .firewall_mark = 6, .address = {}};
  const auto refused = addresses.use(mark, backend(1), start);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("mark:6/ipv4: has no address"), std::string::npos);
  EXPECT_TRUE(addresses.empty());
}

TEST(ProbeAddresses, AnAddressStaysForAMinuteAndThenIsAnothersOnes) {
  ProbeAddresses addresses(small());
  std::set<net::IpAddress> all;
  for (uint32_t i = 0; i < 5; ++i)
    all.insert(*addresses.use(service("192.0.2.1"), backend(i), start));
  EXPECT_EQ(all.size(), 5U);
  EXPECT_FALSE(all.contains(ip("198.18.0.1")));
  EXPECT_FALSE(all.contains(ip("198.18.0.7"))) << "broadcast";
  const auto full = addresses.use(service("192.0.2.1"), backend(9), start);
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().text.find("198.18.0.0/29"), std::string::npos);

  addresses.release(service("192.0.2.1"), backend(3), start);
  EXPECT_FALSE(addresses.use(service("192.0.2.1"), backend(9), start + seconds(59)));
  EXPECT_EQ(addresses.use(service("192.0.2.1"), backend(3), start + seconds(59)), ip("198.18.0.5"))
      << "it is as it was";
  addresses.release(service("192.0.2.1"), backend(3), start + seconds(60));
  EXPECT_FALSE(addresses.use(service("192.0.2.1"), backend(9), start + seconds(119)))
      << "the minute runs from the last release";
  EXPECT_EQ(addresses.use(service("192.0.2.1"), backend(9), start + seconds(120)),
            ip("198.18.0.5"));
  EXPECT_FALSE(addresses.use(service("192.0.2.1"), backend(3), start + seconds(120)));
}

TEST(ProbeAddresses, TwoChecksOfABackendShareItUntilBothAreGone) {
  ProbeAddresses addresses;
  EXPECT_TRUE(addresses.use(service("192.0.2.1"), backend(1), start));
  EXPECT_TRUE(addresses.use(service("192.0.2.1"), backend(1), start));
  addresses.release(service("192.0.2.1"), backend(1), start);
  EXPECT_FALSE(addresses.empty());
  addresses.release(service("192.0.2.1"), backend(1), start);
  EXPECT_TRUE(addresses.empty());
  addresses.release(service("192.0.2.1"), backend(1), start);
  EXPECT_TRUE(addresses.empty()) << "nobody releases twice";
}

TEST(ProbeAddresses, TheTableHoldsWhatIsUsedOrWasAMomentAgo) {
  ProbeAddresses addresses;
  EXPECT_TRUE(addresses.use(service("2001:db8::1", 443), backend(4), start));
  EXPECT_TRUE(addresses.use(service("192.0.2.1"), backend(2), start));
  EXPECT_TRUE(addresses.use(service("192.0.2.1"), backend(1), start));
  addresses.release(service("192.0.2.1"), backend(1), start);
  const auto table = addresses.table(known);
  ASSERT_EQ(table->entries.size(), 3U);
  EXPECT_TRUE(std::ranges::is_sorted(table->entries, {}, &dataplane::ProbeEntry::address));
  const dataplane::ProbeEntry* entry = table->find(ip("fd68:6561:6c74::2"));
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(*entry, (dataplane::ProbeEntry{ip("fd68:6561:6c74::2"), ip("2001:db8::1"),
                                           net::be16::from_host(443), 6, 4}));
  EXPECT_EQ(table->find(ip("198.18.0.2"))->backend_id, 2U);
  EXPECT_EQ(table->find(ip("198.18.0.3"))->backend_id, 1U);
  EXPECT_EQ(table->find(ip("198.18.0.4")), nullptr);
  EXPECT_TRUE(table->holds(ip("198.19.255.255")));
  EXPECT_TRUE(table->holds(ip("fd68:6561:6c74:1::")));
  EXPECT_FALSE(table->holds(ip("198.20.0.0")));
  const auto unknown = [](const config::ServiceKey&, const config::BackendKey&) {
    return std::optional<uint32_t>();
  };
  EXPECT_TRUE(addresses.table(unknown)->entries.empty());
}

TEST(ProbeAddresses, AProbeComesFromOurAddressTowardsTheBackend) {
  test::SnapshotFixture fixture;
  config::Config config;
  config.services = {test::make_service("192.0.2.1", 80, config::Mode::dr, {"10.2.0.11"})};
  fixture.apply_kernel(test::two_networks());
  fixture.apply_config(config);
  const uint32_t id = fixture.backend(config.services[0], config.services[0].backends[0])->id;
  const auto source = [&](uint32_t of, net::Family family) {
    return probe_source(fixture.region(), fixture.root(), of, family);
  };
  EXPECT_EQ(source(id, net::Family::ipv4), ip("10.2.0.1"));
  EXPECT_EQ(source(id, net::Family::ipv6), std::nullopt);
  EXPECT_EQ(source(id + 1, net::Family::ipv4), std::nullopt);
}

}  // namespace
}  // namespace headgate::control
