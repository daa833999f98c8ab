#include "tests/unit/control/vrrp/router_fixture.h"

namespace headgate::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// 3 s and the skew of priority 100.
constexpr vrrp::Duration master_down = std::chrono::microseconds(3'609'375);

TEST_F(VrrpRouterTest, BecomesMasterWhenNobodyIs) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  EXPECT_EQ(state_of("VI_1"), "backup");
  run_for(master_down - milliseconds(1));
  EXPECT_EQ(state_of("VI_1"), "backup");
  EXPECT_TRUE(host_.sent.empty());
  run_for(milliseconds(1));
  EXPECT_EQ(state_of("VI_1"), "master");
  ASSERT_EQ(host_.sent.size(), 1U);
  EXPECT_EQ(host_.sent[0].source, ip("10.0.0.1"));
  EXPECT_EQ(host_.sent[0].destination, ip("224.0.0.18"));
  EXPECT_EQ(host_.sent[0].ttl, 255);
  EXPECT_TRUE(host_.held.at("192.0.2.80/24"));
}

TEST_F(VrrpRouterTest, AdvertisesBeforeItAnswersAndAnswersBeforeItAnnounces) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  host_.log_of_calls.clear();
  run_for(master_down);
  EXPECT_EQ(host_.log_of_calls, (std::vector<std::string>{"advert 100", "hold 192.0.2.80/24",
                                                          "ownership", "announce 5"}));
  EXPECT_TRUE(host_.ownership.inactive.empty());
}

TEST_F(VrrpRouterTest, AnnouncesWithoutTheDataPlaneWhenItTakesTooLong) {
  visible_at_once_ = false;
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(master_down + milliseconds(249));
  EXPECT_TRUE(host_.announced.empty());
  run_for(milliseconds(2));
  EXPECT_EQ(host_.announced.size(), 1U);
}

TEST_F(VrrpRouterTest, AddressesOfABackupAreInactive) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24"), instance("VI_2", 52, "192.0.2.81/24")});
  EXPECT_EQ(host_.ownership.inactive,
            (std::vector<net::IpAddress>{ip("192.0.2.80"), ip("192.0.2.81")}));
  for (int i = 0; i < 5; ++i) {
    hear(52, 200, "10.0.0.2", "192.0.2.81");
    run_for(seconds(1));
  }
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_EQ(state_of("VI_2"), "backup");
  EXPECT_EQ(host_.ownership.inactive, std::vector<net::IpAddress>{ip("192.0.2.81")});
}

TEST_F(VrrpRouterTest, YieldsToABetterMasterAndTakesItsAddressesAway) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(seconds(5));
  ASSERT_EQ(state_of("VI_1"), "master");
  hear(51, 101);
  EXPECT_EQ(state_of("VI_1"), "backup");
  EXPECT_FALSE(host_.held.at("192.0.2.80/24"));
  EXPECT_EQ(host_.ownership.inactive, std::vector<net::IpAddress>{ip("192.0.2.80")});
  EXPECT_EQ(host_.notified,
            (std::vector<std::string>{"INSTANCE VI_1 BACKUP 100", "INSTANCE VI_1 MASTER 100",
                                      "INSTANCE VI_1 BACKUP 100"}));
}

TEST_F(VrrpRouterTest, IsInFaultWhileItsInterfaceIsDown) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(seconds(5));
  link("eth0", false);
  EXPECT_EQ(state_of("VI_1"), "fault");
  EXPECT_EQ(status_of("VI_1").faults, std::vector<std::string>{"interface eth0 is down"});
  EXPECT_FALSE(host_.held.at("192.0.2.80/24"));
  run_for(seconds(20));
  EXPECT_EQ(state_of("VI_1"), "fault");
  link("eth0");
  EXPECT_EQ(state_of("VI_1"), "backup");
  run_for(master_down);
  EXPECT_EQ(state_of("VI_1"), "master");
}

TEST_F(VrrpRouterTest, AnOwnerOnAMissingInterfaceNeverSends) {
  config::VrrpInstance owner = instance("VI_1", 51, "192.0.2.80/24");
  owner.priority = 255;
  configure({owner});
  run_for(seconds(10));
  EXPECT_EQ(state_of("VI_1"), "fault");
  EXPECT_TRUE(host_.sent.empty());
  link("eth0");
  EXPECT_EQ(state_of("VI_1"), "master");
}

