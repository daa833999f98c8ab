// What a reload does to virtual routers that run.
#include "tests/unit/control/vrrp/router_fixture.h"

namespace headgate::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using VrrpRouterReloadTest = VrrpRouterTest;

TEST_F(VrrpRouterReloadTest, AnAddressThatMovesToAnotherMasterStays) {
  link("eth0");
  config::VrrpInstance stays = instance("VI_1", 51, "192.0.2.80/24");
  configure({stays, instance("VI_2", 52, "192.0.2.81/24")});
  run_for(seconds(5));
  ASSERT_EQ(state_of("VI_2"), "master");
  stays.addresses.push_back(address("192.0.2.81/24"));
  configure({stays});
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_TRUE(host_.held.at("192.0.2.81/24"));
}

TEST_F(VrrpRouterReloadTest, AnAddressThatTwoMastersShareGoesWithTheSecondOne) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24"), instance("VI_2", 52, "192.0.2.80/24")});
  run_for(seconds(5));
  hear(51, 200);
  ASSERT_EQ(state_of("VI_1"), "backup");
  ASSERT_EQ(state_of("VI_2"), "master");
  EXPECT_TRUE(host_.held.at("192.0.2.80/24"));
  EXPECT_TRUE(host_.cancelled.empty());
  hear(52, 200);
  EXPECT_FALSE(host_.held.at("192.0.2.80/24"));
  EXPECT_EQ(host_.cancelled, std::vector<std::string>{"192.0.2.80/24"});
}

TEST_F(VrrpRouterReloadTest, NothingIsAnnouncedOfAnAddressThatIsTakenOut) {
  link("eth0");
  config::VrrpInstance shrinking = instance("VI_1", 51, "192.0.2.80/24");
  shrinking.addresses.push_back(address("192.0.2.81/24"));
  configure({shrinking});
  run_for(seconds(5));
  shrinking.addresses.pop_back();
  configure({shrinking});
  EXPECT_NE(std::ranges::find(host_.cancelled, "192.0.2.81/24"), host_.cancelled.end());
}

TEST_F(VrrpRouterReloadTest, AnotherMacIsAnnounced) {
  link("eth0");
  config::VrrpInstance changed = instance("VI_1", 51, "192.0.2.80/24");
  configure({changed});
  run_for(seconds(5));
  host_.announced.clear();
  changed.virtual_mac = true;
  configure({changed});
  ASSERT_EQ(host_.announced.size(), 1U);
  EXPECT_EQ(net::to_string(host_.announced[0].mac), "00:00:5e:00:01:33");
  EXPECT_EQ(state_of("VI_1"), "master");
}

TEST_F(VrrpRouterReloadTest, AMemberThatIsAddedJoinsAMasterGroup) {
  link("eth0");
  const config::VrrpInstance first = instance("VI_1", 51, "192.0.2.80/24");
  const config::VrrpInstance second = instance("VI_2", 52, "192.0.2.81/24");
  configure({first, second}, {group("VG", {"VI_1", "VI_2"})});
  run_for(seconds(5));
  ASSERT_EQ(state_of("VI_1"), "master");
  const size_t before = host_.sent.size();
  configure({first, second, instance("VI_3", 53, "192.0.2.82/24")},
            {group("VG", {"VI_1", "VI_2", "VI_3"})});
  run_for(milliseconds(1));
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_EQ(state_of("VI_2"), "master");
  EXPECT_EQ(state_of("VI_3"), "master");
  for (size_t i = before; i < host_.sent.size(); ++i)
    EXPECT_NE(host_.sent[i].advert.priority, 0);
}

TEST_F(VrrpRouterReloadTest, RoutersThatAGroupBringsTogetherMoveTogether) {
  link("eth0");
  const std::vector<config::VrrpInstance> both{instance("VI_1", 51, "192.0.2.80/24"),
                                               instance("VI_2", 52, "192.0.2.81/24")};
  configure(both);
  for (int i = 0; i < 5; ++i) {
    hear(52, 200, "10.0.0.2", "192.0.2.81");
    run_for(seconds(1));
  }
  ASSERT_EQ(state_of("VI_1"), "master");
  ASSERT_EQ(state_of("VI_2"), "backup");
  configure(both, {group("VG", {"VI_1", "VI_2"})});
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_EQ(state_of("VI_2"), "master");
  // Another box has the better claim to one of them: the group yields.
  hear(52, 200, "10.0.0.2", "192.0.2.81");
  EXPECT_EQ(state_of("VI_1"), "backup");
  EXPECT_EQ(state_of("VI_2"), "backup");
}

TEST_F(VrrpRouterReloadTest, AMemberThatIsTakenOutLeavesTheRestOfItsGroupAlone) {
  link("eth0");
  const config::VrrpInstance first = instance("VI_1", 51, "192.0.2.80/24");
  configure({first, instance("VI_2", 52, "192.0.2.81/24")}, {group("VG", {"VI_1", "VI_2"})});
  run_for(seconds(5));
  configure({first}, {group("VG", {"VI_1"})});
  EXPECT_EQ(state_of("VI_1"), "master");
  run_for(seconds(20));
  EXPECT_EQ(state_of("VI_1"), "master");
}

