#include "config/diff.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view base = R"(
ports:
  - {name: wan, pci: 01:00.0, queues: 2}
  - {name: lan, pci: 01:00.1}
services:
  - address: 192.0.2.1
    port: 80
    mode: nat
    backends: [{address: 10.0.0.1}, {address: 10.0.0.2}, {address: 10.0.0.3}]
  - {firewall_mark: 7, backends: [{address: 10.0.0.4}]}
firewall_marks: [{mark: 7, destination: 192.0.2.7}]
)";

// The lines of the difference that `change` makes.
template <typename F>
std::vector<std::string> after(const F& change) {
  const Config running = read_good(base);
  Config wanted = running;
  change(wanted);
  return to_lines(diff(running, wanted));
}

TEST(Diff, FindsNothingBetweenEquals) {
  std::mt19937 random(4);  // NOLINT(bugprone-random-generator-seed): tests repeat
  for (int i = 0; i < 100; ++i) {
    const Config config = random_config(random);
    EXPECT_TRUE(diff(config, config).empty());
  }
}

TEST(Diff, FindsSomethingBetweenAllThatDiffer) {
  std::mt19937 random(5);  // NOLINT(bugprone-random-generator-seed): tests repeat
  Config before = random_config(random);
  for (int i = 0; i < 200; ++i) {
    Config next = random_config(random);
    if (next != before) {
      const Diff difference = diff(before, next);
      EXPECT_FALSE(difference.empty());
      EXPECT_FALSE(to_lines(difference).empty());
    }
    before = std::move(next);
  }
}

TEST(Diff, NamesServicesThatComeAndGo) {
  EXPECT_THAT(after([](Config& config) {
                config.services[1].firewall_mark = 8;
                config.services[1].backends.clear();
              }),
              ElementsAre("service mark:7/ipv4 removed, with 1 backend",
                          "service mark:8/ipv4 added, with 0 backends"));
}

TEST(Diff, NamesTheKeysOfAServiceThatChanged) {
  EXPECT_THAT(after([](Config& config) {
                config.services[0].scheduler = Scheduler::rr;
                config.services[0].name = "web";
                config.services[0].persistence = Persistence{.timeout_s = 60, .netmask = 24};
              }),
              ElementsAre("service 192.0.2.1:80/tcp: name none -> web, scheduler wlc -> rr, "
                          "persistence none -> {timeout_s: 60, netmask: 24}"));
}

TEST(Diff, NamesBackendsThatComeGoAndChange) {
  EXPECT_THAT(
      after([](Config& config) {
        auto& backends = config.services[0].backends;
        backends[0].weight = 5;
        backends[0].enabled = false;
        backends[1].port = 8080;
      }),
      ElementsAre("backend 10.0.0.2:80 of 192.0.2.1:80/tcp removed",
                  "backend 10.0.0.1:80 of 192.0.2.1:80/tcp: weight 1 -> 5, enabled on -> off",
                  "backend 10.0.0.2:8080 of 192.0.2.1:80/tcp added",
                  "service 192.0.2.1:80/tcp: order of backends changed"));
}

TEST(Diff, TheOrderOfBackendsCountsAndThatOfServicesDoesNot) {
  EXPECT_THAT(after([](Config& config) { std::ranges::reverse(config.services); }), IsEmpty());
  EXPECT_THAT(after([](Config& config) { std::ranges::reverse(config.services[0].backends); }),
              ElementsAre("service 192.0.2.1:80/tcp: order of backends changed"));
  // Neither taking one out nor adding one at the end moves the others.
  EXPECT_THAT(after([](Config& config) {
                auto& backends = config.services[0].backends;
                backends.erase(backends.begin());
                backends.push_back(backends.back());
                backends.back().port = 81;
              }),
              ElementsAre("backend 10.0.0.1:80 of 192.0.2.1:80/tcp removed",
                          "backend 10.0.0.3:81 of 192.0.2.1:80/tcp added"));
}

TEST(Diff, SaysWhichSettingsNeedARestart) {
  const auto lines = after([](Config& config) {
    config.ports[0].queues = 4;
    config.ports[0].twin.addresses = {*net::parse_prefix("10.0.0.1/24")};
    config.workers.cores = {1, 2};
    config.timeouts.udp_s = 60;
    config.connections.max_ipv4 = 4096;
    config.memory.max_backends = 100;
  });
  EXPECT_THAT(lines, ElementsAre("ports[wan].twin.addresses [] -> [10.0.0.1/24]",
                                 "timeouts.udp_s 300 -> 60",
                                 "workers.cores auto -> [1, 2]: needs a restart",
                                 "memory.max_backends 65536 -> 100: needs a restart",
                                 "ports[wan].queues 2 -> 4: needs a restart",
                                 "connections.max_ipv4 1048576 -> 4096: needs a restart"));
}

TEST(Diff, ListsAreComparedByNamesAndIds) {
  EXPECT_THAT(
      after([](Config& config) {
        config.ports.erase(config.ports.begin());
        config.ports.push_back(config.ports[0]);
        config.ports[1].name = "dmz";
        config.ports[1].pci = "0000:01:00.2";
        config.ports[0].vlans.push_back(
            {.id = 5, .name = {}, .addresses = {}, .routes = {}, .mtu = {}});
        config.ports[0].twin.enabled = false;
      }),
      ElementsAre("ports[lan].twin {} -> none: needs a restart",
                  "ports[lan].vlans[5] added: needs a restart", "ports[dmz] added: needs a restart",
                  "ports[wan] removed: needs a restart"));
  EXPECT_THAT(after([](Config& config) { std::swap(config.ports[0], config.ports[1]); }),
              ElementsAre("ports [wan, lan] -> [lan, wan]: needs a restart"));
}

TEST(Diff, LongListsShowWhatCameAndWent) {
  Config running = read_good(
      "ports: [{name: p, pci: 01:00.0}]\nforwarding: {local_addresses: [10.0.0.1-10.0.0.20]}\n");
  Config wanted = running;
  auto& addresses = wanted.forwarding.local_addresses;
  addresses.erase(addresses.begin());
  addresses.push_back(*net::parse_ip("10.0.9.9"));
  EXPECT_THAT(to_lines(diff(running, wanted)),
              ElementsAre("forwarding.local_addresses 20 entries -> 20 entries (-10.0.0.1 "
                          "+10.0.9.9)"));
  EXPECT_FALSE(diff(running, wanted).needs_restart());
}

}  // namespace
}  // namespace headgate::config