TEST_F(VrrpRouterTest, NeverSendsFromAVirtualAddress) {
  configure({instance("VI_1", 51, "192.0.2.80/24"), instance("VI_2", 52, "192.0.2.81/24")});
  router_.link_changed("eth0",
                       {.index = 2,
                        .up = true,
                        .mac = {},
                        .sources = {ip("192.0.2.81"), ip("192.0.2.80"), ip("10.0.0.1")}},
                       now_);
  run_for(seconds(5));
  ASSERT_FALSE(host_.sent.empty());
  for (const FakeHost::Sent& sent : host_.sent)
    EXPECT_EQ(sent.source, ip("10.0.0.1"));
  router_.link_changed("eth0", {.index = 2, .up = true, .mac = {}, .sources = {ip("192.0.2.81")}},
                       now_);
  EXPECT_EQ(status_of("VI_1").faults,
            std::vector<std::string>{"interface eth0 has no IPv4 address to send from"});
}

TEST_F(VrrpRouterTest, WeightsOfScriptsAddUp) {
  link("eth0");
  config::VrrpInstance tracking = instance("VI_1", 51, "192.0.2.80/24");
  tracking.scripts = {{.name = "bonus", .weight = 20}, {.name = "malus", .weight = -50}};
  configure({tracking});
  EXPECT_EQ(status_of("VI_1").priority, 50);
  router_.tracked(TrackedKind::script, "malus", {1, ""}, now_);
  EXPECT_EQ(status_of("VI_1").priority, 100);
  router_.tracked(TrackedKind::script, "bonus", {1, ""}, now_);
  EXPECT_EQ(status_of("VI_1").priority, 120);
}

TEST_F(VrrpRouterTest, AScriptWithoutWeightIsAFault) {
  link("eth0");
  config::VrrpInstance tracking = instance("VI_1", 51, "192.0.2.80/24");
  tracking.scripts = {{.name = "check", .weight = 0}};
  configure({tracking});
  EXPECT_EQ(state_of("VI_1"), "fault");
  router_.tracked(TrackedKind::script, "check", {1, ""}, now_);
  EXPECT_EQ(state_of("VI_1"), "backup");
  run_for(master_down);
  router_.tracked(TrackedKind::script, "check", {0, "exited with status 1"}, now_);
  EXPECT_EQ(state_of("VI_1"), "fault");
  EXPECT_EQ(status_of("VI_1").faults,
            std::vector<std::string>{"script check fails: exited with status 1"});
  // It left by priority 0.
  ASSERT_FALSE(host_.sent.empty());
  EXPECT_EQ(host_.sent.back().advert.priority, 0);
}

TEST_F(VrrpRouterTest, AFilesNumberTimesItsWeightCounts) {
  link("eth0");
  config::VrrpInstance tracking = instance("VI_1", 51, "192.0.2.80/24");
  tracking.files = {{.name = "load", .weight = -2}};
  configure({tracking});
  EXPECT_EQ(status_of("VI_1").priority, 100);
  router_.tracked(TrackedKind::file, "load", {30, ""}, now_);
  EXPECT_EQ(status_of("VI_1").priority, 40);
  router_.tracked(TrackedKind::file, "load", {1'000'000, ""}, now_);
  EXPECT_EQ(status_of("VI_1").priority, 1);
  router_.tracked(TrackedKind::file, "load", {-1'000'000, ""}, now_);
  EXPECT_EQ(status_of("VI_1").priority, 254);
}

TEST_F(VrrpRouterTest, AWorkerThatDoesNotPollIsAFaultWhereItIsTracked) {
  link("eth0");
  config::VrrpInstance careless = instance("VI_2", 52, "192.0.2.81/24");
  careless.track_workers = false;
  configure({instance("VI_1", 51, "192.0.2.80/24"), careless});
  router_.worker_trouble("worker 0 does not poll", now_);
  EXPECT_EQ(state_of("VI_1"), "fault");
  EXPECT_EQ(state_of("VI_2"), "backup");
  router_.worker_trouble("", now_);
  EXPECT_EQ(state_of("VI_1"), "backup");
}

