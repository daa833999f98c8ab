// What the kernel's state becomes in the snapshot: interfaces, routes, next hops and neighbours.
#include <algorithm>

#include <gtest/gtest.h>

#include "control/snapshot_walk.h"
#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

using control::WantedNeighbour;
using dataplane::NextHop;
using dataplane::NextHopState;
using dataplane::none;
using dataplane::RouteKind;

class SnapshotNetwork : public testing::Test {
 protected:
  SnapshotNetwork() : kernel_(two_networks()) {}

  [[nodiscard]] const NextHop& hop_of(size_t backend) const {
    const dataplane::BackendRow* row =
        fixture_.backend(config_.services[0], config_.services[0].backends[backend]);
    EXPECT_LT(row->next_hop, fixture_.root().next_hops.count);
    return fixture_.region().element(fixture_.root().next_hops, row->next_hop);
  }
  [[nodiscard]] const dataplane::BackendRow& row_of(size_t backend) const {
    return *fixture_.backend(config_.services[0], config_.services[0].backends[backend]);
  }
  void use_backends(config::Mode mode, const std::vector<std::string_view>& backends) {
    config_.services = {make_service("192.0.2.1", 80, mode, backends)};
    fixture_.apply_config(config_);
  }
  control::KernelRoute& add_route(std::string_view to, control::KernelRouteKind kind) {
    control::KernelRoute route;
    route.prefix = prefix(to);
    route.kind = kind;
    const auto place = std::ranges::lower_bound(kernel_.routes, route);
    return *kernel_.routes.insert(place, route);
  }

  SnapshotFixture fixture_;
  config::Config config_;
  control::KernelState kernel_;
};

TEST_F(SnapshotNetwork, InterfacesAndPortsAreThereBeforeTheKernelSpeaks) {
  fixture_.apply_config(config_);
  const auto interfaces = control::elements(fixture_.region(), fixture_.root().interfaces);
  ASSERT_EQ(interfaces.size(), 2U);
  EXPECT_EQ(interfaces[1].vlan, 100);
  EXPECT_EQ(interfaces[1].mtu, 1500);
  EXPECT_EQ(interfaces[0].ipv4, net::Ipv4Address{});
  const auto ports = control::elements(fixture_.region(), fixture_.root().ports);
  ASSERT_EQ(ports.size(), 1U);
  EXPECT_EQ(ports[0].untagged_interface, 0);
  ASSERT_EQ(ports[0].vlan_interfaces.count, 4096U);
  EXPECT_EQ(fixture_.region().element(ports[0].vlan_interfaces, 100), 1);
  EXPECT_EQ(fixture_.region().element(ports[0].vlan_interfaces, 101), dataplane::none16);
}

TEST_F(SnapshotNetwork, PortNumbersMayHaveGaps) {
  std::vector<dataplane::Interface> interfaces = two_interfaces();
  interfaces[0].port = 2;
  interfaces[1].port = 0;
  interfaces[1].vlan = 0;
  SnapshotFixture fixture({}, interfaces);
  fixture.apply_config(config_);
  const auto ports = control::elements(fixture.region(), fixture.root().ports);
  ASSERT_EQ(ports.size(), 3U);
  EXPECT_EQ(ports[0].untagged_interface, 1);
  EXPECT_EQ(ports[1].untagged_interface, dataplane::none16);
  EXPECT_EQ(ports[2].untagged_interface, 0);
  EXPECT_EQ(ports[2].vlan_interfaces.count, 0U);
}

TEST_F(SnapshotNetwork, InterfacesHaveTheKernelsMtuMacAndPrimaryAddresses) {
  kernel_.interfaces[1].mtu = 1400;
  kernel_.interfaces[1].mac = mac("02:00:00:00:00:99");
  kernel_.addresses.push_back({.interface = 1, .prefix = prefix("10.0.0.9/24"), .secondary = true});
  kernel_.addresses.push_back({.interface = 0, .prefix = prefix("fe80::1/64"), .link_local = true});
  std::ranges::sort(kernel_.addresses);
  fixture_.apply_kernel(kernel_);
  const auto interfaces = control::elements(fixture_.region(), fixture_.root().interfaces);
  EXPECT_EQ(interfaces[1].mtu, 1400);
  EXPECT_EQ(interfaces[1].mac, mac("02:00:00:00:00:99"));
  EXPECT_EQ(net::IpAddress(interfaces[1].ipv4), ip("10.2.0.1"));
  EXPECT_EQ(net::IpAddress(interfaces[0].ipv6), ip("fd01::1"));
  EXPECT_EQ(fixture_.address_flags("fe80::1"), dataplane::address_host);
  EXPECT_EQ(fixture_.address_flags("10.0.0.9"), dataplane::address_host);
}