TEST_F(VrrpRouterReloadTest, AnotherIdentityIsAnotherRouter) {
  link("eth0");
  link("eth1");
  config::VrrpInstance changed = instance("VI_1", 51, "192.0.2.80/24");
  const auto changes = std::vector<std::function<void()>>{
      [&] { changed.virtual_router_id = 52; },
      [&] { changed.interface = "eth1"; },
      [&] { changed.version = 2; },
      [&] { changed.addresses = {address("fd00::80/64")}; },
  };
  configure({changed});
  run_for(seconds(5));
  ASSERT_EQ(state_of("VI_1"), "master");
  for (size_t i = 0; i < changes.size(); ++i) {
    if (i == 3) changed.version = 3;
    changes[i]();
    const std::string held = host_.held.begin()->first;
    configure({changed});
    EXPECT_EQ(host_.sent.back().advert.priority, 0) << i;
    EXPECT_EQ(state_of("VI_1"), "backup") << i;
    EXPECT_FALSE(host_.held.at(held)) << i;
    run_for(seconds(5));
    EXPECT_EQ(state_of("VI_1"), "master") << i;
    EXPECT_TRUE(host_.held.at(net::to_string(changed.addresses[0].address))) << i;
  }
}

TEST_F(VrrpRouterReloadTest, PrioritiesUpToAnOwnersAndBackKeepMastership) {
  link("eth0");
  config::VrrpInstance changed = instance("VI_1", 51, "192.0.2.80/24");
  configure({changed});
  run_for(seconds(5));
  for (const uint8_t priority : {255, 50, 255, 100}) {
    changed.priority = priority;
    configure({changed});
    run_for(seconds(1));
    EXPECT_EQ(state_of("VI_1"), "master");
    EXPECT_EQ(host_.sent.back().advert.priority, priority);
  }
}

TEST_F(VrrpRouterReloadTest, WhatIsTrackedNoMoreIsForgotten) {
  link("eth0");
  config::VrrpInstance changed = instance("VI_1", 51, "192.0.2.80/24");
  changed.scripts = {{.name = "check", .weight = 0}};
  configure({changed});
  ASSERT_EQ(state_of("VI_1"), "fault");
  changed.scripts.clear();
  configure({changed});
  EXPECT_EQ(state_of("VI_1"), "backup");
  changed.interfaces = {{.name = "eth7", .weight = 0}};
  configure({changed});
  EXPECT_EQ(state_of("VI_1"), "fault");
  changed.interfaces.clear();
  configure({changed});
  run_for(seconds(5));
  EXPECT_EQ(state_of("VI_1"), "master");
}

TEST_F(VrrpRouterReloadTest, StartupDelayCountsFromTheStartOfTheDaemon) {
  link("eth0");
  config_.vrrp.startup_delay_s = 30;
  const config::VrrpInstance first = instance("VI_1", 51, "192.0.2.80/24");
  configure({first});
  run_for(seconds(29));
  EXPECT_EQ(state_of("VI_1"), "init");
  run_for(seconds(1));
  EXPECT_EQ(state_of("VI_1"), "backup");
  configure({first, instance("VI_2", 52, "192.0.2.81/24")});
  run_for(milliseconds(1));
  EXPECT_EQ(state_of("VI_2"), "backup");
}

TEST_F(VrrpRouterReloadTest, ReloadsBetweenTimersLeaveNoDeadlineOfARouterThatIsGone) {
  link("eth0");
  for (int round = 0; round < 20; ++round) {
    std::vector<config::VrrpInstance> some;
    for (int id = 1 + round % 3; id <= 10; id += 1 + round % 2) {
      some.push_back(instance("VI_" + std::to_string(id), static_cast<uint8_t>(id),
                              "192.0.2." + std::to_string(id) + "/24"));
    }
    configure(some, {group("VG", {some.front().name, some.back().name})});
    run_for(milliseconds(777));
  }
  configure({});
  EXPECT_FALSE(router_.next_deadline().has_value());
  for (const auto& [name, held] : host_.held)
    EXPECT_FALSE(held) << name;
}

TEST_F(VrrpRouterReloadTest, NothingStartsAgainAfterTheStop) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(seconds(5));
  router_.stop(now_);
  const size_t sent = host_.sent.size();
  const size_t notified = host_.notified.size();
  link("eth0", false);
  link("eth0");
  router_.worker_trouble("worker 0 does not poll", now_);
  router_.worker_trouble("", now_);
  (void)router_.maintenance(true, now_);
  (void)router_.maintenance(false, now_);
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(seconds(20));
  EXPECT_EQ(host_.sent.size(), sent);
  EXPECT_EQ(host_.notified.size(), notified);
  EXPECT_FALSE(router_.next_deadline().has_value());
}

}  // namespace
}  // namespace headgate::control
