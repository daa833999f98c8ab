// Reading, dump and diff of health checks and of what they decide on.
#include <algorithm>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/diff.h"
#include "config/dump.h"
#include "config/keys.h"
#include "config/limits.h"
#include "config/validate.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view base = R"(
ports: [{name: p, pci: "01:00.0"}]
services:
  - address: 192.0.2.1
    port: 80
    mode: nat
    checks:
      - {type: http, port: 8080, http: {urls: [{path: /a}]}}
      - {type: tcp}
    backends:
      - {address: 10.0.0.1, checks: [{type: ping}]}
      - {address: 10.0.0.2}
)";

// The lines of the difference that `change` makes in the one service.
template <typename F>
std::vector<std::string> after(const F& change) {
  const Config running = read_good(base);
  Config wanted = running;
  change(wanted.services[0]);
  const Diff difference = diff(running, wanted);
  EXPECT_FALSE(difference.needs_restart());
  return to_lines(difference);
}

TEST(HealthDocument, ReadsWhatTheModelHolds) {
  const Config config = read_good(base);
  const Service& service = config.services.at(0);
  ASSERT_EQ(service.checks.size(), 2U);
  EXPECT_EQ(service.checks[0].type, CheckType::http);
  EXPECT_EQ(service.checks[0].port, 8080);
  EXPECT_EQ(service.checks[0].http.urls.at(0).path, "/a");
  EXPECT_EQ(service.checks[1], Check{}) << "type tcp is the default";
  EXPECT_EQ(service.backends.at(0).checks.at(0).type, CheckType::ping);
  EXPECT_FALSE(service.backends[0].notify.has_value());
  EXPECT_TRUE(service.backends[1].checks.empty());
  EXPECT_FALSE(service.sorry_server.has_value());
  EXPECT_FALSE(service.passive.has_value());
  EXPECT_EQ(service.quorum, 1U);
  EXPECT_EQ(config.health, Health{});
}

TEST(HealthDocument, AStatusIsACodeOrARange) {
  const Config config = read_good(
      "ports: [{name: p, pci: 01:00.0}]\nservices:\n  - {address: 192.0.2.1, port: 80, "
      "checks: [{type: http, http: {version: 1.0, urls: [{status: [200, 301-302]}]}}]}\n");
  const CheckHttp& http = config.services.at(0).checks.at(0).http;
  EXPECT_EQ(http.version, HttpVersion::http_1_0);
  EXPECT_THAT(http.urls.at(0).status, ElementsAre(StatusRange{200, 200}, StatusRange{301, 302}));
}

TEST(HealthDocument, ReadsBackAsItWasDumped) {
  std::mt19937 random(11);  // NOLINT(bugprone-random-generator-seed): tests repeat
  std::map<CheckType, size_t> types;
  for (int i = 0; i < 200; ++i) {
    const Config config = random_config(random);
    for (const Service& service : config.services) {
      for (const Check& check : service.checks)
        ++types[check.type];
    }
    for (const Defaults defaults : {Defaults::omit, Defaults::write}) {
      const Config again = read_good_but_warnings(to_yaml(config, defaults));
      EXPECT_EQ(again.services, config.services);
      EXPECT_EQ(again.health, config.health);
    }
  }
  EXPECT_EQ(types.size(), 8U) << "of every type";
}

TEST(HealthDocument, SectionsThatAreLeftOutHaveAWord) {
  const std::string text = to_yaml(read_good(base), Defaults::write);
  EXPECT_THAT(text, HasSubstr("\n    sorry_server: none\n"));
  EXPECT_THAT(text, HasSubstr("\n    passive: none\n"));
  EXPECT_THAT(text, HasSubstr("\n        notify: auto\n")) << "a backend's is the service's";
  EXPECT_THAT(text, HasSubstr("\n        checks: []\n"));
  EXPECT_EQ(read_good(text), read_good(base));
}

TEST(HealthDocument, AllButTheProbeNetworksTakesEffectByReload) {
  size_t keys = 0;
  for (const KeyInfo& key : known_keys()) {
    if (!key.path.starts_with("health") && !key.path.contains(".checks")) continue;
    // The route to the probe networks is set once.
    EXPECT_EQ(key.needs_restart, key.path.contains("probe_network")) << key.path;
    ++keys;
  }
  EXPECT_GT(keys, 90U);
}

TEST(HealthDocument, NoSectionHasMoreKeysThanTheReaderKeepsTrackOf) {
  std::map<std::string, size_t> counts;
  for (const KeyInfo& key : known_keys())
    ++counts[key.path.substr(0, std::min(key.path.rfind('.'), key.path.size()))];
  for (const auto& [section, count] : counts) {
    EXPECT_LE(count, max_keys) << section;
  }
  EXPECT_GT(counts["services"], 20U);
}

