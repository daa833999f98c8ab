#include "control/health/health_book.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "control/health/health_state.h"

namespace headgate::control {
namespace {

using std::chrono::milliseconds;

net::IpAddress address(uint32_t last) {
  return net::Ipv4Address::from_host(0x0a000000U | last);
}

config::Service service_of(uint32_t backends, uint16_t port = 80) {
  config::Service service;
  service.address = net::Ipv4Address::from_host(0xc000020a);
  service.port = port;
  config::Check& check = service.checks.emplace_back();
  check.retries = 1;
  for (uint32_t i = 1; i <= backends; ++i) {
    config::Backend backend;
    backend.address = address(i);
    backend.port = 80;
    service.backends.push_back(backend);
  }
  return service;
}

class Book : public testing::Test {
 protected:
  void put(const config::Service& service) { book.put_service(service, now, update); }
  ProbeId probe_of(const config::Service& service, size_t backend) const {
    return book.probes_of(key_of(service), key_of(service.backends[backend])).at(0);
  }
  void answer(const config::Service& service, size_t backend, bool up,
              const std::string& reason = "because") {
    now.steady_ms += 10;
    now.wall_ms += 10;
    const ProbeOutcome outcome{.up = up, .reason = reason};
    (void)book.result(probe_of(service, backend), outcome, now, update);
    book.settle(now, update);
  }
  void fail(const config::Service& service, size_t backend) {
    answer(service, backend, false, "refused");
    answer(service, backend, false, "refused");
  }
  MemberUse use_of(const config::Service& service, size_t backend) const {
    const auto view = book.view(key_of(service));
    const auto member =
        std::ranges::find(view->members, key_of(service.backends[backend]), &MemberView::key);
    return member->use;
  }
  Update take() { return std::exchange(update, {}); }