TEST_F(VrrpRouterTest, SyncGroupsMoveTogether) {
  link("eth0");
  link("eth1");
  config::VrrpInstance inner = instance("VI_2", 52, "10.9.0.1/24");
  inner.interface = "eth1";
  configure({instance("VI_1", 51, "192.0.2.80/24"), inner}, {group("VG", {"VI_1", "VI_2"})});
  run_for(master_down);
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_EQ(state_of("VI_2"), "master");
  hear(51, 200);
  EXPECT_EQ(state_of("VI_1"), "backup");
  EXPECT_EQ(state_of("VI_2"), "backup");
  EXPECT_EQ(std::ranges::count(host_.notified, "GROUP VG MASTER 0"), 1);
  EXPECT_EQ(std::ranges::count(host_.notified, "GROUP VG BACKUP 0"), 2);
}

TEST_F(VrrpRouterTest, AMemberInFaultPutsItsGroupInFault) {
  link("eth0");
  link("eth1");
  config::VrrpInstance inner = instance("VI_2", 52, "10.9.0.1/24");
  inner.interface = "eth1";
  configure({instance("VI_1", 51, "192.0.2.80/24"), inner}, {group("VG", {"VI_1", "VI_2"})});
  run_for(seconds(5));
  link("eth1", false);
  EXPECT_EQ(state_of("VI_1"), "fault");
  EXPECT_EQ(status_of("VI_1").faults,
            std::vector<std::string>{"VI_2 of sync group VG is in fault"});
  EXPECT_EQ(state_of("VI_2"), "fault");
  link("eth1");
  run_for(master_down);
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_EQ(state_of("VI_2"), "master");
}

TEST_F(VrrpRouterTest, StepsDownByHandAndDoesNotComeBackAtOnce) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(seconds(5));
  ASSERT_TRUE(router_.failover("VI_1", now_).has_value());
  EXPECT_EQ(host_.sent.back().advert.priority, 0);
  EXPECT_EQ(state_of("VI_1"), "backup");
  for (int i = 0; i < 20; ++i) {
    hear(51, 50);
    run_for(seconds(1));
  }
  EXPECT_EQ(state_of("VI_1"), "backup");
  run_for(seconds(5));
  EXPECT_EQ(state_of("VI_1"), "master");
}

TEST_F(VrrpRouterTest, OnlyAMasterCanStepDown) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  const auto refused = router_.failover("VI_1", now_);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().text, "VI_1 is in state backup: only a master can step down");
  EXPECT_FALSE(router_.failover("VI_9", now_).has_value());
}

TEST_F(VrrpRouterTest, MaintenanceLeavesAllUntilItIsOver) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24"), instance("VI_2", 52, "192.0.2.81/24")});
  run_for(seconds(5));
  (void)router_.maintenance(true, now_);
  EXPECT_EQ(state_of("VI_1"), "fault");
  EXPECT_EQ(state_of("VI_2"), "fault");
  run_for(seconds(20));
  EXPECT_EQ(state_of("VI_1"), "fault");
  (void)router_.maintenance(false, now_);
  run_for(master_down);
  EXPECT_EQ(state_of("VI_1"), "master");
}

TEST_F(VrrpRouterTest, AReloadThatChangesNothingKeepsMastership) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(seconds(5));
  const size_t notified = host_.notified.size();
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  EXPECT_EQ(state_of("VI_1"), "master");
  run_for(seconds(5));
  EXPECT_EQ(host_.notified.size(), notified);
}

TEST_F(VrrpRouterTest, AnAddressThatIsAddedIsHeldAndAnnounced) {
  link("eth0");
  config::VrrpInstance grown = instance("VI_1", 51, "192.0.2.80/24");
  configure({grown});
  run_for(seconds(10));
  host_.announced.clear();
  grown.addresses.push_back(address("192.0.2.90/24"));
  configure({grown});
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_TRUE(host_.held.at("192.0.2.90/24"));
  ASSERT_EQ(host_.announced.size(), 1U);
  EXPECT_EQ(host_.announced[0].addresses.size(), 2U);
  grown.addresses.erase(grown.addresses.begin());
  configure({grown});
  EXPECT_FALSE(host_.held.at("192.0.2.80/24"));
  EXPECT_TRUE(host_.held.at("192.0.2.90/24"));
}