TEST(HealthDocument, DiffNamesChecksByTypeAndPort) {
  EXPECT_THAT(after([](Service& service) {
                service.checks[0].interval_ms = 2000;
                service.checks[0].http.urls.emplace_back().path = "/b";
                service.checks[0].http.urls[0].status = {{200, 200}, {301, 302}};
                service.checks[1].timeout_ms = 500;
              }),
              ElementsAre("service 192.0.2.1:80/tcp: checks[http:8080].interval_ms 5000 -> 2000, "
                          "checks[http:8080].http.urls[/a].status [] -> [200, 301-302], "
                          "checks[http:8080].http.urls[/b] added, "
                          "checks[tcp].timeout_ms 5000 -> 500"));
  EXPECT_THAT(
      after([](Service& service) {
        service.checks.erase(service.checks.begin());
        service.checks.emplace_back().type = CheckType::dns;
      }),
      ElementsAre("service 192.0.2.1:80/tcp: checks[dns] added, checks[http:8080] removed"));
  EXPECT_THAT(after([](Service& service) { std::swap(service.checks[0], service.checks[1]); }),
              ElementsAre("service 192.0.2.1:80/tcp: checks [http:8080, tcp] -> [tcp, http:8080]"));
}

TEST(HealthDocument, DiffNamesWhatServicesAndBackendsHave) {
  EXPECT_THAT(after([](Service& service) {
                service.on_down = OnDown::reset;
                service.sorry_server.emplace().address = *net::parse_ip("10.0.0.9");
                service.sorry_server->port = 80;
                service.notify.any = "/n";
              }),
              ElementsAre("service 192.0.2.1:80/tcp: on_down keep -> reset, "
                          "sorry_server none -> {address: 10.0.0.9, port: 80}, "
                          "notify.any none -> /n"));
  EXPECT_THAT(after([](Service& service) {
                service.backends[0].checks.clear();
                service.backends[0].notify.emplace().up = "/u";
                service.backends[1].priority = 3;
                service.backends[1].inhibit_on_failure = true;
              }),
              ElementsAre("backend 10.0.0.1:80 of 192.0.2.1:80/tcp: checks[ping] removed, "
                          "notify auto -> {up: /u}",
                          "backend 10.0.0.2:80 of 192.0.2.1:80/tcp: priority 0 -> 3, "
                          "inhibit_on_failure auto -> on"));
}

TEST(HealthDocument, ServicesAndHealthDifferAlone) {
  const Config running = read_good(base);
  Config wanted = running;
  wanted.health.scripts_at_once = 8;
  EXPECT_THAT(to_lines(diff(running, wanted)), ElementsAre("health.scripts_at_once 64 -> 8"));
}

TEST(HealthDocument, KeysOfKeepalivedAreExplained) {
  EXPECT_THAT(
      problems_after_port("services:\n  - address: 192.0.2.1\n    port: 80\n    delay_loop: 6\n"
                          "    hysteresis: 1\n    quorum_up: /a\n    alpha: on\n    omega: on\n"
                          "    backends:\n      - address: 10.0.0.1\n        notify_down: /b\n"
                          "        TCP_CHECK: {connect_port: 80}\n"),
      ElementsAre(HasSubstr("delay_loop: unknown key; did you mean checks?"),
                  HasSubstr("hysteresis: unknown key; did you mean quorum_hysteresis?"),
                  HasSubstr("quorum_up: unknown key; did you mean notify?"),
                  HasSubstr("alpha: unknown key; did you mean checks?"),
                  HasSubstr("omega: unknown key; did you mean notify?"),
                  HasSubstr("notify_down: unknown key; did you mean notify?"),
                  HasSubstr("TCP_CHECK: unknown key; did you mean checks?"),
                  HasSubstr("checks: a section, where a list is expected")));
}

TEST(HealthDocument, KeysOfKeepalivedInChecksAreExplained) {
  const auto meant = [](std::string_view type, std::string_view key) {
    const std::string text = fmt::format(
        "services:\n  - {{address: 192.0.2.1, port: 80, checks: [{{type: {}, {}: 1}}]}}\n", type,
        key);
    constexpr std::string_view mark = "did you mean ";
    for (const std::string& problem : problems_after_port(text)) {
      if (const size_t at = problem.find(mark); at != std::string::npos) {
        return problem.substr(at + mark.size());
      }
    }
    return std::string("nothing");
  };
  EXPECT_EQ(meant("tcp", "delay_loop"), "interval_ms?");
  EXPECT_EQ(meant("tcp", "connect_timeout"), "timeout_ms?");
  EXPECT_EQ(meant("tcp", "connect_ip"), "address?");
  EXPECT_EQ(meant("tcp", "connect_port"), "port?");
  EXPECT_EQ(meant("tcp", "bindto"), "source?");
  EXPECT_EQ(meant("tcp", "bind_port"), "source_port?");
  EXPECT_EQ(meant("tcp", "fwmark"), "mark?");
  EXPECT_EQ(meant("tcp", "alpha"), "start?");
  EXPECT_EQ(meant("tcp", "retry"), "retries?");
  EXPECT_EQ(meant("http", "nb_get_retry"), "retries?");
  EXPECT_EQ(meant("http", "delay_before_retry"), "retry_delay_ms?");
  EXPECT_EQ(meant("http", "virtualhost"), "http?");
  EXPECT_EQ(meant("script", "misc_path"), "script?");
  EXPECT_EQ(meant("script", "misc_timeout"), "timeout_ms?");
}

}  // namespace
}  // namespace headgate::config
