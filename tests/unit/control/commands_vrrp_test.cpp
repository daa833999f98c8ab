// Commands of virtual routers, with hooks in place of the thread that runs them.
#include <gmock/gmock.h>

#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

using testing::HasSubstr;

VrrpInstanceStatus outside() {
  VrrpInstanceStatus instance;
  instance.name = "outside";
  instance.interface = "wan";
  instance.family = net::Family::ipv4;
  instance.virtual_router_id = 51;
  instance.version = 3;
  instance.state = "master";
  instance.reason = "master_down";
  instance.base_priority = 150;
  instance.priority = 130;
  instance.master = ip("192.0.2.2");
  instance.master_priority = 130;
  instance.in_state_s = 65;
  instance.became_master = 2;
  instance.transitions = 5;
  instance.adverts_sent = 1000;
  instance.adverts_received = 20;
  instance.priority_zero_sent = 1;
  instance.priority_zero_received = 3;
  instance.late_adverts = 4;
  instance.worst_lateness_us = 700;
  instance.discards = {{"ttl", 0}, {"checksum", 6}, {"vrid", 1}};
  instance.addresses_mismatch = true;
  instance.interval_ms = 1000;
  instance.addresses = {{*net::parse_prefix("192.0.2.10/24"), "wan", true, true},
                        {*net::parse_prefix("fd00::10/64"), "lo", false, false}};
  instance.peers = {ip("192.0.2.3")};
  instance.group = "gateway";
  return instance;
}

VrrpStatus two_routers() {
  VrrpStatus status;
  status.instances.push_back(outside());
  VrrpInstanceStatus& inside = status.instances.emplace_back();
  inside.name = "inside";
  inside.state = "fault";
  inside.faults = {"interface lan is down"};
  VrrpInstanceStatus& third = status.instances.emplace_back(outside());
  third.name = "third";
  third.group = "gateway";
  status.groups.push_back({"gateway", "mixed", {"outside", "third"}});
  status.groups.push_back({"other", "backup", {"nobody"}});
  return status;
}

class VrrpCommandsTest : public CommandsTest {
 protected:
  VrrpCommandsTest() {
    VrrpControl& vrrp = machine_.state.surroundings.vrrp;
    vrrp.status = [this] { return copy_of_status(); };
    vrrp.failover = [this](std::string name) { return fail_over(std::move(name)); };
    vrrp.maintenance = [this](bool on) { return maintain(on); };
  }

  asio::awaitable<VrrpStatus> copy_of_status() { co_return status_; }
  VrrpControl::Outcome fail_over(std::string name) {
    asked_.push_back("failover " + name);
    if (name == "inside") co_return std::unexpected(Error{"inside is not master"});
    co_return name + " leaves to another router";
  }
  VrrpControl::Outcome maintain(bool on) {
    asked_.push_back(on ? "on" : "off");
    co_return on ? "maintenance is on" : "maintenance is off";
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const json::value& row : rows_)
      result.emplace_back(row.at("name").as_string().c_str());
    return result;
  }

  VrrpStatus status_ = two_routers();
  std::vector<std::string> asked_;
};

TEST_F(CommandsTest, WithoutVirtualRoutersTheirCommandsSayWhatToDo) {
  const std::string sentence =
      "no virtual router is configured: add one to `vrrp.instances`, and reload";
  EXPECT_EQ(run("show vrrp"), (Status{Code::refused, sentence, {}}));
  EXPECT_EQ(run("vrrp failover", R"({"name": "a"})"), (Status{Code::refused, sentence, {}}));
  EXPECT_EQ(run("vrrp maintenance", R"({"on": true})"), (Status{Code::refused, sentence, {}}));
}

