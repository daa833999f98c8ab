// The rules of what services and backends have of health checks.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/limits.h"
#include "config/validate.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What is wrong with one service with these keys, on line 3, and with the sections in `rest`.
std::vector<std::string> with(std::string_view keys,
                              std::string_view backends = "{address: 10.0.0.1}",
                              std::string_view rest = {}) {
  return problems_after_port(
      fmt::format("services:\n  - {{address: 192.0.2.1, port: 80, {}, backends: [{}]}}\n{}", keys,
                  backends, rest));
}
constexpr std::string_view two = "{address: 10.0.0.1, weight: 2}, {address: 10.0.0.2, weight: 3}";

// ---- what is written and does nothing

TEST(ValidateHealth, WarnsOfWhatNeedsChecksWhereThereAreNone) {
  EXPECT_THAT(with("inhibit_on_failure: on, on_down: reset, panic_percent: 30"),
              ElementsAre("t.yaml:3:56: warning: services[0].inhibit_on_failure: has no effect: "
                          "there are no `checks` that could find a backend down",
                          HasSubstr("warning: services[0].on_down: has no effect"),
                          HasSubstr("warning: services[0].panic_percent: has no effect")));
  EXPECT_THAT(with("on_down: reset, panic_percent: 30", "{address: 10.0.0.1, checks: [{}]}"),
              IsEmpty());
  EXPECT_THAT(with("on_down: reset, checks: [{}]", ""), IsEmpty()) << "backends may come later";
}

TEST(ValidateHealth, WarnsOfSlowStartWithSchedulersWithoutWeights) {
  for (const std::string_view scheduler : {"rr", "lc", "dh"}) {
    EXPECT_THAT(with(fmt::format("checks: [{{}}], slow_start_s: 9, scheduler: {}", scheduler)),
                ElementsAre(HasSubstr(fmt::format("warning: services[0].slow_start_s: has no "
                                                  "effect: scheduler {} does not look at weights",
                                                  scheduler))));
  }
  for (const std::string_view scheduler : {"wrr", "wlc", "sed", "nq", "sh", "fo", "mh"}) {
    EXPECT_THAT(with(fmt::format("checks: [{{}}], slow_start_s: 9, scheduler: {}", scheduler)),
                IsEmpty())
        << scheduler;
  }
}

TEST(ValidateHealth, ConnectionsOfInhibitedBackendsGoOn) {
  constexpr std::string_view keys = "checks: [{}], inhibit_on_failure: on, on_down: reset";
  EXPECT_THAT(with(keys),
              ElementsAre(HasSubstr("warning: services[0].on_down: has no effect: by "
                                    "`inhibit_on_failure` backends that are down stay with weight "
                                    "0, and keep their connections")));
  EXPECT_THAT(with(keys, "{address: 10.0.0.1}, {address: 10.0.0.2, inhibit_on_failure: off}"),
              IsEmpty());
  EXPECT_THAT(with("checks: [{}], on_down: reset", "{address: 10.0.0.1, inhibit_on_failure: on}"),
              ElementsAre(HasSubstr("on_down: has no effect")));
}

TEST(ValidateHealth, UdpKnowsNoReset) {
  EXPECT_THAT(with("protocol: udp, checks: [{}], on_down: reset"),
              ElementsAre("t.yaml:3:74: warning: services[0].on_down: UDP knows no reset: flows "
                          "are forgotten, as by `reschedule`"));
  EXPECT_THAT(with("protocol: udp, checks: [{}], on_down: reschedule"), IsEmpty());
}

TEST(ValidateHealth, PassiveSignsAreSeenInNatAndFullnatAndStartChecks) {
  EXPECT_THAT(with("mode: nat, checks: [{}], passive: {}"), IsEmpty());
  EXPECT_THAT(with("checks: [{}], passive: {}", "{address: 10.0.0.1, mode: nat}"), IsEmpty());
  EXPECT_THAT(with("checks: [{}], passive: {}"),
              ElementsAre(HasSubstr("warning: services[0].passive: has no effect: no backend is in "
                                    "nat or fullnat mode, where answers are seen")));
  EXPECT_THAT(with("mode: nat, passive: {}"),
              ElementsAre(HasSubstr("warning: services[0].passive: has no effect: it starts a "
                                    "check early, and there are no `checks`")));
  EXPECT_THAT(with("mode: nat, checks: [{}], passive: {failures: 0, window_ms: 99}"),
              ElementsAre(HasSubstr("passive.failures: 0 is below 1"),
                          HasSubstr("passive.window_ms: 99 is below 100")));
  EXPECT_THAT(with("passive: none"), IsEmpty());
}

// ---- quorum