TEST_F(SnapshotNetwork, BackendOnLinkIsItsOwnNextHop) {
  add_neighbour(kernel_, 1, "10.2.0.11", "02:00:00:00:02:11");
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat, {"10.2.0.11", "10.2.0.12"});
  const NextHop& known = hop_of(0);
  EXPECT_EQ(known.state, NextHopState::resolved);
  EXPECT_EQ(known.interface, 1);
  EXPECT_EQ(known.port, 0);
  EXPECT_EQ(known.vlan, 100);
  EXPECT_EQ(known.mtu, 1500);
  EXPECT_EQ(known.destination, mac("02:00:00:00:02:11"));
  EXPECT_EQ(known.source, mac("02:00:00:00:00:01"));
  EXPECT_EQ(known.gateway, ip("10.2.0.11"));
  EXPECT_EQ(hop_of(1).state, NextHopState::unresolved);
  EXPECT_EQ(hop_of(1).gateway, ip("10.2.0.12"));
  EXPECT_TRUE(hop_of(1).destination.is_zero());
}

TEST_F(SnapshotNetwork, BackendsBehindOneRouterShareItsRow) {
  add_neighbour(kernel_, 0, "10.1.0.254", "02:00:00:00:01:fe");
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat, {"172.16.0.1", "172.16.0.2"});
  EXPECT_EQ(row_of(0).next_hop, row_of(1).next_hop);
  EXPECT_EQ(hop_of(0).gateway, ip("10.1.0.254"));
  EXPECT_EQ(hop_of(0).state, NextHopState::resolved);
}

TEST_F(SnapshotNetwork, LongestPrefixDecides) {
  add_route("172.16.0.0/12", control::KernelRouteKind::unicast).hops = {
      {.interface = 1, .gateway = ip("10.2.0.254")}};
  add_route("172.16.5.0/24", control::KernelRouteKind::blackhole);
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat, {"172.16.0.1", "172.16.5.1", "172.32.0.1"});
  EXPECT_EQ(hop_of(0).gateway, ip("10.2.0.254"));
  EXPECT_EQ(hop_of(1).state, NextHopState::blackhole);
  EXPECT_EQ(hop_of(2).gateway, ip("10.1.0.254"));
}

TEST_F(SnapshotNetwork, RoutesWithoutNeighbourSayWhy) {
  kernel_.routes.clear();
  add_route("10.1.1.0/24", control::KernelRouteKind::unreachable);
  add_route("10.1.2.0/24", control::KernelRouteKind::prohibited);
  add_route("10.1.3.0/24", control::KernelRouteKind::blackhole);
  add_route("10.1.4.0/24", control::KernelRouteKind::unicast).hops = {
      {.interface = control::foreign_interface, .gateway = ip("10.9.0.1")}};
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat,
               {"10.1.1.1", "10.1.2.1", "10.1.3.1", "10.1.4.1", "10.1.0.1", "10.7.0.1"});
  EXPECT_EQ(hop_of(0).state, NextHopState::unreachable);
  EXPECT_EQ(hop_of(1).state, NextHopState::prohibited);
  EXPECT_EQ(hop_of(2).state, NextHopState::blackhole);
  EXPECT_EQ(hop_of(3).state, NextHopState::unreachable) << "workers cannot send there";
  EXPECT_EQ(hop_of(4).state, NextHopState::local) << "an address of the host";
  EXPECT_EQ(row_of(5).next_hop, none);
}

