#include "control/vrrp/plan.h"

#include <set>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

config::VrrpAddress address(const std::string& text) {
  config::VrrpAddress result;
  result.address = net::parse_prefix(text).value();
  return result;
}

config::Config with(config::VrrpInstance instance) {
  config::Config config;
  config.vrrp.instances = {std::move(instance)};
  return config;
}

config::VrrpInstance plain() {
  config::VrrpInstance instance;
  instance.name = "VI_1";
  instance.interface = "eth0";
  instance.virtual_router_id = 51;
  instance.addresses = {address("192.0.2.80/24")};
  return instance;
}

TEST(VrrpPlan, TheFamilyIsThatOfTheAdvertisedAddresses) {
  config::VrrpInstance instance = plain();
  instance.excluded_addresses = {address("2001:db8::80/64")};
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].family, net::Family::ipv4);
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].group, net::parse_ip("224.0.0.18"));
  instance.addresses = {address("fe80::80/64")};
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].family, net::Family::ipv6);
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].group, net::parse_ip("ff02::12"));
}

TEST(VrrpPlan, ExcludedAddressesAreHeldAndNotAdvertised) {
  config::VrrpInstance instance = plain();
  instance.excluded_addresses = {address("198.51.100.1/24")};
  instance.excluded_addresses[0].interface = "eth1";
  instance.excluded_addresses[0].label = "eth1:9";
  const VrrpInstancePlan plan = plan_vrrp(with(instance)).instances[0];
  EXPECT_EQ(plan.advertised, std::vector{*net::parse_ip("192.0.2.80")});
  ASSERT_EQ(plan.held.size(), 2U);
  EXPECT_EQ(plan.held[0].interface, "eth0");
  EXPECT_EQ(plan.held[1].interface, "eth1");
  EXPECT_EQ(plan.held[1].label, "eth1:9");
}

TEST(VrrpPlan, APasswordIsPaddedWithZeros) {
  config::VrrpInstance instance = plain();
  instance.version = 2;
  instance.auth_password = "1111";
  const VrrpInstancePlan plan = plan_vrrp(with(instance)).instances[0];
  EXPECT_EQ(plan.settings.version, vrrp::Version::v2);
  EXPECT_EQ(plan.receive.auth_type, vrrp::AuthType::simple_text);
  EXPECT_EQ(plan.receive.auth_data, (std::array<uint8_t, 8>{'1', '1', '1', '1', 0, 0, 0, 0}));
}

TEST(VrrpPlan, AfterALowerMasterAnnouncesAsAfterBecomingMasterUnlessToldOtherwise) {
  config::VrrpInstance instance = plain();
  instance.gratuitous.repeat = 3;
  instance.gratuitous.delay_s = 7;
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].settings.announce.lower_priority_repeat, 3);
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].settings.announce.lower_priority_delay,
            seconds(7));
  instance.gratuitous.lower_priority_repeat = 0;
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].settings.announce.lower_priority_repeat, 0);
}

TEST(VrrpPlan, PhasesFillTheIntervalEvenly) {
  config::Config config;
  config.vrrp.instances.assign(100, plain());
  std::array<int, 10> tenths{};
  for (const VrrpInstancePlan& plan : plan_vrrp(config).instances) {
    EXPECT_GT(plan.settings.phase, vrrp::Duration{});
    EXPECT_LE(plan.settings.phase, vrrp::Duration(seconds(1)));
    ++tenths[static_cast<size_t>(plan.settings.phase / milliseconds(100)) % tenths.size()];
  }
  for (const int count : tenths)
    EXPECT_NEAR(count, 10, 2);
}

TEST(VrrpPlan, TheMinimumTtlIsOfUnicastOnly) {
  config::VrrpInstance instance = plain();
  instance.unicast_min_ttl = 64;
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].receive.min_ttl, 255);
  instance.unicast_peers = {*net::parse_ip("10.0.0.2")};
  EXPECT_EQ(plan_vrrp(with(instance)).instances[0].receive.min_ttl, 64);
}

TEST(VrrpPlan, AnotherInterfaceOrIdIsAnotherRouter) {
  const VrrpInstancePlan before = plan_vrrp(with(plain())).instances[0];
  config::VrrpInstance changed = plain();
  changed.priority = 150;
  changed.addresses.push_back(address("192.0.2.81/24"));
  EXPECT_TRUE(is_same_router(before, plan_vrrp(with(changed)).instances[0]));
  changed.interface = "eth1";
  EXPECT_FALSE(is_same_router(before, plan_vrrp(with(changed)).instances[0]));
  changed = plain();
  changed.virtual_router_id = 52;
  EXPECT_FALSE(is_same_router(before, plan_vrrp(with(changed)).instances[0]));
}

}  // namespace
}  // namespace headgate::control
