// The kernel's way to probe addresses.
#include "control/health/probe_route.h"

#include <memory>

#include <gtest/gtest.h>
#include <net/if.h>

#include "control/health/probe_networks.h"
#include "tests/e2e/namespaces.h"

namespace headgate::control {
namespace {

using test::Inside;
using test::NetNamespace;

class ProbeRouteTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    host.sh(
        "ip link add twin0 type veth peer name twin1; ip link set twin0 up; "
        "ip link set twin1 up; ip address add 10.1.0.1/24 dev twin0; "
        "ip address add fd00:1::1/64 dev twin0 nodad; ip route flush table main proto kernel "
        "dev twin1 || true");
    before = tables();
  }
  std::expected<ProbeRoute, Error> install(const std::vector<net::Prefix>& wanted) {
    const Inside inside(host.fd());
    return ProbeRoute::install(static_cast<int>(if_nametoindex("twin0")), "twin0", wanted);
  }
  std::string tables() {
    return host.sh("ip route show; ip -6 route show | grep -v fe80; ip neigh show nud permanent");
  }
  std::string way_to(const std::string& address) { return host.sh("ip route get " + address); }

  NetNamespace host;
  std::string before;
  const ProbeNetworks networks = default_probe_networks();
};

TEST_F(ProbeRouteTest, LeadsBothNetworksThroughTheTwinWithoutAsking) {
  const auto route = install({networks.v4, networks.v6});
  ASSERT_TRUE(route) << route.error().text;
  EXPECT_NE(way_to("198.19.4.4").find("via 198.18.0.1 dev twin0 src 10.1.0.1"), std::string::npos)
      << way_to("198.19.4.4");
  EXPECT_NE(way_to("fd68:6561:6c74::9").find("via fd68:6561:6c74::1 dev twin0"), std::string::npos)
      << way_to("fd68:6561:6c74::9");
  EXPECT_NE(tables().find("198.18.0.1 dev twin0 lladdr 02:68:65:61:6c:74"), std::string::npos)
      << tables();
}

TEST_F(ProbeRouteTest, TakesAwayWhatItPutThere) {
  {
    auto route = install({networks.v4, networks.v6});
    ASSERT_TRUE(route) << route.error().text;
    const ProbeRoute moved = std::move(*route);
    EXPECT_NE(tables(), before);
  }
  EXPECT_EQ(tables(), before);
}

TEST_F(ProbeRouteTest, LeavesANetworkThatIsInUseAndSaysSo) {
  host.sh("ip route add 198.18.0.0/15 via 10.1.0.9");
  before = tables();
  const auto route = install({networks.v6, networks.v4});
  ASSERT_FALSE(route);
  EXPECT_NE(route.error().text.find("twin0: route to the probe network 198.18.0.0/15: "),
            std::string::npos)
      << route.error().text;
  EXPECT_NE(route.error().text.find("choose a network that is not in use"), std::string::npos);
  EXPECT_EQ(tables(), before);
}

}  // namespace
}  // namespace headgate::control
