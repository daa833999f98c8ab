// What a port is set up with, by what its device claims. Ports that carry frames are in
// tests/e2e/dataplane/port_test.cpp.
#include "dataplane/port.h"

#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/fake_nic.h"
#include "tests/unit/dataplane/eal_environment.h"

namespace headgate::dataplane {
namespace {

using test::FakeNic;
using test::NicClaims;

constexpr uint64_t all_rx = ~uint64_t{0};

std::vector<uint8_t> key_of(size_t bytes, uint8_t first) {
  std::vector<uint8_t> key(bytes);
  std::iota(key.begin(), key.end(), first);
  return key;
}

// What the NICs that headgate is for claim of RSS.
NicClaims rss_claims() {
  return {.rss_hash = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP,
          .key = key_of(40, 1)};
}

class NicPort : public testing::Test {
 protected:
  void SetUp() override { need_eal(); }
  void TearDown() override {
    port.reset();
    nic.reset();
    pool.reset();
  }

  void start(NicClaims claims, uint16_t queues = 1, PortOptions options = {.kind = PortKind::pci}) {
    static int number = 0;
    nic = std::make_unique<FakeNic>("nic" + std::to_string(number++), queues, std::move(claims));
    options.name = "wan";
    options.device = nic->device();
    options.queues = queues;
    auto opened = Port::open(options);
    ASSERT_TRUE(opened) << opened.error().text();
    port = std::move(*opened);
    auto made = make_pool({.name = "nic", .mbufs = 1023, .buffer_size = port->buffer_size()});
    ASSERT_TRUE(made) << made.error().text();
    pool = std::move(*made);
    const PortLimits limits[] = {port->limits()};
    const auto started = port->start(plan_queues(queues, limits).ports[0], pool.get());
    ASSERT_TRUE(started) << started.error().text();
  }

