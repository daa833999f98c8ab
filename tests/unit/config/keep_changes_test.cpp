// What commands changed, on top of what a file says now.
#include "config/keep_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/diff.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view file = R"(
ports: [{name: p, pci: 0000:01:00.0}]
timeouts: {udp_s: 30}
services:
  - address: 192.0.2.1
    port: 80
    mode: nat
    scheduler: rr
    backends: [{address: 10.0.0.1}, {address: 10.0.0.2}, {address: 10.0.0.3}]
  - {address: 192.0.2.2, port: 80, mode: nat, backends: [{address: 10.0.0.1}]}
)";

Service a_service(std::string_view address, std::string_view backend) {
  Service service;
  service.address = *net::parse_ip(address);
  service.port = 80;
  service.mode = Mode::nat;
  service.backends.emplace_back().address = *net::parse_ip(backend);
  service.backends[0].port = 80;
  return service;
}

class Keeping : public testing::Test {
 protected:
  // What would run, as a difference to what the file says.
  std::vector<std::string> kept() {
    KeptChanges result = keep_changes(base, running, wanted);
    lost = result.lost;
    return to_lines(diff(wanted, result.config));
  }

  Config base = read_good(file);
  Config running = base;
  Config wanted = base;
  std::vector<std::string> lost;
};

TEST_F(Keeping, NothingChangedMeansTheFile) {
  wanted.services[0].scheduler = Scheduler::wlc;
  wanted.services.pop_back();
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_THAT(lost, IsEmpty());
}

TEST_F(Keeping, ChangesOfBothSidesMeetKeyByKey) {
  running.services[0].backends[1].weight = 0;
  running.services[0].persistence.emplace().timeout_s = 50;
  running.timeouts.udp_s = 60;
  wanted.services[0].backends[1].weight = 7;
  wanted.services[0].backends[1].upper_threshold = 100;
  wanted.services[0].scheduler = Scheduler::sh;
  wanted.timeouts.tcp_established_s = 100;
  EXPECT_THAT(kept(), ElementsAre("service 192.0.2.1:80/tcp: persistence none -> {timeout_s: 50}",
                                  "backend 10.0.0.2:80 of 192.0.2.1:80/tcp: weight 7 -> 0",
                                  "timeouts.udp_s 30 -> 60"));
}

TEST_F(Keeping, WhatCameStaysAndWhatWentStaysAway) {
  running.services[0].backends.erase(running.services[0].backends.begin());
  running.services[0].backends.push_back(a_service("192.0.2.9", "10.0.0.9").backends[0]);
  running.services.erase(running.services.begin() + 1);
  running.services.push_back(a_service("192.0.2.3", "10.0.0.7"));
  EXPECT_THAT(kept(), ElementsAre("service 192.0.2.2:80/tcp removed, with 1 backend",
                                  "backend 10.0.0.1:80 of 192.0.2.1:80/tcp removed",
                                  "backend 10.0.0.9:80 of 192.0.2.1:80/tcp added",
                                  "service 192.0.2.3:80/tcp added, with 1 backend"));
}

TEST_F(Keeping, WhatTheFileRemovesGoes) {
  running.services[1].backends[0].weight = 5;
  running.services[0].backends[2].weight = 5;
  wanted.services.pop_back();
  wanted.services[0].backends.pop_back();
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_THAT(lost, ElementsAre("192.0.2.2:80/tcp is not in the file any more: what commands "
                                "changed about it is gone with it"));
}

TEST_F(Keeping, WhatBothAddedIsOne) {
  Service service = a_service("192.0.2.3", "10.0.0.7");
  service.scheduler = Scheduler::wlc;  // the default, and a choice all the same
  running.services.push_back(service);
  service.scheduler = Scheduler::rr;
  service.backends = a_service("192.0.2.3", "10.0.0.8").backends;
  wanted.services.push_back(service);
  EXPECT_THAT(kept(), ElementsAre("service 192.0.2.3:80/tcp: scheduler rr -> wlc",
                                  "backend 10.0.0.7:80 of 192.0.2.3:80/tcp added"));
}

TEST_F(Keeping, TheSameTwiceChangesNothingMore) {
  running.services[0].backends[1].weight = 0;
  running.services.push_back(a_service("192.0.2.3", "10.0.0.7"));
  wanted.services[0].scheduler = Scheduler::sh;
  const Config once = keep_changes(base, running, wanted).config;
  EXPECT_EQ(keep_changes(wanted, once, wanted).config, once);
}

}  // namespace
}  // namespace headgate::config
