// KernelMirror against the kernel itself.
#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>
#include <net/if.h>

#include "control/netlink.h"
#include "tests/e2e/namespaces.h"

namespace headgate::control {
namespace {

using test::eventually;
using test::Inside;
using test::NetNamespace;
using Clock = KernelMirror::Clock;

net::Prefix prefix(const char* text) {
  return net::parse_prefix(text).value();
}
net::IpAddress address(const char* text) {
  return net::parse_ip(text).value();
}

// A veth pair twin0 -- far0 between two namespaces, and a second interface twin1.
class Mirror : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    host.sh(
        "ip link add twin0 address 02:00:00:00:00:01 mtu 1400 type veth peer name far0 "
        "address 02:00:00:00:00:02 netns " +
        far.path());
    host.sh("ip link add twin1 type veth peer name other");
    host.sh("ip link add mgmt type veth peer name mgmt0");
    for (const char* link : {"twin0", "twin1", "other", "mgmt", "mgmt0"}) {
      host.sh(std::string("ip link set up dev ") + link);
    }
    far.sh("ip link set far0 up");
    far.sh("ip address add 192.0.2.2/24 dev far0; ip address add 2001:db8::2/64 dev far0");
  }
  // After the addresses are there, or before, as the test likes.
  void open() {
    const Inside inside(host.fd());
    const int indexes[] = {static_cast<int>(if_nametoindex("twin0")), 0,
                           static_cast<int>(if_nametoindex("twin1"))};
    auto opened = KernelMirror::open(indexes);
    ASSERT_TRUE(opened) << opened.error().text;
    mirror = std::move(*opened);
  }
  KernelParts poll_all() {
    seen |= mirror->poll(Clock::now());
    return seen;
  }
  bool until(const std::function<bool()>& condition,
             std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    return eventually(
        [&] {
          poll_all();
          return condition();
        },
        patience);
  }
  const KernelState& state() { return mirror->state(); }
  const KernelRoute* route(const char* text) {
    const auto found = std::ranges::find(state().routes, prefix(text), &KernelRoute::prefix);
    return found == state().routes.end() ? nullptr : &*found;
  }
  const KernelNeighbour* neighbour(const char* text) {
    const auto found =
        std::ranges::find(state().neighbours, address(text), &KernelNeighbour::address);
    return found == state().neighbours.end() ? nullptr : &*found;
  }
  bool has_address(uint16_t interface, const char* text) {
    return std::ranges::any_of(state().addresses, [&](const KernelAddress& held) {
      return held.interface == interface && held.prefix == prefix(text);
    });
  }

  NetNamespace host;
  NetNamespace far;
  std::unique_ptr<KernelMirror> mirror;
  KernelParts seen;
};

TEST_F(Mirror, IsCompleteWhenItOpens) {
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  host.sh("ip address add 2001:db8::1/64 dev twin0");
  host.sh("ip address add 198.51.100.7/32 dev lo");
  host.sh("ip route add default via 192.0.2.254");
  host.sh("ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:fe dev twin0");
  open();
  ASSERT_EQ(state().interfaces.size(), 3U);
  EXPECT_EQ(state().interfaces[0].name, "twin0");
  EXPECT_EQ(state().interfaces[0].mac, net::parse_mac("02:00:00:00:00:01"));
  EXPECT_EQ(state().interfaces[0].mtu, 1400);
  EXPECT_TRUE(state().interfaces[0].up);
  EXPECT_EQ(state().interfaces[1].kernel_index, 0);
  EXPECT_EQ(state().interfaces[2].name, "twin1");
  EXPECT_TRUE(has_address(0, "192.0.2.1/24"));
  EXPECT_TRUE(has_address(0, "2001:db8::1/64"));
  EXPECT_TRUE(has_address(foreign_interface, "198.51.100.7/32"));
  ASSERT_NE(route("0.0.0.0/0"), nullptr);
  EXPECT_EQ(route("0.0.0.0/0")->hops[0].gateway, address("192.0.2.254"));
  EXPECT_EQ(route("0.0.0.0/0")->hops[0].interface, 0);
  ASSERT_NE(route("192.0.2.0/24"), nullptr);
  EXPECT_EQ(route("192.0.2.0/24")->hops[0].gateway.family, net::Family::none);
  EXPECT_EQ(route("192.0.2.0/24")->source, address("192.0.2.1"));
  ASSERT_NE(neighbour("192.0.2.254"), nullptr);
  EXPECT_EQ(neighbour("192.0.2.254")->mac, net::parse_mac("02:00:00:00:00:fe"));
  EXPECT_EQ(neighbour("192.0.2.254")->interface, 0);
  EXPECT_FALSE(mirror->poll(Clock::now()).any());
}

