#include "control/pool_view.h"

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

net::IpAddress address(uint8_t last) {
  return net::Ipv4Address::from_host(0x0a000000U | last);
}

config::Service service_of(std::initializer_list<uint16_t> weights) {
  config::Service service;
  service.address = net::Ipv4Address::from_host(0xc000020a);
  service.port = 80;
  service.checks.emplace_back();
  uint8_t last = 1;
  for (const uint16_t weight : weights) {
    config::Backend backend;
    backend.address = address(last++);
    backend.port = 80;
    backend.weight = weight;
    service.backends.push_back(backend);
  }
  return service;
}

std::vector<MemberHealth> health_of(std::string_view letters) {
  std::vector<MemberHealth> health;
  for (const char letter : letters)
    health.push_back({.up = letter == 'u'});
  return health;
}

// A letter for each backend: serves, quiescent, waits (standby), out; then ! for the sorry server.
std::string uses(const PoolVerdict& verdict) {
  std::string letters;
  for (const MemberView& member : verdict.view.members)
    letters += "sqwo"[static_cast<size_t>(member.use)];
  if (verdict.view.sorry) letters += '!';
  return letters;
}

std::string judged(const config::Service& service, std::string_view letters,
                   std::optional<PoolState> before = std::nullopt) {
  return uses(judge_pool(service, health_of(letters), before));
}

TEST(Pool, TakesOutWhoIsDown) {
  const config::Service service = service_of({1, 1, 1});
  EXPECT_EQ(judged(service, "uuu"), "sss");
  EXPECT_EQ(judged(service, "udu"), "sos");
  EXPECT_EQ(judged(service, "ddd"), "ooo");
}

TEST(Pool, InhibitsInPlaceOfTakingOut) {
  config::Service service = service_of({1, 1});
  service.inhibit_on_failure = true;
  EXPECT_EQ(judged(service, "ud"), "sq");
  service.backends[1].inhibit_on_failure = false;
  EXPECT_EQ(judged(service, "ud"), "so");
}

TEST(Pool, SwapsToTheSorryServerAndBackAtTheQuorumWithHysteresis) {
  config::Service service = service_of({2, 2, 2, 2});
  service.sorry_server.emplace();
  service.quorum = 4;
  service.quorum_hysteresis = 1;
  EXPECT_EQ(judged(service, "uudd"), "ssoo");
  EXPECT_EQ(judged(service, "uddd", PoolState{.quorum = true}), "wooo!") << "2 < 4 - 1";
  EXPECT_EQ(judged(service, "uudd", PoolState{.quorum = false}), "wwoo!") << "4 < 4 + 1";
  EXPECT_EQ(judged(service, "uuud", PoolState{.quorum = false}), "ssso");
  service.quorum = 3;
  EXPECT_EQ(judged(service, "uddd", PoolState{.quorum = true}), "sooo") << "2 = 3 - 1";
}

TEST(Pool, AQuorumAboveAllWeightIsAllWeight) {
  config::Service service = service_of({1, 1});
  service.sorry_server.emplace();
  service.quorum = 10;
  EXPECT_EQ(judged(service, "uu"), "ss");
  EXPECT_EQ(judged(service, "ud", PoolState{.quorum = true}), "wo!");
  EXPECT_EQ(judged(service, "uu", PoolState{.quorum = false}), "ss");
}

TEST(Pool, WithoutASorryServerThoseThatAreUpGoOn) {
  config::Service service = service_of({1, 1, 1});
  service.quorum = 2;
  const PoolVerdict verdict = judge_pool(service, health_of("udd"), PoolState{.quorum = true});
  EXPECT_FALSE(verdict.state.quorum);
  EXPECT_EQ(uses(verdict), "soo");
}

TEST(Pool, BackupPoolsServeWhenThoseBeforeThemAreTooFew) {
  config::Service service = service_of({1, 1, 1, 1});
  service.quorum = 2;
  service.backends[2].priority = 1;
  service.backends[3].priority = 2;
  EXPECT_EQ(judged(service, "uuuu"), "ssww");
  EXPECT_EQ(judged(service, "uduu"), "sosw");
  EXPECT_EQ(judged(service, "dduu"), "ooss");
  EXPECT_EQ(judged(service, "dddu"), "ooos");
  service.checks.clear();
  EXPECT_TRUE(has_pool(service)) << "by priorities alone";
}