TEST(ValidateHealth, HysteresisIsBelowTheQuorum) {
  EXPECT_THAT(with("quorum: 3, quorum_hysteresis: 2", two), IsEmpty());
  EXPECT_THAT(with("quorum: 3, quorum_hysteresis: 3", two),
              ElementsAre("t.yaml:3:66: services[0].quorum_hysteresis: 3 is not below quorum, 3: a "
                          "quorum once had would never be lost"));
  EXPECT_THAT(with("quorum_hysteresis: 1", two),
              ElementsAre(HasSubstr("1 is not below quorum, 1")));
  EXPECT_THAT(with("quorum: 0"), ElementsAre(HasSubstr("quorum: 0 is below 1")));
}

TEST(ValidateHealth, WarnsOfAQuorumBeyondAllWeights) {
  EXPECT_THAT(with("quorum: 5", two), IsEmpty());
  EXPECT_THAT(with("quorum: 6", two),
              ElementsAre("t.yaml:3:44: warning: services[0].quorum: a weight of 6 is needed, and "
                          "all backends together have 5: that much is enough"));
  EXPECT_THAT(with("quorum: 4, quorum_hysteresis: 2", two),
              ElementsAre(HasSubstr("warning: services[0].quorum: a weight of 6 is needed with "
                                    "`quorum_hysteresis`, and all backends together have 5")));
  EXPECT_THAT(with("quorum: 5",
                   "{address: 10.0.0.1, weight: 5, enabled: off}, "
                   "{address: 10.0.0.2, weight: 3}"),
              ElementsAre(HasSubstr("all backends together have 3")));
  EXPECT_THAT(with("quorum: 6", ""), IsEmpty()) << "backends may come later";
  EXPECT_THAT(with("quorum: 1", "{address: 10.0.0.1, weight: 0}"), IsEmpty());
}

TEST(ValidateHealth, PercentagesAndPrioritiesHaveRanges) {
  EXPECT_THAT(with("checks: [{}], panic_percent: 100", "{address: 10.0.0.1, priority: 65535}"),
              IsEmpty());
  EXPECT_THAT(with("checks: [{}], panic_percent: 101", "{address: 10.0.0.1, priority: 65536}"),
              ElementsAre(HasSubstr("panic_percent: 101 is above 100"),
                          HasSubstr("priority: 65536 is above 65535")));
}

// ---- sorry server

TEST(ValidateHealth, ASorryServerHasAnAddressOfTheFamily) {
  EXPECT_THAT(with("sorry_server: {address: 10.0.0.9}"), IsEmpty());
  EXPECT_THAT(with("sorry_server: {address: \"fd00::9\", mode: ipip}"), IsEmpty());
  EXPECT_THAT(with("sorry_server: none"), IsEmpty());
  EXPECT_THAT(with("sorry_server: {}"),
              ElementsAre("t.yaml:3:50: services[0].sorry_server.address: is missing: the address "
                          "of the server"));
  EXPECT_THAT(with("sorry_server: {address: \"fd00::9\"}"),
              ElementsAre(HasSubstr("sorry_server.address: fd00::9 is ipv6 and the service is "
                                    "ipv4: dr cannot translate between the two")));
  EXPECT_THAT(with("sorry_server: {address: 192.0.2.1}"),
              ElementsAre(HasSubstr("sorry_server.address: 192.0.2.1 is the service's own "
                                    "address")));
}

TEST(ValidateHealth, ASorryServerIsNoneOfTheBackends) {
  EXPECT_THAT(with("sorry_server: {address: 10.0.0.2}", two),
              ElementsAre("t.yaml:3:60: services[0].sorry_server.address: 10.0.0.2:80 is "
                          "backends[1] already: one that waits for the others is a backend of a "
                          "higher `priority`"));
  EXPECT_THAT(with("mode: nat, sorry_server: {address: 10.0.0.2, port: 81}", two), IsEmpty());
}

TEST(ValidateHealth, ASorryServerInFullnatNeedsLocalAddresses) {
  EXPECT_THAT(with("sorry_server: {address: 10.0.0.9, mode: fullnat}"),
              ElementsAre(HasSubstr("local_addresses: no ipv4 address, which fullnat needs")));
  EXPECT_THAT(with("local_addresses: [10.9.0.1], sorry_server: {address: 10.0.0.9, mode: fullnat}"),
              IsEmpty());
}