TEST_F(SnapshotNetwork, RouteTablesAnswerAsTheKernelsDo) {
  add_route("172.16.0.0/12", control::KernelRouteKind::prohibited);
  add_neighbour(kernel_, 0, "fd01::fe", "02:00:00:00:01:fe");
  fixture_.apply_kernel(kernel_);
  const auto target = [&](std::string_view address) {
    return dataplane::find_route(fixture_.region(), fixture_.root(), ip(address));
  };
  ASSERT_NE(target("10.2.0.77"), nullptr);
  EXPECT_EQ(target("10.2.0.77")->kind, RouteKind::on_link);
  EXPECT_EQ(target("10.2.0.77")->interface, 1);
  EXPECT_EQ(target("172.17.0.1")->kind, RouteKind::prohibited);
  EXPECT_EQ(target("8.8.8.8")->kind, RouteKind::gateway);
  EXPECT_EQ(fixture_.region().element(fixture_.root().next_hops, target("8.8.8.8")->next_hop).state,
            NextHopState::unresolved);
  const dataplane::RouteTarget* six = target("2001:db8::5");
  ASSERT_NE(six, nullptr);
  const NextHop& hop = fixture_.region().element(fixture_.root().next_hops, six->next_hop);
  EXPECT_EQ(hop.state, NextHopState::resolved);
  EXPECT_EQ(hop.destination, mac("02:00:00:00:01:fe"));
}

TEST_F(SnapshotNetwork, NeighboursAreFoundByInterfaceAndAddress) {
  add_neighbour(kernel_, 0, "10.1.0.50", "02:00:00:00:01:50");
  fixture_.apply_kernel(kernel_);
  const uint32_t found =
      dataplane::find_neighbour(fixture_.region(), fixture_.root(), ip("10.1.0.50"), 0);
  ASSERT_NE(found, none);
  EXPECT_EQ(fixture_.region().element(fixture_.root().next_hops, found).destination,
            mac("02:00:00:00:01:50"));
  EXPECT_EQ(dataplane::find_neighbour(fixture_.region(), fixture_.root(), ip("10.1.0.50"), 1),
            none);
  EXPECT_EQ(dataplane::find_neighbour(fixture_.region(), fixture_.root(), ip("10.1.0.51"), 0),
            none);
}

TEST_F(SnapshotNetwork, MtuOfARouteGoesToItsNextHopAlone) {
  control::KernelRoute& narrow = add_route("172.16.0.0/12", control::KernelRouteKind::unicast);
  narrow.hops = {{.interface = 0, .gateway = ip("10.1.0.254")}};
  narrow.mtu = 1300;
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat, {"172.16.0.1", "172.32.0.1"});
  EXPECT_EQ(hop_of(0).mtu, 1300);
  EXPECT_EQ(hop_of(1).mtu, 1500);
  const uint32_t neighbour =
      dataplane::find_neighbour(fixture_.region(), fixture_.root(), ip("10.1.0.254"), 0);
  EXPECT_EQ(neighbour, row_of(1).next_hop);
}

TEST_F(SnapshotNetwork, LoopbackIsThisHostWhateverTheRoutesSay) {
  use_backends(config::Mode::dr, {"127.0.0.1", "127.9.9.9", "::1"});
  for (uint32_t index = 0; index < 3; ++index)
    EXPECT_EQ(hop_of(index).state, NextHopState::local) << index;
}

TEST_F(SnapshotNetwork, GatewayMayBeOfTheOtherFamily) {
  add_route("172.16.0.0/12", control::KernelRouteKind::unicast).hops = {
      {.interface = 1, .gateway = ip("fd02::fe")}};
  add_neighbour(kernel_, 1, "fd02::fe", "02:00:00:00:02:fe");
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::ipip, {"172.16.0.1"});
  EXPECT_EQ(hop_of(0).destination, mac("02:00:00:00:02:fe"));
  EXPECT_EQ(row_of(0).tunnel_source, ip("10.2.0.1"));
}

TEST_F(SnapshotNetwork, TunnelSourceIsTheRoutesElseTheInterfaces) {
  control::KernelRoute& route = add_route("172.16.0.0/12", control::KernelRouteKind::unicast);
  route.hops = {{.interface = 1, .gateway = ip("10.2.0.254")}};
  route.source = ip("10.1.0.1");
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::ipip, {"172.16.0.1", "10.2.0.5", "172.32.0.1", "fd02::5"});
  EXPECT_EQ(row_of(0).tunnel_source, ip("10.1.0.1"));
  EXPECT_EQ(row_of(1).tunnel_source, ip("10.2.0.1"));
  EXPECT_EQ(row_of(2).tunnel_source, ip("10.1.0.1"));
  EXPECT_EQ(row_of(3).tunnel_source, ip("fd02::1"));
}

