#include "control/change_plan.h"

#include <string>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "config/reader.h"
#include "control/config_fields.h"
#include "control/edits.h"

namespace headgate::control {
namespace {

using Lines = std::vector<std::string>;

std::shared_ptr<const config::Config> base() {
  const auto reading = config::read_text(R"(
ports:
  - {name: wan, interface: eth0}
services:
  - name: web
    address: 192.0.2.1
    port: 80
    mode: nat
    drain_deadline_s: 60
    backends:
      - {name: one, address: 10.0.0.1, weight: 5}
      - {address: 10.0.0.2, port: 8080}
  - address: 192.0.2.1
    port: 53
    protocol: udp
    mode: nat
    backends:
      - {address: 10.0.0.1}
)",
                                         "test.yaml");
  EXPECT_TRUE(reading.has_value()) << config::to_string(reading.error());
  return std::make_shared<const config::Config>(reading->config);
}

boost::json::object fields(const char* text) {
  return boost::json::parse(text).as_object();
}

// The lines of one edit on base(), or its error.
Lines lines_of(const Edit& edit) {
  const std::vector<Edit> edits{edit};
  const ChangePlan plan = plan_changes(base(), edits, {});
  if (!plan.results.at(0)) return {"error: " + plan.results[0].error().text};
  return plan.results[0]->changes;
}

TEST(Edits, SayWhatTheyChanged) {
  EXPECT_EQ(lines_of(edit_backend("web", "one", fields(R"({"weight": 7})"))),
            Lines{"backend 10.0.0.1:80 of 192.0.2.1:80/tcp: weight 5 -> 7"});
  EXPECT_EQ(lines_of(edit_service("web", fields(R"({"scheduler": "mh", "hash_port": true})"))),
            Lines{"service 192.0.2.1:80/tcp: scheduler wlc -> mh, hash_port off -> on"});
  EXPECT_EQ(lines_of(edit_backend("web", "one", fields(R"({"weight": 5})"))), Lines{});
  EXPECT_EQ(lines_of(set_timeouts(fields(R"({"udp_s": 30})"))), Lines{"timeouts.udp_s 300 -> 30"});
}

TEST(Edits, AddAndDelete) {
  const std::vector<Edit> edits{
      add_service("192.0.2.9:443", fields(R"({"mode": "nat", "name": "tls"})")),
      add_backend("tls", "10.0.0.9", fields(R"({"weight": 3})")),
      delete_backend("web", "10.0.0.2"),
      delete_service("192.0.2.1:53"),
  };
  const ChangePlan plan = plan_changes(base(), edits, {});
  for (const auto& result : plan.results)
    EXPECT_TRUE(result.has_value()) << result.error().text;
  ASSERT_EQ(plan.wanted->services.size(), 2U);
  EXPECT_EQ(plan.wanted->services[0].backends.size(), 1U);
  EXPECT_EQ(plan.wanted->services[1].name, "tls");
  EXPECT_EQ(plan.wanted->services[1].backends.at(0).port, 443) << "the service's port";
  EXPECT_EQ(plan.wanted->services[1].backends[0].weight, 3);
  EXPECT_EQ(plan.scope.services.size(), 3U);
  EXPECT_FALSE(plan.scope.settings);
}

TEST(Edits, MistakesNameThePlaceAndTheRemedy) {
  const auto error = [](const Edit& edit) { return lines_of(edit).at(0); };
  EXPECT_EQ(error(add_service("192.0.2.1:80", {})),
            "error: service 192.0.2.1:80/tcp is there already; change it with `headgate service "
            "edit`");
  EXPECT_EQ(error(add_backend("web", "10.0.0.1", {})),
            "error: backend 10.0.0.1:80 of web is there already; change it with `headgate backend "
            "edit`");
  EXPECT_EQ(error(delete_service("nope")),
            "error: there is no service \"nope\"; `headgate show services` lists them");
  EXPECT_EQ(error(edit_service("web", fields(R"({"colour": "red"})"))),
            "error: colour: there is no such setting");
  EXPECT_EQ(error(edit_service("web", fields(R"({"port": 81})"))),
            "error: port: there is no such setting")
      << "the identity of a service is not edited";
  EXPECT_EQ(error(edit_backend("web", "one", fields(R"({"weight": 70000})"))),
            "error: weight: 70000 is above 65535");
  EXPECT_EQ(error(edit_service("web", fields(R"({"mode": "nta"})"))).substr(0, 12), "error: mode:");
  EXPECT_EQ(error(edit_service("web", fields(R"({"scheduler": ["rr"]})"))),
            "error: scheduler: must be a number, a text, true or false");
  // What no single value shows, the rules between them find.
  EXPECT_NE(
      error(edit_backend("web", "one", fields(R"({"mode": "fullnat"})"))).find("local_addresses"),
      std::string::npos);
}

TEST(Edits, DrainSetsTheWeightAndAsksForTheDeadline) {
  const auto drain = [](DrainTime time) {
    const std::vector<Edit> edits{drain_backend("web", "one", time)};
    ChangePlan plan = plan_changes(base(), edits, {});
    EXPECT_EQ(plan.wanted->services[0].backends[0].weight, 0);
    EXPECT_EQ(plan.scope.drains.size(), 1U);
    return plan.scope.drains.at(0).deadline_s;
  };
  EXPECT_EQ(drain({}), 60U) << "the service's own deadline";
  EXPECT_EQ(drain({.as_configured = false, .deadline_s = 30}), 30U);
  EXPECT_EQ(drain({.as_configured = false, .deadline_s = std::nullopt}), std::nullopt);
}

TEST(ChangePlan, ABadEditFailsAloneAndTheOthersHold) {
  const std::vector<Edit> edits{
      edit_backend("web", "one", fields(R"({"weight": 7})")),
      edit_backend("web", "one", fields(R"({"mode": "fullnat"})")),  // found by validation only
      delete_service("nope"),
      edit_backend("web", "10.0.0.2", fields(R"({"weight": 9})")),
  };
  const ChangePlan plan = plan_changes(base(), edits, {});
  EXPECT_TRUE(plan.results.at(0).has_value());
  EXPECT_FALSE(plan.results.at(1).has_value());
  EXPECT_FALSE(plan.results.at(2).has_value());
  EXPECT_TRUE(plan.results.at(3).has_value());
  EXPECT_EQ(plan.wanted->services[0].backends[0].weight, 7);
  EXPECT_EQ(plan.wanted->services[0].backends[0].mode, std::nullopt);
  EXPECT_EQ(plan.wanted->services[0].backends[1].weight, 9);
}

TEST(ChangePlan, WhatNeedsARestartIsRefusedByNameAndNothingChanges) {
  config::Config wanted = *base();
  wanted.ports[0].queues = 4;
  wanted.memory.max_services = 5;
  wanted.services[0].backends[0].weight = 9;
  const std::vector<Edit> edits{replace_all(std::make_shared<const config::Config>(wanted))};
  const auto running = base();
  const ChangePlan plan = plan_changes(running, edits, {});
  ASSERT_FALSE(plan.results.at(0).has_value());
  const std::string& text = plan.results[0].error().text;
  EXPECT_NE(text.find("needs a restart"), std::string::npos) << text;
  EXPECT_NE(text.find("ports[wan].queues"), std::string::npos) << text;
  EXPECT_NE(text.find("memory.max_services"), std::string::npos) << text;
  EXPECT_EQ(plan.wanted, running);
  EXPECT_FALSE(plan.changes_anything());
}

TEST(ChangePlan, ReplacingEverythingListsEveryDifference) {
  config::Config wanted = *base();
  wanted.timeouts.udp_s = 10;
  wanted.services.erase(wanted.services.begin() + 1);
  const std::vector<Edit> edits{replace_all(std::make_shared<const config::Config>(wanted))};
  const ChangePlan plan = plan_changes(base(), edits, {});
  ASSERT_TRUE(plan.results.at(0).has_value()) << plan.results[0].error().text;
  EXPECT_EQ(plan.results[0]->changes.size(), 2U);
  EXPECT_TRUE(plan.scope.everything);
}

TEST(ChangePlan, OnlyNewWarningsAreTold) {
  // A weight of zero on the only backend is worth a warning of validate(), or none: whatever it
  // says is told once.
  const std::vector<Edit> edits{
      edit_service("web", fields(R"({"scheduler": "mh", "maglev_table_size": 251})")),
      edit_backend("web", "one", fields(R"({"weight": 6})"))};
  const ChangePlan first = plan_changes(base(), edits, {});
  ASSERT_TRUE(first.results.at(0).has_value());
  const std::vector<Edit> again{edit_backend("web", "one", fields(R"({"weight": 8})"))};
  const ChangePlan second = plan_changes(first.wanted, again, first.warnings);
  EXPECT_EQ(second.warnings, first.warnings);
  EXPECT_TRUE(second.results.at(0)->warnings.empty());
}

TEST(ConfigFields, PersistenceIsSetByItsParts) {
  config::Service service;
  ASSERT_TRUE(set_field(service, "persistence_netmask", 24).has_value());
  ASSERT_TRUE(service.persistence.has_value());
  EXPECT_EQ(service.persistence->netmask, 24);
  EXPECT_EQ(service.persistence->timeout_s, 360U);
  ASSERT_TRUE(set_field(service, "persistence_timeout_s", 60).has_value());
  EXPECT_EQ(service.persistence->timeout_s, 60U);
  EXPECT_EQ(service.persistence->netmask, 24);
  ASSERT_TRUE(set_field(service, "persistence_timeout_s", nullptr).has_value());
  EXPECT_FALSE(service.persistence.has_value());
  EXPECT_EQ(set_field(service, "persistence_colour", 1).error().text,
            "persistence_colour: there is no such setting");
}

TEST(ConfigFields, WhatHealthDecidesOnIsSetLikeAnythingElse) {
  config::Service service;
  ASSERT_TRUE(set_field(service, "quorum", 2).has_value());
  ASSERT_TRUE(set_field(service, "quorum_hysteresis", 1).has_value());
  ASSERT_TRUE(set_field(service, "on_down", "reset").has_value());
  ASSERT_TRUE(set_field(service, "slow_start_s", 30).has_value());
  ASSERT_TRUE(set_field(service, "panic_percent", 50).has_value());
  ASSERT_TRUE(set_field(service, "inhibit_on_failure", true).has_value());
  EXPECT_EQ(service.quorum, 2U);
  EXPECT_EQ(service.quorum_hysteresis, 1U);
  EXPECT_EQ(service.on_down, config::OnDown::reset);
  EXPECT_EQ(service.slow_start_s, 30U);
  EXPECT_EQ(service.panic_percent, 50U);
  EXPECT_TRUE(service.inhibit_on_failure);
  EXPECT_EQ(set_field(service, "quorum", 0).error().text, "quorum: 0 is below 1");
  EXPECT_EQ(set_field(service, "on_down", "drop").error().text.substr(0, 8), "on_down:");

  config::Backend backend;
  ASSERT_TRUE(set_field(backend, "priority", 7).has_value());
  ASSERT_TRUE(set_field(backend, "inhibit_on_failure", "off").has_value());
  EXPECT_EQ(backend.priority, 7);
  EXPECT_EQ(backend.inhibit_on_failure, false);
  ASSERT_TRUE(set_field(backend, "inhibit_on_failure", nullptr).has_value());
  EXPECT_FALSE(backend.inhibit_on_failure.has_value()) << "the service's";
}

TEST(ConfigFields, SectionsAreLeftToTheFile) {
  const std::string why =
      ": has settings of its own, which no command sets: write it into the configuration file, "
      "then `headgate reload`";
  config::Service service;
  for (const std::string key : {"checks", "sorry_server", "passive", "notify"}) {
    EXPECT_EQ(set_field(service, key, "none").error().text, key + why);
  }
  config::Backend backend;
  for (const std::string key : {"checks", "notify"}) {
    EXPECT_EQ(set_field(backend, key, boost::json::array{}).error().text, key + why);
  }
  EXPECT_EQ(service, config::Service{});
  EXPECT_EQ(set_field(service, "persistence", nullptr).error().text,
            "persistence: is set as persistence_timeout_s and persistence_netmask");
  EXPECT_EQ(set_field(service, "backends", boost::json::array{}).error().text,
            "backends: there is no such setting")
      << "they have commands of their own";
}

TEST(ConfigFields, ChecksAreShownWithAllTheirKeys) {
  config::Config config;
  config::Check& check = config.services.emplace_back().checks.emplace_back();
  check.type = config::CheckType::http;
  check.http.urls.emplace_back().status = {{200, 200}, {301, 302}};
  const boost::json::object shown = to_json(config);
  const boost::json::object& service = shown.at("services").at(0).as_object();
  const boost::json::object& its = service.at("checks").at(0).as_object();
  EXPECT_EQ(its.at("type"), "http");
  EXPECT_EQ(its.at("port"), nullptr);
  EXPECT_EQ(its.at("interval_ms"), 5000U);
  EXPECT_EQ(its.at("http").at("urls").at(0).at("status"), (boost::json::array{"200", "301-302"}));
  EXPECT_EQ(service.at("sorry_server"), nullptr);
  EXPECT_EQ(service.at("on_down"), "keep");
  EXPECT_EQ(shown.at("health").at("scripts_at_once"), 64U);
}

TEST(ConfigFields, AnUnknownSettingGetsTheNearestKnownOne) {
  config::Timeouts timeouts;
  EXPECT_EQ(set_field(timeouts, "udq_s", 3).error().text,
            "udq_s: there is no such setting; did you mean udp_s?");
  config::Service service;
  EXPECT_EQ(set_field(service, "porta", 3).error().text, "porta: there is no such setting")
      << "the port is no setting of a service that exists";
}

TEST(ConfigFields, ListsAndNullsAndSwitches) {
  config::Service service;
  ASSERT_TRUE(
      set_field(service, "local_addresses", boost::json::parse(R"(["10.0.0.1-10.0.0.3"])")));
  EXPECT_EQ(service.local_addresses.size(), 3U);
  ASSERT_TRUE(set_field(service, "drain_deadline_s", 5).has_value());
  ASSERT_TRUE(set_field(service, "drain_deadline_s", nullptr).has_value());
  EXPECT_FALSE(service.drain_deadline_s.has_value());
  ASSERT_TRUE(set_field(service, "fallback", false).has_value());
  EXPECT_FALSE(service.fallback);
  EXPECT_FALSE(set_field(service, "fallback", 17).has_value());
  EXPECT_FALSE(set_field(service, "mode", nullptr).has_value());
}

TEST(ConfigFields, TheConfigurationAsJsonHasEveryKeyWithItsType) {
  const boost::json::object json = to_json(*base());
  const boost::json::value& web = json.at("services").at(0);
  EXPECT_EQ(web.at("name"), "web");
  EXPECT_EQ(web.at("port"), 80);
  EXPECT_EQ(web.at("mode"), "nat");
  EXPECT_EQ(web.at("fallback"), true);
  EXPECT_TRUE(web.at("persistence").is_null());
  EXPECT_EQ(web.at("backends").at(1).at("address"), "10.0.0.2");
  EXPECT_EQ(json.at("timeouts").at("udp_s"), 300);
  EXPECT_EQ(json.at("daemon").at("socket_mode"), "0660");
}

// The lines of each edit, or its error's first words.
std::vector<Lines> lines_of_all(const ChangePlan& plan) {
  std::vector<Lines> lines;
  lines.reserve(plan.results.size());
  for (const auto& result : plan.results)
    lines.push_back(result ? result->changes : Lines{result.error().text.substr(0, 15)});
  return lines;
}

Edit whole(uint16_t weight, const char* interface = "eth0") {
  auto wanted = std::make_shared<config::Config>(*base());
  wanted->services[0].backends[0].weight = weight;
  wanted->ports[0].interface = interface;
  wanted->timeouts.udp_s = weight;
  return replace_all(std::move(wanted));
}

constexpr const char* one = "backend 10.0.0.1:80 of 192.0.2.1:80/tcp: weight ";

TEST(ChangesTogether, EachTellsWhatItFoundAndMade) {
  const std::vector<Edit> edits{
      edit_backend("web", "one", fields(R"({"weight": 6})")),
      edit_backend("web", "one", fields(R"({"weight": 7})")),
      set_timeouts(fields(R"({"udp_s": 30})")),
      delete_service("web"),
      set_timeouts(fields(R"({"udp_s": 40})")),
      add_service("192.0.2.1:80", fields(R"({"mode": "nat", "name": "web"})")),
      add_backend("web", "10.0.0.9", fields("{}")),
      edit_backend("web", "10.0.0.9", fields(R"({"weight": 1})")),
  };
  const ChangePlan plan = plan_changes(base(), edits, {});
  EXPECT_EQ(lines_of_all(plan),
            (std::vector<Lines>{{std::string(one) + "5 -> 6"},
                                {std::string(one) + "6 -> 7"},
                                {"timeouts.udp_s 300 -> 30"},
                                {"service 192.0.2.1:80/tcp removed, with 2 backends"},
                                {"timeouts.udp_s 30 -> 40"},
                                {"service 192.0.2.1:80/tcp added, with 0 backends"},
                                {"backend 10.0.0.9:80 of 192.0.2.1:80/tcp added"},
                                {}}));
  EXPECT_EQ(plan.wanted->services.size(), 2U);
  EXPECT_EQ(plan.wanted->services[1].backends.size(), 1U);
}

TEST(ChangesTogether, AFileBetweenThemTellsWhatItTookBack) {
  const std::vector<Edit> edits{
      edit_backend("web", "one", fields(R"({"weight": 6})")),
      set_timeouts(fields(R"({"udp_s": 30})")),
      whole(9),
      edit_backend("web", "one", fields(R"({"weight": 10})")),
      set_timeouts(fields(R"({"udp_s": 11})")),
      whole(12),
  };
  const ChangePlan plan = plan_changes(base(), edits, {});
  EXPECT_EQ(lines_of_all(plan),
            (std::vector<Lines>{{std::string(one) + "5 -> 6"},
                                {"timeouts.udp_s 300 -> 30"},
                                {std::string(one) + "6 -> 9", "timeouts.udp_s 30 -> 9"},
                                {std::string(one) + "9 -> 10"},
                                {"timeouts.udp_s 9 -> 11"},
                                {std::string(one) + "10 -> 12", "timeouts.udp_s 11 -> 12"}}));
}

TEST(ChangesTogether, WhatIsRefusedLeavesNoTrace) {
  const std::vector<Edit> edits{
      edit_backend("web", "one", fields(R"({"weight": 6})")),
      whole(9, "eth1"),
      edit_backend("web", "one", fields(R"({"weight": 7})")),
      edit_backend("web", "nobody", fields(R"({"weight": 7})")),
  };
  const ChangePlan plan = plan_changes(base(), edits, {});
  EXPECT_EQ(lines_of_all(plan), (std::vector<Lines>{{std::string(one) + "5 -> 6"},
                                                    {"needs a restart"},
                                                    {std::string(one) + "6 -> 7"},
                                                    {"service web has"}}));
  EXPECT_EQ(plan.wanted->timeouts.udp_s, 300U);
  EXPECT_EQ(plan.wanted->services[0].backends[0].weight, 7);
}

TEST(ChangesTogether, ASpareConfigurationIsOverwrittenWhateverItHolds) {
  const std::vector<Edit> edits{edit_backend("web", "one", fields(R"({"weight": 6})"))};
  auto spare = std::make_shared<config::Config>(*base());
  spare->services.resize(1);
  spare->services[0].backends[0].name = "old";
  spare->timeouts.udp_s = 1;
  const ChangePlan plan = plan_changes(base(), edits, {}, std::move(spare));
  const ChangePlan fresh = plan_changes(base(), edits, {});
  EXPECT_EQ(*plan.wanted, *fresh.wanted);
}

}  // namespace
}  // namespace headgate::control