TEST_F(Mirror, FollowsAddressesAndLinks) {
  open();
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  EXPECT_TRUE(until([&] { return has_address(0, "192.0.2.1/24"); }));
  EXPECT_TRUE(seen.links);
  host.sh("ip address add 192.0.2.9/24 dev twin0; ip address del 192.0.2.1/24 dev twin0");
  EXPECT_TRUE(until([&] { return !has_address(0, "192.0.2.1/24"); }));
  host.sh("ip link set twin1 down; ip link set twin1 mtu 1280");
  EXPECT_TRUE(
      until([&] { return !state().interfaces[2].up && state().interfaces[2].mtu == 1280; }));
  host.sh("ip link delete twin1");
  EXPECT_TRUE(until([&] { return state().interfaces[2].kernel_index == 0; }));
}

TEST_F(Mirror, KnowsEveryKindOfRoute) {
  host.sh("ip address add 192.0.2.1/24 dev twin0; ip address add 203.0.113.1/24 dev twin1");
  host.sh("ip address add 2001:db8::1/64 dev twin0; ip address add 10.255.0.1/24 dev mgmt");
  open();
  host.sh("ip route add 10.1.0.0/16 via 192.0.2.254 src 192.0.2.1 mtu 1300");
  host.sh("ip route add unreachable 10.2.0.0/16");
  host.sh("ip route add prohibit 10.3.0.0/16");
  host.sh("ip route add blackhole 10.4.0.0/16");
  host.sh("ip route add local 10.5.0.0/16 dev lo");
  host.sh(
      "ip route add 10.6.0.0/16 nexthop via 10.255.0.254 weight 3 nexthop via 192.0.2.7 "
      "nexthop via 203.0.113.7 weight 5");
  host.sh("ip -6 route add 2001:db8:1::/48 via 2001:db8::fe");
  host.sh("ip -6 route add blackhole 2001:db8:2::/48");
  host.sh("ip route add 10.7.0.0/16 via inet6 2001:db8::fe dev twin0");
  host.sh("ip route add 10.8.0.0/16 via 192.0.2.254 table 100");  // policy: not for workers
  ASSERT_TRUE(until([&] { return route("10.7.0.0/16") != nullptr; }));
  EXPECT_EQ(route("10.1.0.0/16")->source, address("192.0.2.1"));
  EXPECT_EQ(route("10.1.0.0/16")->mtu, 1300U);
  EXPECT_EQ(route("10.2.0.0/16")->kind, KernelRouteKind::unreachable);
  EXPECT_EQ(route("10.3.0.0/16")->kind, KernelRouteKind::prohibited);
  EXPECT_EQ(route("10.4.0.0/16")->kind, KernelRouteKind::blackhole);
  EXPECT_EQ(route("10.5.0.0/16")->kind, KernelRouteKind::local);
  const auto& hops = route("10.6.0.0/16")->hops;
  ASSERT_EQ(hops.size(), 3U);
  EXPECT_EQ(hops[0], (KernelNextHop{0, address("192.0.2.7"), 1}));
  EXPECT_EQ(hops[1], (KernelNextHop{2, address("203.0.113.7"), 5}));
  EXPECT_EQ(hops[2], (KernelNextHop{foreign_interface, address("10.255.0.254"), 3}));
  EXPECT_EQ(route("2001:db8:1::/48")->hops[0].gateway, address("2001:db8::fe"));
  EXPECT_EQ(route("2001:db8:2::/48")->kind, KernelRouteKind::blackhole);
  EXPECT_EQ(route("10.7.0.0/16")->hops[0].gateway, address("2001:db8::fe"));
  EXPECT_EQ(route("10.8.0.0/16"), nullptr);
}