  HealthBook book;
  Update update;
  Moment now{.steady_ms = 1000, .wall_ms = 1'700'000'000'000};
};

TEST_F(Book, StartsAProbeForEachBackendAndEndsItWithIt) {
  config::Service service = service_of(3);
  put(service);
  EXPECT_EQ(take().started.size(), 3U);
  const ProbeId gone = probe_of(service, 1);
  service.backends.erase(service.backends.begin() + 1);
  put(service);
  EXPECT_EQ(update.started.size(), 0U);
  EXPECT_EQ(take().ended, std::vector{gone});
  book.remove_service(key_of(service), update);
  EXPECT_EQ(take().ended.size(), 2U);
  EXPECT_EQ(book.probe_count(), 0U);
}

TEST_F(Book, TheSameCheckOfTheSameAddressIsOneProbe) {
  const config::Service one = service_of(2, 80);
  const config::Service other = service_of(2, 443);
  put(one);
  put(other);
  EXPECT_EQ(take().started.size(), 2U);
  fail(one, 0);
  EXPECT_EQ(use_of(one, 0), MemberUse::out);
  EXPECT_EQ(use_of(other, 0), MemberUse::out);
  const Update told = take();
  EXPECT_EQ(told.events.size(), 2U);
  EXPECT_EQ(told.pools.size(), 2U);
  book.remove_service(key_of(one), update);
  EXPECT_TRUE(take().ended.empty()) << "the other one needs them";
}

TEST_F(Book, OtherSettingsAreAnotherProbe) {
  config::Service service = service_of(1);
  service.checks.push_back(service.checks[0]);
  service.checks[1].interval_ms = 77;
  put(service);
  EXPECT_EQ(take().started.size(), 2U);
}

TEST_F(Book, IsUpOnlyWhenAllChecksAre) {
  config::Service service = service_of(1);
  service.checks.push_back(service.checks[0]);
  service.checks[1].port = uint16_t{8080};
  put(service);
  const auto probes = book.probes_of(key_of(service), key_of(service.backends[0]));
  const auto say = [&](size_t check, bool up) {
    for (int i = 0; i < 2; ++i)
      (void)book.result(probes[check], {.up = up, .reason = "x"}, now, update);
    book.settle(now, update);
    return use_of(service, 0);
  };
  EXPECT_EQ(say(0, true), MemberUse::serve);
  EXPECT_EQ(say(1, false), MemberUse::out);
  EXPECT_EQ(say(0, false), MemberUse::out);
  EXPECT_EQ(say(1, true), MemberUse::out);
  EXPECT_EQ(say(0, true), MemberUse::serve);
}

TEST_F(Book, TellsInWordsHowOftenItHadFailed) {
  const config::Service service = service_of(1);
  put(service);
  answer(service, 0, true);
  EXPECT_TRUE(take().events.at(0).first) << "it had counted as up";
  fail(service, 0);
  const Update told = take();
  ASSERT_EQ(told.events.size(), 2U) << "the backend and the quorum";
  EXPECT_EQ(told.events[0].reason, "refused (2 of 2)");
  EXPECT_FALSE(told.events[0].up);
  EXPECT_FALSE(told.events[0].first);
  EXPECT_FALSE(told.events[1].backend.has_value());
  const BackendLife* life = book.life(key_of(service), key_of(service.backends[0]));
  EXPECT_EQ(life->since, now.wall_ms);
  ASSERT_EQ(life->history.size(), 2U);
  EXPECT_EQ(life->history[1].reason, "refused (2 of 2)");
}

TEST_F(Book, AReloadForgetsNothingOfABackendThatStays) {
  config::Service service = service_of(2);
  put(service);
  fail(service, 0);
  take();
  service.scheduler = config::Scheduler::rr;
  std::swap(service.backends[0], service.backends[1]);
  put(service);
  EXPECT_EQ(use_of(service, 1), MemberUse::out);
  EXPECT_TRUE(update.started.empty());
  EXPECT_TRUE(update.events.empty());
  service.checks[0].timeout_ms = 123;  // another check, but the same backend
  put(service);
  EXPECT_EQ(take().started.size(), 2U);
  EXPECT_EQ(use_of(service, 1), MemberUse::out);
  answer(service, 1, true);
  EXPECT_EQ(use_of(service, 1), MemberUse::serve) << "the new check knew that it was down";
}

TEST_F(Book, WithoutChecksTheConfigurationAloneDecides) {
  config::Service service = service_of(1);
  put(service);
  fail(service, 0);
  service.checks.clear();
  put(service);
  EXPECT_EQ(book.view(key_of(service)), nullptr);
  EXPECT_EQ(take().pools.back(), key_of(service));
}

TEST_F(Book, ADisabledBackendIsNotAsked) {
  config::Service service = service_of(2);
  service.backends[0].enabled = false;
  put(service);
  EXPECT_EQ(take().started.size(), 1U);
}

TEST_F(Book, WeightComesBackBitByBit) {
  config::Service service = service_of(1);
  service.slow_start_s = 10;
  put(service);
  answer(service, 0, true);
  EXPECT_FALSE(book.ramping()) << "it was up all the time";
  fail(service, 0);
  answer(service, 0, true);
  EXPECT_TRUE(book.ramping());
  const auto permille = [&] { return book.view(key_of(service))->members[0].permille; };
  EXPECT_EQ(permille(), 10);
  now.steady_ms += 2500;
  book.ramp(now, update);
  EXPECT_EQ(permille(), 250);
  now.wall_ms -= 3'600'000;  // somebody sets the clock
  now.steady_ms += 7500;
  book.ramp(now, update);
  EXPECT_EQ(permille(), 1000);
  EXPECT_FALSE(book.ramping());
}

TEST_F(Book, AScriptsWeightReachesThePool) {
  const config::Service service = service_of(1);
  put(service);
  (void)book.result(probe_of(service, 0), {.up = true, .reason = "", .weight = 7}, now, update);
  book.settle(now, update);
  EXPECT_EQ(book.view(key_of(service))->members[0].weight, 7);
}

TEST_F(Book, ManyResultsAtOnceAreOneNewPool) {
  const config::Service service = service_of(1000);
  put(service);
  take();
  for (size_t i = 0; i < 1000; ++i) {
    for (int k = 0; k < 2; ++k)
      (void)book.result(probe_of(service, i), {.up = false, .reason = "x"}, now, update);
  }
  EXPECT_TRUE(update.pools.empty());
  EXPECT_FALSE(book.settled());
  book.settle(now, update);
  EXPECT_EQ(update.pools.size(), 1U);
  EXPECT_EQ(update.events.size(), 1001U);
}

TEST_F(Book, WhatIsSavedIsThereAfterARestart) {
  config::Service service = service_of(3);
  service.sorry_server.emplace();
  put(service);
  EXPECT_FALSE(book.saved(key_of(service)).has_value()) << "nothing to say";
  for (size_t i = 0; i < 3; ++i)
    fail(service, i);
  answer(service, 2, true, "fine \"again\"\n");
  fail(service, 2);
  const auto saved = book.saved(key_of(service));
  ASSERT_TRUE(saved.has_value());
  const std::string text = to_text({*saved});
  auto read = parse_health_state(text);
  ASSERT_TRUE(read) << read.error().text;

  HealthBook next;
  next.restore(std::move(*read));
  next.put_service(service, now, update);
  const auto view = next.view(key_of(service));
  EXPECT_TRUE(view->sorry);
  const auto backend = key_of(service.backends[2]);
  const BackendLife* life = next.life(key_of(service), backend);
  EXPECT_FALSE(life->up);
  EXPECT_EQ(life->history, book.life(key_of(service), backend)->history);
  const ProbeId probe = next.probes_of(key_of(service), backend).at(0);
  take();
  (void)next.result(probe, {.up = true, .reason = "well"}, now, update);
  next.settle(now, update);
  EXPECT_TRUE(next.life(key_of(service), backend)->up) << "it rises as one that was down";
  EXPECT_FALSE(update.events.at(0).first);
}

TEST(HealthState, RefusesWhatItDidNotWrite) {
  for (const char* text :
       {"", "{}", "[1]", "{\"version\":2,\"services\":[]}", "{\"version\":1,\"services\":[{}]}",
        "{\"version\":1,\"services\":[{\"family\":1,\"protocol\":6,\"port\":80,"
        "\"firewall_mark\":0,\"address\":\"x\"}]}",
        "{\"version\":1,\"services\":[{\"family\":1,\"protocol\":700}]}"}) {
    EXPECT_FALSE(parse_health_state(text)) << text;
  }
}

}  // namespace
}  // namespace headgate::control
