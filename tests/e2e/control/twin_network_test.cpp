// Addresses and routes of the configuration, in the kernel.
#include "control/twin_network.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include "tests/e2e/namespaces.h"

namespace headgate::control {
namespace {

using test::Inside;
using test::NetNamespace;

net::Prefix prefix(const char* text) {
  return net::parse_prefix(text).value();
}
net::IpAddress address(const char* text) {
  return net::parse_ip(text).value();
}

class Network : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    host.sh(
        "ip link add twin0 type veth peer name twin1; ip link set twin0 up; "
        "ip link set twin1 up");
    const Inside inside(host.fd());
    wanted.kernel_index = static_cast<int>(if_nametoindex("twin0"));
    wanted.name = "twin0";
    auto opened = TwinNetwork::open();
    ASSERT_TRUE(opened) << opened.error().text;
    network = std::make_unique<TwinNetwork>(std::move(*opened));
  }
  std::string routes() {
    return host.sh(
        "ip route show dev twin0; ip -6 route show dev twin0; "
        "ip route show type unreachable");
  }
  std::string addresses() { return host.sh("ip address show dev twin0"); }
  bool has_address(const char* text) { return addresses().find(text) != std::string::npos; }
  bool has_route(const char* text) { return routes().find(text) != std::string::npos; }

  NetNamespace host;
  TwinNetworkPart wanted;
  std::unique_ptr<TwinNetwork> network;
};

TEST_F(Network, PutsAddressesAndRoutesThere) {
  wanted.addresses = {prefix("192.0.2.1/24"), prefix("2001:db8::1/64")};
  wanted.routes = {
      {.to = prefix("0.0.0.0/0"), .via = address("10.9.9.9"), .source = {}, .metric = 40},
      {.to = prefix("10.9.9.0/24"), .via = {}, .source = address("192.0.2.1"), .metric = {}},
      {.to = prefix("::/0"), .via = address("2001:db8::fe"), .source = {}, .metric = {}},
      {.to = prefix("2001:db8:7::/48"), .via = {}, .source = {}, .metric = {}}};
  const auto errors = network->apply({wanted});
  EXPECT_TRUE(errors.empty()) << errors.front().text;
  EXPECT_TRUE(has_address("inet 192.0.2.1/24")) << addresses();
  EXPECT_TRUE(has_address("inet6 2001:db8::1/64 scope global nodad")) << addresses();
  EXPECT_EQ(addresses().find("tentative"), std::string::npos);
  EXPECT_TRUE(has_route("default via 10.9.9.9 proto static metric 40")) << routes();
  EXPECT_TRUE(has_route("10.9.9.0/24 proto static scope link src 192.0.2.1")) << routes();
  EXPECT_TRUE(has_route("default via 2001:db8::fe proto static")) << routes();
  EXPECT_TRUE(has_route("2001:db8:7::/48 proto static")) << routes();
}

TEST_F(Network, TakesAwayWhatItPutThereAndNothingElse) {
  wanted.addresses = {prefix("192.0.2.1/24"), prefix("192.0.2.3/24"), prefix("2001:db8::1/64")};
  wanted.routes = {
      {.to = prefix("10.1.0.0/16"), .via = address("192.0.2.254"), .source = {}, .metric = {}}};
  EXPECT_TRUE(network->apply({wanted}).empty());
  host.sh("ip address add 192.0.2.9/24 dev twin0; ip route add 10.2.0.0/16 via 192.0.2.254");
  wanted.addresses = {prefix("192.0.2.3/24")};
  wanted.routes = {
      {.to = prefix("10.3.0.0/16"), .via = address("192.0.2.254"), .source = {}, .metric = {}}};
  host.sh("echo 1 >/proc/sys/net/ipv4/conf/twin0/promote_secondaries");
  const auto errors = network->apply({wanted});
  EXPECT_TRUE(errors.empty()) << errors.front().text;
  EXPECT_FALSE(has_address("192.0.2.1/24"));
  EXPECT_FALSE(has_address("2001:db8::1/64"));
  EXPECT_TRUE(has_address("192.0.2.3/24"));
  EXPECT_TRUE(has_address("192.0.2.9/24"));
  EXPECT_FALSE(has_route("10.1.0.0/16"));
  EXPECT_TRUE(has_route("10.2.0.0/16"));
  EXPECT_TRUE(has_route("10.3.0.0/16"));
}

TEST_F(Network, CanBeAppliedTwiceAndMendsWhatIsMissing) {
  wanted.addresses = {prefix("192.0.2.1/24")};
  wanted.routes = {
      {.to = prefix("10.1.0.0/16"), .via = address("192.0.2.254"), .source = {}, .metric = {}}};
  EXPECT_TRUE(network->apply({wanted}).empty());
  host.sh("ip address del 192.0.2.1/24 dev twin0");
  EXPECT_FALSE(has_route("10.1.0.0/16"));
  EXPECT_TRUE(network->apply({wanted}).empty());
  EXPECT_TRUE(has_address("192.0.2.1/24"));
  EXPECT_TRUE(has_route("10.1.0.0/16"));
}

TEST_F(Network, NeverTakesAnOperatorsOwnAddress) {
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  wanted.addresses = {prefix("192.0.2.1/24")};
  EXPECT_TRUE(network->apply({wanted}).empty());
  wanted.addresses.clear();
  EXPECT_TRUE(network->apply({wanted}).empty());
  EXPECT_TRUE(has_address("192.0.2.1/24"));
}

TEST_F(Network, NamesEachThingThatTheKernelRefuses) {
  wanted.addresses = {prefix("192.0.2.1/24")};
  wanted.routes = {
      {.to = prefix("10.1.0.0/16"), .via = address("203.0.113.1"), .source = {}, .metric = {}},
      {.to = prefix("10.2.0.0/16"), .via = address("192.0.2.254"), .source = {}, .metric = {}}};
  const auto errors = network->apply({wanted});
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].text.find("twin0: route to 10.1.0.0/16 via 203.0.113.1: "), std::string::npos)
      << errors[0].text;
  EXPECT_NE(errors[0].text.find("is the gateway in a network of the twin's addresses?"),
            std::string::npos);
  EXPECT_TRUE(has_route("10.2.0.0/16"));  // the others are there
}

}  // namespace
}  // namespace headgate::control