TEST(ValidateHealth, ASorryServerCountsAsABackend) {
  EXPECT_THAT(with("sorry_server: {address: 10.0.0.9}", two, "memory: {max_backends: 2}\n"),
              ElementsAre(HasSubstr("services: 3 backends and sorry servers in all, and "
                                    "memory.max_backends allows 2: raise it")));
  Config config =
      read_good("ports: [{name: p, pci: 01:00.0}]\nservices: [{address: 192.0.2.1, port: 80}]\n");
  Service& service = config.services[0];
  Backend backend;
  backend.port = 80;
  for (uint32_t i = 0; i < max_backends_per_service; ++i) {
    backend.address = net::Ipv4Address::from_host(0x0a000001 + i);
    service.backends.push_back(backend);
  }
  EXPECT_THAT(lines_of(validate(config)), IsEmpty());
  service.sorry_server.emplace().address = *net::parse_ip("10.9.0.1");
  EXPECT_THAT(lines_of(validate(config)),
              ElementsAre("services[0].backends: 65535 backends with the sorry server, and a "
                          "service can have 65534"));
}

// ---- who is told

TEST(ValidateHealth, NotifyCommandsAreCheckedForServicesAndBackends) {
  EXPECT_THAT(with("notify: {backend_up: x, backend_down: /b, quorum_up: \"/c 'd\", "
                   "quorum_down: e, any: f}",
                   "{address: 10.0.0.1, notify: {up: g, down: h}}"),
              ElementsAre("t.yaml:3:57: services[0].notify.backend_up: \"x\" does not begin with "
                          "an absolute path, and no shell looks the program up: write the path, or "
                          "`shell: on`",
                          HasSubstr("services[0].notify.quorum_up: \"/c 'd\" ends within quotes"),
                          HasSubstr("services[0].notify.quorum_down: \"e\" does not begin"),
                          HasSubstr("services[0].notify.any: \"f\" does not begin"),
                          HasSubstr("services[0].backends[0].notify.up: \"g\" does not begin"),
                          HasSubstr("services[0].backends[0].notify.down: \"h\" does not begin")));
  EXPECT_THAT(with("notify: {any: x, shell: on}", "{address: 10.0.0.1, notify: {up: g}}"),
              IsEmpty())
      << "the shell is the service's";
  EXPECT_THAT(with("notify: {user: \"a b\"}"),
              ElementsAre(HasSubstr("notify.user: \"a b\" is not USER or USER:GROUP")));
}

TEST(ValidateHealth, MailNeedsAServerASenderAndARecipient) {
  EXPECT_THAT(with("notify: {mail: on}"),
              ElementsAre(HasSubstr("services[0].notify.mail: needs a mail server and recipients: "
                                    "add the section `vrrp.mail`")));
  EXPECT_THAT(with("notify: {mail: on}", "{address: 10.0.0.1}",
                   "vrrp: {mail: {server: mx, from: a@b, to: [c@d]}}\n"),
              IsEmpty());
}

TEST(ValidateHealth, TheStateIsNoPipe) {
  EXPECT_THAT(problems_after_port("health: {state_file: /run/a, notify_fifo: /run/b}\n"),
              IsEmpty());
  EXPECT_THAT(problems_after_port("health: {state_file: /run/a, notify_fifo: /run/a}\n"),
              ElementsAre("t.yaml:2:22: health.state_file: /run/a is `notify_fifo` as well: the "
                          "one is a file, the other a pipe"));
  EXPECT_THAT(problems_after_port("health: {probe_network_v4: 198.18.0.0/25}\n"),
              ElementsAre(HasSubstr("health.probe_network_v4: 198.18.0.0/25 is not an IPv4 network "
                                    "of /24 or larger")));
  EXPECT_THAT(problems_after_port("health: {probe_network_v4: \"fd00::/64\"}\n"),
              ElementsAre(HasSubstr("health.probe_network_v4: fd00::/64 is not an IPv4 network")));
  EXPECT_THAT(problems_after_port("health: {state_file: a, scripts_at_once: 0}\n"),
              ElementsAre(HasSubstr("health.state_file: \"a\" is not an absolute path"),
                          HasSubstr("health.scripts_at_once: 0 is below 1")));
}

TEST(ValidateHealth, SaysNothingThatOnlyFollowsFromWhatCouldNotBeRead) {
  EXPECT_THAT(with("mode: nta, checks: [{}], passive: {}"),
              ElementsAre(HasSubstr("mode: \"nta\" is not")));
  EXPECT_THAT(with("checks: 5, on_down: reset"), ElementsAre(HasSubstr("services[0].checks")));
  EXPECT_THAT(with("sorry_server: {address: x}"),
              ElementsAre(HasSubstr("sorry_server.address: \"x\" is not an IPv4 or IPv6 address")));
  EXPECT_THAT(with("quorum: x, quorum_hysteresis: 5", two),
              ElementsAre(HasSubstr("quorum: \"x\" is not a whole number")));
}

}  // namespace
}  // namespace headgate::config