TEST(Pool, InAPanicAllServe) {
  config::Service service = service_of({1, 1, 1, 1});
  service.panic_percent = 50;
  EXPECT_EQ(judged(service, "uudd"), "ssoo") << "half of them are not fewer than half";
  EXPECT_EQ(judged(service, "uddd"), "ssss");
  EXPECT_EQ(judged(service, "dddd"), "ssss");
  service.sorry_server.emplace();
  EXPECT_EQ(judged(service, "dddd"), "oooo!");
}

TEST(Pool, DisabledAndQuiescentBackendsDoNotCount) {
  config::Service service = service_of({1, 0, 1});
  service.sorry_server.emplace();
  service.backends[2].enabled = false;
  const PoolVerdict verdict = judge_pool(service, health_of("duu"), std::nullopt);
  EXPECT_TRUE(verdict.view.sorry);
}

TEST(WithPool, LaysUsesOverTheConfiguration) {
  config::Service service = service_of({10, 10, 10, 10});
  service.on_down = config::OnDown::reset;
  service.sorry_server.emplace();
  service.sorry_server->address = address(99);
  service.sorry_server->port = 80;
  PoolView view;
  for (uint8_t i = 0; i < 4; ++i)
    view.members.push_back({.key = config::key_of(service.backends[i])});
  view.members[0].permille = 250;
  view.members[1].use = MemberUse::quiescent;
  view.members[2].use = MemberUse::standby;
  view.members[3].use = MemberUse::out;
  const config::Service result = with_pool(service, &view);
  ASSERT_EQ(result.backends.size(), 5U);
  EXPECT_EQ(result.backends[0].weight, 2);
  EXPECT_TRUE(result.backends[0].enabled);
  EXPECT_EQ(result.backends[1].weight, 0);
  EXPECT_TRUE(result.backends[1].enabled);
  EXPECT_FALSE(result.backends[2].enabled);
  EXPECT_EQ(result.backends[2].down, config::OnDown::keep);
  EXPECT_FALSE(result.backends[3].enabled);
  EXPECT_EQ(result.backends[3].down, config::OnDown::reset);
  EXPECT_FALSE(result.backends[4].enabled) << "the sorry server keeps its place";
  EXPECT_EQ(result.backends[4].address, address(99));
  view.sorry = true;
  EXPECT_TRUE(with_pool(service, &view).backends[4].enabled);
}

TEST(WithPool, AWeightOfAScriptTakesThePlaceOfTheConfiguredOne) {
  config::Service service = service_of({10, 0});
  PoolView view;
  for (uint8_t i = 0; i < 2; ++i) {
    view.members.push_back({.key = config::key_of(service.backends[i])});
    view.members[i].weight = uint16_t{40};
  }
  view.members[0].permille = 500;
  const config::Service result = with_pool(service, &view);
  EXPECT_EQ(result.backends[0].weight, 20);
  EXPECT_EQ(result.backends[1].weight, 0) << "drained by its user";
}

TEST(WithPool, ANewBackendIsAsItsChecksStart) {
  config::Service service = service_of({1});
  const PoolView nothing_yet;
  EXPECT_TRUE(with_pool(service, &nothing_yet).backends[0].enabled);
  EXPECT_TRUE(with_pool(service, nullptr).backends[0].enabled);
  service.checks[0].start = config::CheckStart::down;
  EXPECT_FALSE(with_pool(service, &nothing_yet).backends[0].enabled);
  EXPECT_FALSE(with_pool(service, nullptr).backends[0].enabled);
}

TEST(WithPool, ABackendThatDrainsKeepsItsDeadlineWhenItIsDown) {
  config::Service service = service_of({0});
  PoolView view;
  view.members.push_back({.key = config::key_of(service.backends[0]), .use = MemberUse::out});
  EXPECT_TRUE(with_pool(service, &view).backends[0].enabled);
  service.on_down = config::OnDown::reschedule;
  EXPECT_EQ(with_pool(service, &view).backends[0].down, config::OnDown::reschedule);
}

}  // namespace
}  // namespace headgate::control