TEST_F(VrrpCommandsTest, ShowHasARowForEachRouterWithAllThatIsKnown) {
  const Status status = run("show vrrp");
  EXPECT_EQ(status.code, Code::ok);
  ASSERT_EQ(rows_.size(), 3U);
  EXPECT_EQ(rows_[0], json::parse(R"({
    "name": "outside", "interface": "wan", "family": "ipv4", "virtual_router_id": 51,
    "version": 3, "state": "master", "reason": "master_down", "priority": 130,
    "base_priority": 150, "master": "192.0.2.2", "master_priority": 130, "in_state_s": 65,
    "became_master": 2, "transitions": 5, "interval_ms": 1000, "group": "gateway",
    "adverts_sent": 1000, "adverts_received": 20, "priority_zero_sent": 1,
    "priority_zero_received": 3, "send_errors": 0, "late_adverts": 4,
    "worst_lateness_us": 700, "discarded": 7, "discards": {"checksum": 6, "vrid": 1},
    "mismatch": {"addresses": true, "interval": false}, "faults": [],
    "addresses": [
      {"address": "192.0.2.10/24", "interface": "wan", "advertised": true, "held": true},
      {"address": "fd00::10/64", "interface": "lo", "advertised": false, "held": false}],
    "peers": ["192.0.2.3"]})"));
  EXPECT_TRUE(rows_[1].at("master").is_null());
  EXPECT_TRUE(rows_[1].at("master_priority").is_null());
  EXPECT_TRUE(rows_[1].at("reason").is_null());
  EXPECT_TRUE(rows_[1].at("group").is_null());
  EXPECT_EQ(rows_[1].at("faults"), json::parse(R"(["interface lan is down"])"));
  EXPECT_EQ(json::value(status.result), json::parse(R"({"maintenance": false, "groups": [
    {"name": "gateway", "state": "mixed", "members": ["outside", "third"]},
    {"name": "other", "state": "backup", "members": ["nobody"]}]})"));
}

TEST_F(VrrpCommandsTest, ShowTakesTheNameOfARouterOrOfAGroup) {
  Status status = run("show vrrp", R"({"name": "third"})");
  EXPECT_THAT(names(), testing::ElementsAre("third"));
  ASSERT_EQ(status.result["groups"].as_array().size(), 1U);
  EXPECT_EQ(status.result["groups"].at(0).at("name"), "gateway");
  status = run("show vrrp", R"({"name": "inside"})");
  EXPECT_THAT(names(), testing::ElementsAre("inside"));
  EXPECT_TRUE(status.result["groups"].as_array().empty());
  status = run("show vrrp", R"({"name": "gateway"})");
  EXPECT_THAT(names(), testing::ElementsAre("outside", "third"));
  EXPECT_EQ(status.result["groups"].as_array().size(), 1U);
}

TEST_F(VrrpCommandsTest, ShowSuggestsANameForOneThatIsNotThere) {
  const Status status = run("show vrrp", R"({"name": "outsid"})");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_EQ(status.message,
            "there is no virtual router or sync group \"outsid\"; did you mean outside?");
  EXPECT_TRUE(rows_.empty());
  EXPECT_EQ(run("show vrrp", R"({"nam": "x"})").code, Code::usage);
  EXPECT_EQ(run("show vrrp", R"({"name": 5})").code, Code::usage);
}

TEST_F(VrrpCommandsTest, ShowComesInPiecesOfABoundedNumberOfRows) {
  status_.instances.assign(1000, outside());
  EXPECT_EQ(run("show vrrp").code, Code::ok);
  EXPECT_EQ(rows_.size(), 1000U);
  EXPECT_EQ(pieces_, (1000 + rows_per_piece - 1) / rows_per_piece);
}

TEST_F(VrrpCommandsTest, FailoverPassesTheNameOnAndTellsWhatBecameOfIt) {
  Status status = run("vrrp failover", R"({"name": "outside"})");
  EXPECT_EQ(status, (Status{Code::ok, "outside leaves to another router", {}}));
  status = run("vrrp failover", R"({"name": "inside"})");
  EXPECT_EQ(status, (Status{Code::refused, "inside is not master", {}}));
  EXPECT_THAT(asked_, testing::ElementsAre("failover outside", "failover inside"));
  EXPECT_EQ(run("vrrp failover"), (Status{Code::usage, "name: is missing", {}}));
  EXPECT_EQ(asked_.size(), 2U);
}

TEST_F(VrrpCommandsTest, MaintenanceIsSwitchedOnAndOff) {
  EXPECT_EQ(run("vrrp maintenance", R"({"on": true})"),
            (Status{Code::ok, "maintenance is on", {}}));
  EXPECT_EQ(run("vrrp maintenance", R"({"on": false})"),
            (Status{Code::ok, "maintenance is off", {}}));
  EXPECT_THAT(asked_, testing::ElementsAre("on", "off"));
  EXPECT_EQ(run("vrrp maintenance"), (Status{Code::usage, "on: is missing", {}}));
  EXPECT_EQ(run("vrrp maintenance", R"({"on": "yes"})"),
            (Status{Code::usage, "on: must be true or false", {}}));
  EXPECT_EQ(asked_.size(), 2U);
}

TEST_F(VrrpCommandsTest, AMisspeltCommandIsExplained) {
  EXPECT_THAT(run("vrrp failovr").message, HasSubstr("did you mean vrrp failover?"));
}

}  // namespace
}  // namespace headgate::control