TEST_F(Mirror, TakesTheLowestMetricAndPrefersOurInterfaces) {
  host.sh("ip address add 192.0.2.1/24 dev twin0; ip address add 10.255.0.1/24 dev mgmt");
  host.sh("ip route add default via 192.0.2.30 metric 300");
  open();
  EXPECT_EQ(route("0.0.0.0/0")->hops[0].gateway, address("192.0.2.30"));
  host.sh("ip route add default via 192.0.2.20 metric 200");
  EXPECT_TRUE(until([&] { return route("0.0.0.0/0")->metric == 200; }));
  host.sh("ip route add default via 10.255.0.254 metric 50");
  host.sh("ip route add 10.9.0.0/16 via 10.255.0.254");
  ASSERT_TRUE(until([&] { return route("10.9.0.0/16") != nullptr; }));
  EXPECT_EQ(route("0.0.0.0/0")->metric, 200U);
  EXPECT_EQ(route("10.9.0.0/16")->hops[0].interface, foreign_interface);
  host.sh("ip route del default via 192.0.2.20");
  EXPECT_TRUE(until([&] { return route("0.0.0.0/0")->metric == 300; }));
}

TEST_F(Mirror, ForgetsTheRoutesOfALinkThatGoesDown) {
  host.sh("ip address add 192.0.2.1/24 dev twin0; ip route add default via 192.0.2.254");
  open();
  EXPECT_NE(route("0.0.0.0/0"), nullptr);
  host.sh("ip link set twin0 down");
  EXPECT_TRUE(until([&] { return route("0.0.0.0/0") == nullptr; }));
  EXPECT_TRUE(seen.routes);
}

TEST_F(Mirror, ResolvesNeighboursOfBothFamilies) {
  host.sh("ip address add 192.0.2.1/24 dev twin0; ip address add 2001:db8::1/64 dev twin0");
  open();
  EXPECT_EQ(neighbour("192.0.2.2"), nullptr);
  mirror->resolve({0, address("192.0.2.2")}, Clock::now());
  mirror->resolve({0, address("2001:db8::2")}, Clock::now());
  EXPECT_TRUE(until(
      [&] { return neighbour("192.0.2.2") != nullptr && neighbour("2001:db8::2") != nullptr; }));
  EXPECT_EQ(neighbour("192.0.2.2")->mac, net::parse_mac("02:00:00:00:00:02"));
  EXPECT_EQ(neighbour("2001:db8::2")->mac, net::parse_mac("02:00:00:00:00:02"));
}

TEST_F(Mirror, SaysThatNeighboursChangedOnlyWhenAMacDid) {
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  host.sh("ip neigh add 192.0.2.50 lladdr 02:00:00:00:00:50 dev twin0 nud reachable");
  open();
  const auto settle = [&] {
    const auto end = Clock::now() + std::chrono::milliseconds(60);
    seen = {};
    eventually([&] {
      poll_all();
      return Clock::now() > end;
    });
  };
  host.sh("ip neigh replace 192.0.2.50 lladdr 02:00:00:00:00:50 dev twin0 nud stale");
  settle();
  EXPECT_FALSE(seen.neighbours);
  host.sh("ip neigh replace 192.0.2.50 lladdr 02:00:00:00:00:51 dev twin0 nud stale");
  settle();
  EXPECT_TRUE(seen.neighbours);
  EXPECT_EQ(neighbour("192.0.2.50")->mac, net::parse_mac("02:00:00:00:00:51"));
  host.sh("ip neigh replace 192.0.2.50 dev twin0 nud failed");
  settle();
  EXPECT_TRUE(seen.neighbours);
  EXPECT_EQ(neighbour("192.0.2.50"), nullptr);
}