TEST_F(VrrpRouterTest, AnInstanceThatIsTakenOutLeaves) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24"), instance("VI_2", 52, "192.0.2.81/24")});
  run_for(seconds(5));
  configure({instance("VI_2", 52, "192.0.2.81/24")});
  EXPECT_EQ(host_.sent.back().advert.vrid, 51);
  EXPECT_EQ(host_.sent.back().advert.priority, 0);
  EXPECT_FALSE(host_.held.at("192.0.2.80/24"));
  EXPECT_EQ(state_of("VI_2"), "master");
  run_for(seconds(5));
  for (size_t i = 0; i + 1 < host_.sent.size(); ++i) {
    if (host_.sent[i].advert.priority == 0) {
      EXPECT_NE(host_.sent[i + 1].advert.vrid, 51);
    }
  }
}

TEST_F(VrrpRouterTest, StopLeavesByPriorityZero) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24"), instance("VI_2", 52, "192.0.2.81/24")});
  run_for(seconds(5));
  router_.stop(now_);
  ASSERT_GE(host_.sent.size(), 2U);
  EXPECT_EQ(host_.sent[host_.sent.size() - 1].advert.priority, 0);
  EXPECT_EQ(host_.sent[host_.sent.size() - 2].advert.priority, 0);
  EXPECT_FALSE(host_.held.at("192.0.2.80/24"));
  EXPECT_EQ(host_.notified.back(), "INSTANCE VI_2 STOP 100");
  EXPECT_FALSE(router_.next_deadline().has_value());
}

TEST_F(VrrpRouterTest, AdvertsOfOneSecondAreSpreadOverIt) {
  link("eth0");
  std::vector<config::VrrpInstance> many;
  for (uint8_t id = 1; id <= 200; ++id) {
    many.push_back(
        instance("VI_" + std::to_string(id), id, "192.0.2." + std::to_string(id) + "/24"));
  }
  configure(many);
  run_for(seconds(6));
  host_.sent.clear();
  // A tenth of a second at a time: none is silent, none has more than a fifth of them.
  for (int i = 0; i < 10; ++i) {
    const size_t before = host_.sent.size();
    run_for(milliseconds(100));
    EXPECT_GT(host_.sent.size() - before, 10U);
    EXPECT_LT(host_.sent.size() - before, 40U);
  }
  EXPECT_EQ(host_.sent.size(), 200U);
}

TEST_F(VrrpRouterTest, LateAdvertsAreCountedWithTheirCause) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  run_for(seconds(10));
  now_ = *router_.next_deadline() + milliseconds(400);
  router_.tick(now_);
  EXPECT_EQ(status_of("VI_1").late_adverts, 0U);
  now_ = *router_.next_deadline() + milliseconds(600);
  router_.tick(now_);
  EXPECT_EQ(status_of("VI_1").late_adverts, 1U);
  EXPECT_EQ(host_.lines.back(),
            "vrrp VI_1: advert late by 600 ms, its interval is 1000 ms: the test slept");
}

TEST_F(VrrpRouterTest, DiscardsAreCountedByReason) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  hear(51, 200, "10.0.0.2", "192.0.2.80", 254);
  hear(51, 200, "10.0.0.1");  // our own, come back
  const VrrpInstanceStatus status = status_of("VI_1");
  EXPECT_EQ(status.adverts_received, 0U);
  std::map<std::string, uint64_t> counts;
  for (const VrrpDiscardCount& discard : status.discards)
    counts[discard.reason] = discard.count;
  EXPECT_EQ(counts["ttl"], 1U);
  EXPECT_EQ(counts["source"], 1U);
}