  Pool pool;
  std::unique_ptr<FakeNic> nic;
  std::unique_ptr<Port> port;
};

TEST_F(NicPort, AsksForNothingWhereNothingIsClaimed) {
  start({}, 2);
  EXPECT_EQ(nic->configuration().rx_offloads, 0U);
  EXPECT_EQ(port->rx_offloads(), 0U);
  EXPECT_FALSE(nic->configuration().rss);
  EXPECT_EQ(nic->configuration().rss_hash, 0U);
  EXPECT_FALSE(port->rss().valid);
}

TEST_F(NicPort, HasIpv4HeadersVerifiedWhereTheNicCan) {
  start({.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM});
  EXPECT_EQ(nic->configuration().rx_offloads, uint64_t{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM});
  EXPECT_EQ(port->rx_offloads(), uint64_t{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM});
}

// Asked for TCP's and UDP's, virtio takes frames from its host whose checksums are unfinished.
TEST_F(NicPort, LeavesTheChecksumsOfTransportsAlone) {
  start({.rx_offloads = RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM |
                        RTE_ETH_RX_OFFLOAD_TCP_LRO});
  EXPECT_EQ(nic->configuration().rx_offloads, 0U);
}

TEST_F(NicPort, UsesNoOtherOffloadWhateverIsClaimed) {
  start({.rx_offloads = all_rx, .tx_offloads = all_rx}, 2);
  EXPECT_EQ(nic->configuration().rx_offloads, uint64_t{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM});
  EXPECT_EQ(nic->configuration().tx_queue_offloads, (std::vector<uint64_t>{0, 0}));
}

TEST_F(NicPort, SpreadsFlowsByTheHashesThatTheNicHas) {
  NicClaims claims = rss_claims();
  claims.rss_hash = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP |
                    RTE_ETH_RSS_L2_PAYLOAD;
  start(claims, 2);
  EXPECT_TRUE(nic->configuration().rss);
  EXPECT_EQ(nic->configuration().rss_hash,
            RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP);
  const RssInfo& rss = port->rss();
  EXPECT_TRUE(rss.valid);
  EXPECT_TRUE(rss.tcp4_ports);
  EXPECT_FALSE(rss.udp4_ports);
  EXPECT_FALSE(rss.tcp6_ports);
  EXPECT_TRUE(rss.udp6_ports);
}

TEST_F(NicPort, KnowsTheKeyAndTheTableOfTheNic) {
  NicClaims claims = rss_claims();
  claims.key = key_of(52, 7);
  // Larger than a group of ethdev's, and in no order.
  for (uint16_t i = 0; i < 512; ++i) {
    claims.reta.push_back(static_cast<uint16_t>((i * i / 3) % 2));
  }
  start(claims, 2);
  EXPECT_TRUE(nic->configuration().key.empty());
  EXPECT_TRUE(port->rss().valid);
  EXPECT_EQ(port->rss().key, claims.key);
  EXPECT_EQ(port->rss().reta, claims.reta);
}

TEST_F(NicPort, GivesTheNicTheKeyOfTheConfiguration) {
  const std::vector<uint8_t> key = key_of(40, 100);
  start(rss_claims(), 2, {.kind = PortKind::pci, .rss_key = key});
  EXPECT_EQ(nic->configuration().key, key);
  EXPECT_EQ(port->rss().key, key);
  EXPECT_TRUE(port->notes().empty());
}

TEST_F(NicPort, KeepsTheKeyOfANicThatWantsAnotherLength) {
  start(rss_claims(), 2, {.kind = PortKind::pci, .rss_key = key_of(52, 100)});
  EXPECT_TRUE(nic->configuration().key.empty());
  EXPECT_EQ(port->rss().key, key_of(40, 1));
  ASSERT_EQ(port->notes().size(), 1U);
  EXPECT_EQ(port->notes()[0], "wan: rss_key: the device wants 40 bytes; its own key is used");
}

TEST_F(NicPort, DoesNotSpreadOverOneQueue) {
  start(rss_claims(), 1);
  EXPECT_FALSE(nic->configuration().rss);
  EXPECT_FALSE(port->rss().valid);
}

// FULLNAT then takes any port, and replies find their connection on any worker.
TEST_F(NicPort, DoesNotGuessWhatTheNicDoesNotTell) {
  NicClaims claims = rss_claims();
  claims.tells_key = false;
  start(claims, 2);
  EXPECT_TRUE(nic->configuration().rss);
  EXPECT_FALSE(port->rss().valid);
  port.reset();
  nic.reset();
  pool.reset();

  claims = rss_claims();
  claims.tells_reta = false;
  start(claims, 2);
  EXPECT_TRUE(nic->configuration().rss);
  EXPECT_FALSE(port->rss().valid);
}

// Its driver would sum on our core, TAP's even whole frames.
TEST_F(NicPort, ASoftwarePortIsNotAskedToVerifyHeaders) {
  start({.rx_offloads = all_rx}, 1, {.kind = PortKind::vdev});
  EXPECT_EQ(nic->configuration().rx_offloads, 0U);
  EXPECT_EQ(port->rx_offloads(), 0U);
}

TEST_F(NicPort, PutsVirtualMacsIntoTheFiltersOfTheNic) {
  start({.mac_filters = 2});
  const net::MacAddress one = net::virtual_mac(net::Family::ipv4, 7);
  const net::MacAddress other = net::virtual_mac(net::Family::ipv6, 7);
  EXPECT_EQ(port->add_mac(one).value_or(""),
            "wan: virtual MACs are received by the filters of " + nic->device());
  ASSERT_TRUE(port->add_mac(other));
  EXPECT_EQ(nic->configuration().macs, (std::vector{one, other}));
  EXPECT_FALSE(nic->configuration().promiscuous);
  port->remove_mac(one);
  EXPECT_EQ(nic->configuration().macs, std::vector{other});
}

TEST_F(NicPort, IsPromiscuousForVirtualMacsThatHaveNoFilterAndOnlyForThem) {
  start({.mac_filters = 1});
  const auto mac = [](uint8_t vrid) { return net::virtual_mac(net::Family::ipv4, vrid); };
  ASSERT_TRUE(port->add_mac(mac(1)));
  EXPECT_EQ(port->add_mac(mac(2)).value_or(""),
            "wan: virtual MACs are received by promiscuous mode");
  ASSERT_TRUE(port->add_mac(mac(3)));
  EXPECT_TRUE(nic->configuration().promiscuous);
  port->remove_mac(mac(1));
  port->remove_mac(mac(2));
  EXPECT_TRUE(nic->configuration().promiscuous) << "for the third";
  port->remove_mac(mac(3));
  EXPECT_FALSE(nic->configuration().promiscuous);
}

TEST_F(NicPort, StaysPromiscuousWhereTheConfigurationSaysSo) {
  start({}, 1, {.kind = PortKind::pci, .promiscuous = true});
  const net::MacAddress mac = net::virtual_mac(net::Family::ipv4, 1);
  ASSERT_TRUE(port->add_mac(mac));
  port->remove_mac(mac);
  EXPECT_TRUE(nic->configuration().promiscuous);
}

TEST_F(NicPort, SaysThatAVirtualMacCannotBeReceived) {
  start({.promiscuous = false});
  const auto added = port->add_mac(net::virtual_mac(net::Family::ipv4, 1));
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().text().find("virtual_mac"), std::string::npos) << added.error().text();
}

}  // namespace
}  // namespace headgate::dataplane