TEST_F(Mirror, KeepsNeighboursFreshThatOnlyWorkersUse) {
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  host.sh("echo 1 >/proc/sys/net/ipv4/neigh/twin0/delay_first_probe_time");
  open();
  const NeighbourKey wanted[] = {{0, address("192.0.2.2")}};
  mirror->keep_fresh(wanted, Clock::now());
  ASSERT_TRUE(until([&] { return neighbour("192.0.2.2") != nullptr; }));
  host.sh("ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev twin0 nud stale");
  const auto is = [&](const char* nud) {
    return host.sh("ip neigh show dev twin0 nud " + std::string(nud)).find("192.0.2.2") !=
           std::string::npos;
  };
  mirror->poll(Clock::now() + std::chrono::milliseconds(500));
  EXPECT_TRUE(is("stale"));
  // 17 s later it is confirmed; here, in the mirror's own time.
  mirror->poll(Clock::now() + std::chrono::seconds(17));
  EXPECT_TRUE(is("delay"));
  EXPECT_TRUE(until([&] { return is("reachable"); }));
  EXPECT_NE(neighbour("192.0.2.2"), nullptr);
}

TEST_F(Mirror, AsksAgainForALostNeighbour) {
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  open();
  const NeighbourKey wanted[] = {{0, address("192.0.2.2")}};
  mirror->keep_fresh(wanted, Clock::now());
  ASSERT_TRUE(until([&] { return neighbour("192.0.2.2") != nullptr; }));
  far.sh("ip link set far0 address 02:00:00:00:00:99");
  host.sh("ip neigh flush dev twin0");
  EXPECT_TRUE(until([&] {
    return neighbour("192.0.2.2") != nullptr &&
           neighbour("192.0.2.2")->mac == net::parse_mac("02:00:00:00:00:99");
  }));
}

TEST_F(Mirror, LeavesPermanentNeighboursAlone) {
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  host.sh("ip neigh add 192.0.2.60 lladdr 02:00:00:00:00:60 dev twin0 nud permanent");
  open();
  mirror->resolve({0, address("192.0.2.60")}, Clock::now());
  const auto end = Clock::now() + std::chrono::milliseconds(50);
  until([&] { return Clock::now() > end; });
  EXPECT_NE(host.sh("ip neigh show dev twin0").find("PERMANENT"), std::string::npos);
}

TEST_F(Mirror, ComesThroughAnOverflowOfItsSocket) {
  host.sh("ip address add 10.0.0.1/8 dev twin0");
  open();
  // More notifications than the socket's 8 MB take, while nobody reads.
  host.sh(
      "for n in 1 2 3 4; do for i in $(seq 0 39); do for j in $(seq 1 250); do "
      "echo neigh replace 10.1.$i.$j lladdr 02:00:00:0$n:$i:00 dev twin0; "
      "done; done; done | ip -batch -",
      true);
  const auto current = [&] {
    return std::ranges::count_if(
        state().neighbours, [](const KernelNeighbour& known) { return known.mac.bytes[3] == 4; });
  };
  const long kernel = std::stol(host.sh("ip neigh show dev twin0 | grep -c 02:00:00:04"));
  EXPECT_GT(kernel, 500);
  EXPECT_TRUE(until([&] { return current() == kernel; }))
      << current() << " of " << kernel << ", resyncs " << mirror->resyncs();
  EXPECT_GT(mirror->resyncs(), 0U);
}

TEST_F(Mirror, GathersABurstIntoFewChanges) {
  host.sh("ip address add 192.0.2.1/24 dev twin0");
  open();
  host.sh(
      "for i in $(seq 1 200); do echo route add 10.1.$i.0/24 via 192.0.2.254; done | "
      "ip -batch -");
  int changes = 0;
  EXPECT_TRUE(eventually([&] {
    if (mirror->poll(Clock::now()).routes) ++changes;
    return route("10.1.200.0/24") != nullptr;
  }));
  EXPECT_LE(changes, 3);
}

TEST_F(Mirror, NeedsNoPollingWhileNothingHappens) {
  open();
  until([&] { return !mirror->wakeup(); });
  EXPECT_FALSE(mirror->wakeup().has_value());
}

TEST_F(Mirror, LeavesNoDescriptorOpen) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  open();
  mirror.reset();
  const auto before = count();
  open();
  EXPECT_EQ(count(), before + 3);
  mirror.reset();
  EXPECT_EQ(count(), before);
}

}  // namespace
}  // namespace headgate::control