TEST_F(VrrpRouterTest, OtherAddressesAreToldOnceAndSurvived) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  host_.lines.clear();
  for (int i = 0; i < 5; ++i) {
    hear(51, 200, "10.0.0.2", "192.0.2.99");
    run_for(seconds(1));
  }
  EXPECT_EQ(state_of("VI_1"), "backup");
  EXPECT_EQ(host_.lines,
            std::vector<std::string>{
                "vrrp VI_1: adverts of 10.0.0.2 have other addresses than configured"});
}

// An attacker has as many sources as it likes, and can take turns with the real master.
TEST_F(VrrpRouterTest, ForgedAdvertsFillNoLog) {
  link("eth0");
  configure({instance("VI_1", 51, "192.0.2.80/24")});
  host_.lines.clear();
  for (int i = 0; i < 1000; ++i) {
    hear(51, 200, "10.0.0.2");
    hear(51, 200, "10.0.1." + std::to_string(i % 256), "192.0.2.99");
    hear(51, 200, "10.0.1." + std::to_string(i % 256), "192.0.2.99", 254);
    run_for(milliseconds(1));
  }
  EXPECT_EQ(host_.lines.size(), 1U);
  EXPECT_EQ(host_.debug_lines, 1U);
  EXPECT_EQ(status_of("VI_1").adverts_received, 2000U);
}

TEST_F(VrrpRouterTest, TellsWhyAScriptFailsOnceItIsKnown) {
  link("eth0");
  config::VrrpInstance tracking = instance("VI_1", 51, "192.0.2.80/24");
  tracking.scripts = {{.name = "check", .weight = 0}};
  router_.tracked(TrackedKind::script, "check", {0, "no result yet"}, now_);
  configure({tracking});
  router_.tracked(TrackedKind::script, "check", {0, "exited with status 1"}, now_);
  EXPECT_EQ(status_of("VI_1").faults,
            std::vector<std::string>{"script check fails: exited with status 1"});
}

TEST_F(VrrpRouterTest, TellsThatATrackedInterfaceIsNotThere) {
  link("eth0");
  router_.link_changed("eth9", {}, now_);
  config::VrrpInstance tracking = instance("VI_1", 51, "192.0.2.80/24");
  tracking.interfaces = {{.name = "eth9", .weight = 0}};
  configure({tracking});
  EXPECT_EQ(status_of("VI_1").faults,
            std::vector<std::string>{"interface eth9 is down: it is not there"});
}

TEST_F(VrrpRouterTest, AVirtualMacIsUsedForAdvertsAndAnnouncements) {
  link("eth0");
  config::VrrpInstance own_mac = instance("VI_1", 51, "192.0.2.80/24");
  own_mac.virtual_mac = true;
  configure({own_mac});
  run_for(master_down);
  EXPECT_TRUE(host_.sent.back().from_virtual_mac);
  EXPECT_EQ(net::to_string(host_.announced.back().mac), "00:00:5e:00:01:33");
  ASSERT_EQ(host_.ownership.virtual_macs.size(), 1U);
  EXPECT_EQ(host_.ownership.virtual_macs[0].vrid, 51);
}

TEST_F(VrrpRouterTest, UnicastGoesToEachPeer) {
  link("eth0");
  config::VrrpInstance unicast = instance("VI_1", 51, "192.0.2.80/24");
  unicast.unicast_peers = {ip("10.0.0.2"), ip("10.0.0.3")};
  unicast.unicast_ttl = 64;
  configure({unicast});
  run_for(master_down);
  ASSERT_EQ(host_.sent.size(), 2U);
  EXPECT_EQ(host_.sent[0].destination, ip("10.0.0.2"));
  EXPECT_EQ(host_.sent[1].destination, ip("10.0.0.3"));
  EXPECT_EQ(host_.sent[0].ttl, 64);
}

TEST_F(VrrpRouterTest, AnAddressThatTheHostShallNotTakeIsNotHeld) {
  link("eth0");
  config::VrrpInstance silent = instance("VI_1", 51, "192.0.2.80/24");
  silent.accept = false;
  configure({silent});
  run_for(master_down);
  EXPECT_EQ(state_of("VI_1"), "master");
  EXPECT_TRUE(host_.held.empty());
  EXPECT_TRUE(host_.ownership.inactive.empty());
}

}  // namespace
}  // namespace headgate::control