TEST_F(SnapshotNetwork, SourceIsTheAddressOfTheNeighboursSubnet) {
  kernel_.addresses.push_back({.interface = 1, .prefix = prefix("10.3.0.1/24")});
  control::KernelRoute& route = add_route("10.3.0.0/24", control::KernelRouteKind::unicast);
  route.hops = {{.interface = 1, .gateway = {}}};
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::ipip, {"10.3.0.5", "10.2.0.5"});
  EXPECT_EQ(row_of(0).tunnel_source, ip("10.3.0.1"));
  EXPECT_EQ(row_of(1).tunnel_source, ip("10.2.0.1"));
}

TEST_F(SnapshotNetwork, NeighboursThatSomeoneNeedsAreWanted) {
  add_neighbour(kernel_, 0, "10.1.0.254", "02:00:00:00:01:fe");
  add_neighbour(kernel_, 0, "10.1.0.77", "02:00:00:00:01:77");
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat, {"10.2.0.11", "172.16.0.1"});
  EXPECT_EQ(fixture_.builder->wanted_neighbours(),
            (std::vector<WantedNeighbour>{{0, ip("fd01::fe")}, {1, ip("10.2.0.11")}}));

  add_neighbour(kernel_, 1, "10.2.0.11", "02:00:00:00:02:11");
  fixture_.apply_kernel(kernel_);
  EXPECT_EQ(fixture_.builder->wanted_neighbours(),
            (std::vector<WantedNeighbour>{{0, ip("fd01::fe")}}));
  kernel_.neighbours.clear();
  fixture_.apply_kernel(kernel_);
  EXPECT_EQ(fixture_.builder->wanted_neighbours(),
            (std::vector<WantedNeighbour>{
                {0, ip("10.1.0.254")}, {0, ip("fd01::fe")}, {1, ip("10.2.0.11")}}));
}

TEST_F(SnapshotNetwork, RowsKeepTheirIndexWhileTheyAreReferredTo) {
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat, {"10.2.0.11", "10.2.0.12", "10.2.0.13"});
  const uint32_t third = row_of(2).next_hop;
  config_.services[0].backends.erase(config_.services[0].backends.begin());
  add_neighbour(kernel_, 1, "10.2.0.13", "02:00:00:00:02:13");
  fixture_.apply_config(config_);
  fixture_.apply_kernel(kernel_);
  EXPECT_EQ(row_of(1).next_hop, third);
  EXPECT_EQ(hop_of(1).state, NextHopState::resolved);
}

TEST_F(SnapshotNetwork, RowsThatNobodyNeedsAreFreedAndUsedAgain) {
  for (int i = 0; i < 50; ++i) {
    kernel_.neighbours.clear();
    add_neighbour(kernel_, 0, "10.1.0." + std::to_string(i + 10), "02:00:00:00:01:77");
    fixture_.apply_kernel(kernel_);
  }
  EXPECT_LT(fixture_.root().next_hops.count, 12U);
  EXPECT_EQ(dataplane::find_neighbour(fixture_.region(), fixture_.root(), ip("10.1.0.10"), 0),
            none);
  EXPECT_NE(dataplane::find_neighbour(fixture_.region(), fixture_.root(), ip("10.1.0.59"), 0),
            none);
}

TEST_F(SnapshotNetwork, ChangedRouteMovesBackendsRemovedOnesToo) {
  fixture_.apply_kernel(kernel_);
  use_backends(config::Mode::nat, {"172.16.0.1", "172.16.0.2"});
  const uint32_t removed = fixture_.builder
                               ->backend_id(config::key_of(config_.services[0]),
                                            config::key_of(config_.services[0].backends[1]))
                               .value();
  config_.services[0].backends.pop_back();
  fixture_.apply_config(config_);
  add_route("172.16.0.0/12", control::KernelRouteKind::unicast).hops = {
      {.interface = 1, .gateway = ip("10.2.0.254")}};
  fixture_.apply_kernel(kernel_);
  EXPECT_EQ(hop_of(0).gateway, ip("10.2.0.254"));
  const auto* row = dataplane::find_backend(fixture_.region(), fixture_.root(), removed);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->next_hop, row_of(0).next_hop);
  EXPECT_EQ(row->flags, dataplane::backend_removed);
}

}  // namespace
}  // namespace headgate::test
