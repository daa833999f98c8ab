// `plan`: exact numbers of what would change and move, and nothing changed by asking.
#include "control/plan.h"

#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "control/log.h"
#include "dataplane/maglev.h"
#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

using testing::HasSubstr;

constexpr const char* base_file = R"(
ports:
  - {name: wan, interface: eth0}
services:
  - name: web
    address: 192.0.2.1
    port: 80
    mode: nat
    drain_deadline_s: 60
    backends:
      - {address: 10.0.0.1, weight: 5}
      - {address: 10.0.0.2, port: 8080, drain_deadline_s: 90}
      - {address: 10.0.0.3}
      - {address: 10.0.0.4, enabled: off}
  - name: hashed
    address: 192.0.2.2
    port: 80
    mode: nat
    scheduler: mh
    maglev_table_size: 251
    backends: [{address: 10.0.1.1}, {address: 10.0.1.2}, {address: 10.0.1.3}]
  - name: gone
    address: 192.0.2.3
    port: 80
    mode: dr
    on_backend_removed: expire
    backends: [{address: 10.0.2.1}, {address: 10.0.2.2}]
)";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class PlanTest : public CommandsTest {
 protected:
  PlanTest() {
    write_file(base_file);
    EXPECT_EQ(run("reload").code, Code::ok);
    generation_ = machine_.state.store.generation();
  }

  Status plan(const std::string& wanted) {
    write_file(wanted);
    Status status = run("plan");
    EXPECT_EQ(machine_.state.store.generation(), generation_) << "a plan changes nothing";
    return status;
  }
  json::object row(std::string_view name) const {
    for (const json::value& value : rows_) {
      if (value.at("name").as_string() == name) return value.as_object();
    }
    ADD_FAILURE() << "no row of " << name << " in " << rows_;
    return {};
  }
  // Live connections, over two workers: one counts up and another down.
  void connect(const char* vip, const char* backend, uint16_t port, uint32_t active,
               uint32_t inactive) {
    const auto id = machine_.state.builder.backend_id(key(vip), {ip(backend), port});
    ASSERT_TRUE(id.has_value());
    const uint32_t index = dataplane::backend_index(*id);
    rows(0).backends[index].active.add(active + 3);
    rows(1).backends[index].active.add(static_cast<uint64_t>(-3));
    rows(1).backends[index].inactive.add(inactive);
  }
  static config::ServiceKey key(const char* vip) {
    config::ServiceKey key;
    key.family = net::Family::ipv4;
    key.protocol = net::protocol_tcp;
    key.port = 80;
    key.address = ip(vip);
    return key;
  }
  // The table that workers read: by slot the backend's address and port.
  std::vector<std::string> table(const char* vip) const {
    const auto* service = block(vip, 80);
    if (service == nullptr) return {};
    std::vector<std::string> slots;
    const auto backends = elements(machine_.state.region, service->backends);
    for (const uint16_t slot : elements(machine_.state.region, service->maglev)) {
      const auto* row = dataplane::find_backend(
          machine_.state.region, *machine_.state.store.current(), backends[slot].backend_id);
      slots.push_back(fmt::format("{}:{}", net::to_string(row->address), row->port.host()));
    }
    return slots;
  }

  uint64_t generation_ = 0;
};

TEST_F(PlanTest, WhereNothingDiffersItSaysSo) {
  const Status status = plan(base_file);
  EXPECT_EQ(status.code, Code::ok);
  EXPECT_EQ(status.message, "nothing differs from what runs");
  EXPECT_EQ(status.result.at("differs"), false);
  EXPECT_TRUE(rows_.empty());
}

TEST_F(PlanTest, ARemovedBackendTakesItsConnectionsAlong) {
  connect("192.0.2.1", "10.0.0.1", 80, 30, 10);
  connect("192.0.2.1", "10.0.0.2", 8080, 5, 1);
  connect("192.0.2.1", "10.0.0.4", 80, 2, 0);
  connect("192.0.2.2", "10.0.1.1", 80, 50, 2);
  const Status status = plan(
      replaced(base_file, "      - {address: 10.0.0.2, port: 8080, drain_deadline_s: 90}\n", ""));
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.message,
            "1 services, 1 backends and 0 settings would change; 6 of 100 live connections (6.0 %) "
            "would move, and 0.0 % of the hash space");
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(json::serialize(row("web")),
            R"({"service":"192.0.2.1:80/tcp","name":"web","change":"changed","backends_added":0,)"
            R"("backends_removed":1,"backends_changed":0,"connections":48,"moved":6,)"
            R"("moved_removed":6,"moved_disabled":0,"moved_mode":0,"on_backend_removed":"keep",)"
            R"("ends_within_s":90,"hash_share":null})");
  EXPECT_EQ(json::serialize(status.result.at("connections")),
            R"({"live":100,"leaving":0,"moved":6,"moved_removed":6,"moved_disabled":0,)"
            R"("moved_mode":0,"dropped":0,"expired":0,"share":6E-2})");
  EXPECT_EQ(json::serialize(status.result.at("changes")),
            R"(["backend 10.0.0.2:8080 of 192.0.2.1:80/tcp removed"])");
}

TEST_F(PlanTest, ADisabledOneAndANewPortAndModeMoveThemAsWell) {
  connect("192.0.2.1", "10.0.0.1", 80, 1, 0);
  connect("192.0.2.1", "10.0.0.2", 8080, 20, 0);
  connect("192.0.2.1", "10.0.0.3", 80, 300, 0);
  connect("192.0.2.1", "10.0.0.4", 80, 4000, 0);
  std::string wanted = replaced(base_file, "{address: 10.0.0.1, weight: 5}",
                                "{address: 10.0.0.1, weight: 5, enabled: off}");
  wanted = replaced(wanted, "port: 8080", "port: 8081");
  wanted = replaced(wanted, "{address: 10.0.0.3}", "{address: 10.0.0.3, mode: dr}");
  wanted = replaced(wanted, "      - {address: 10.0.0.4, enabled: off}\n", "");
  wanted = replaced(wanted, "drain_deadline_s: 60", "on_backend_removed: drop");
  ASSERT_EQ(plan(wanted).code, Code::ok);
  const json::object web = row("web");
  EXPECT_EQ(web.at("moved_disabled"), 1);
  EXPECT_EQ(web.at("moved_removed"), 20) << "those of a disabled one were on their way already";
  EXPECT_EQ(web.at("moved_mode"), 300);
  EXPECT_EQ(web.at("moved"), 321);
  EXPECT_EQ(web.at("backends_added"), 1);
  EXPECT_EQ(web.at("backends_removed"), 2);
  EXPECT_EQ(web.at("backends_changed"), 2);
  EXPECT_EQ(web.at("on_backend_removed"), "drop") << "as the service will be";
  EXPECT_TRUE(web.at("ends_within_s").is_null()) << "10.0.0.1 has no deadline any more";
}

TEST_F(PlanTest, WhatIsPlannedIsWhatAReloadDoes) {
  connect("192.0.2.1", "10.0.0.1", 80, 7, 0);
  connect("192.0.2.3", "10.0.2.1", 80, 9, 1);
  connect("192.0.2.3", "10.0.2.2", 80, 3, 0);
  std::string wanted = base_file;
  wanted.resize(wanted.find("  - name: gone"));
  wanted +=
      "  - {name: new, address: 192.0.2.9, port: 80, mode: nat, scheduler: mh,\n"
      "     backends: [{address: 10.0.9.1}, {address: 10.0.9.2}]}\n"
      "timeouts: {udp_s: 30}\n";
  const Status status = plan(wanted);
  ASSERT_EQ(status.code, Code::ok) << status.message;
  ASSERT_EQ(rows_.size(), 2U);
  EXPECT_EQ(row("gone").at("change"), "removed");
  EXPECT_EQ(row("gone").at("moved"), 13);
  EXPECT_EQ(row("gone").at("on_backend_removed"), "expire") << "as the service that goes has it";
  EXPECT_EQ(row("gone").at("hash_share"), 1.0) << "dr has a table for packets without connection";
  EXPECT_EQ(row("new").at("change"), "added");
  EXPECT_TRUE(row("new").at("hash_share").is_null()) << "nobody was there";
  EXPECT_EQ(status.result.at("connections").at("expired"), 13);
  EXPECT_EQ(status.result.at("connections").at("live"), 20);
  EXPECT_EQ(status.result.at("hash").at("tables"), 2);
  EXPECT_EQ(status.result.at("hash").at("share"), 0.5);
  EXPECT_EQ(json::serialize(status.result.at("services")),
            R"({"added":1,"removed":1,"changed":0})");
  EXPECT_EQ(status.result.at("settings"), 1);
  const json::value planned = status.result.at("changes");
  const Status reloaded = run("reload");
  EXPECT_EQ(planned, reloaded.result.at("changes"));
  // What lingers now is still live.
  EXPECT_EQ(run("plan").result.at("connections").at("leaving"), 13);
}

TEST_F(PlanTest, TheShareOfTheHashSpaceIsWhatTheTablesSay) {
  std::string wanted = replaced(base_file, "{address: 10.0.1.2}", "{address: 10.0.1.2, weight: 3}");
  wanted = replaced(wanted, "{address: 10.0.1.3}", "{address: 10.0.1.4}, {address: 10.0.1.5}");
  const Status status = plan(wanted);
  ASSERT_EQ(status.code, Code::ok) << status.message;
  const double planned = row("hashed").at("hash_share").as_double();
  EXPECT_EQ(status.result.at("hash").at("share").as_double(), planned / 2) << "of two tables";
  const std::vector<std::string> before = table("192.0.2.2");
  ASSERT_EQ(run("reload").code, Code::ok);
  const std::vector<std::string> after = table("192.0.2.2");
  ASSERT_EQ(before.size(), 251U);
  ASSERT_EQ(after.size(), 251U);
  size_t moved = 0;
  for (size_t i = 0; i < before.size(); ++i)
    moved += before[i] == after[i] ? 0 : 1;
  EXPECT_GT(moved, 80U);
  EXPECT_DOUBLE_EQ(planned, static_cast<double>(moved) / 251);
}

TEST_F(PlanTest, ASchedulerWithoutATableSaysNothingOfTheHashSpace) {
  plan(replaced(base_file, "weight: 5", "weight: 6"));
  EXPECT_TRUE(row("web").at("hash_share").is_null());
  plan(replaced(base_file, "scheduler: mh\n    maglev_table_size: 251", "scheduler: rr"));
  EXPECT_EQ(row("hashed").at("hash_share"), 1.0) << "its flows find their backend another way";
}

TEST_F(PlanTest, AnotherSizeForAllMovesServicesThatTheFileLeavesAlone) {
  write_file(replaced(base_file, "    maglev_table_size: 251\n", ""));
  ASSERT_EQ(run("reload").code, Code::ok);
  generation_ = machine_.state.store.generation();
  const Status status = plan(replaced(base_file, "    maglev_table_size: 251\n", "") +
                             "forwarding: {maglev_table_size: 4093}\n");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  ASSERT_EQ(rows_.size(), 1U);
  const double share = row("hashed").at("hash_share").as_double();
  EXPECT_GT(share, 0.5);
  EXPECT_LT(share, 0.8) << "three backends: a third stays by chance";
}

TEST_F(PlanTest, WhatNeedsARestartIsSaidAndNotRefused) {
  const Status status = plan(replaced(base_file, "interface: eth0", "interface: eth1"));
  EXPECT_EQ(status.code, Code::ok);
  EXPECT_EQ(status.result.at("needs_restart"), true);
  EXPECT_EQ(json::serialize(status.result.at("restart")),
            R"(["ports[wan].interface eth0 -> eth1: needs a restart"])");
  EXPECT_THAT(status.message, HasSubstr("a reload would refuse it"));
}

TEST_F(PlanTest, ABadFileIsRefusedAsAReloadWould) {
  const Status status = plan("services:\n  - {address: 192.0.2.1, port: 70000}\ncolour: red\n");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_THAT(status.message, HasSubstr("headgate.yaml:2:"));
  EXPECT_THAT(status.message, HasSubstr("headgate.yaml:3:"));
  EXPECT_EQ(run("plan", R"({"file": "/nonexistent/file.yaml"})").code, Code::refused);
  EXPECT_EQ(run("plan", R"({"file": "/dev/zero"})").code, Code::refused);
}

TEST_F(PlanTest, WarningsAreThoseOfTheFile) {
  const Status status = plan(replaced(base_file, "251", "256"));
  EXPECT_EQ(status.code, Code::ok);
  ASSERT_EQ(status.result.at("warnings").as_array().size(), 1U);
  EXPECT_THAT(std::string(status.result.at("warnings").at(0).as_string()),
              HasSubstr("256 is not prime"));
}

TEST_F(PlanTest, AnotherFileIsPlannedAndNotKept) {
  const std::string other = directory_ + "/other.yaml";
  std::ofstream(other) << replaced(base_file, "weight: 5", "weight: 6");
  const std::string arguments = R"({"file": ")" + other + "\"}";
  EXPECT_EQ(run("plan", arguments.c_str()).result.at("differs"), true);
  EXPECT_NE(machine_.state.config_path, other);
  EXPECT_EQ(run("plan", arguments.c_str(), Peer{1, 65534, 65534}).code, Code::refused);
  EXPECT_EQ(run("plan", R"({"file": "relative"})").code, Code::usage);
  remove(other.c_str());
}

MaglevInput input(uint32_t slots, const std::vector<std::pair<const char*, uint32_t>>& backends) {
  MaglevInput result;
  result.slots = slots;
  for (const auto& [address, weight] : backends)
    result.backends.push_back({ip(address), net::be16::from_host(80), weight});
  return result;
}

TEST(MovedHashSpace, OfTwoSizesIsCountedPieceByPiece) {
  const MaglevInput before = input(251, {{"10.0.0.1", 1}, {"10.0.0.2", 2}, {"10.0.0.3", 1}});
  const MaglevInput after = input(257, {{"10.0.0.3", 1}, {"10.0.0.2", 1}, {"10.0.0.4", 1}});
  std::vector<uint16_t> old_table(251);
  std::vector<uint16_t> new_table(257);
  dataplane::fill_maglev(before.backends, old_table);
  dataplane::fill_maglev(after.backends, new_table);
  uint64_t moved = 0;
  for (uint64_t at = 0; at < uint64_t{251} * 257; ++at) {
    const auto& from = before.backends[old_table[at / 257]];
    const auto& to = after.backends[new_table[at / 251]];
    moved += from.address == to.address ? 0 : 1;
  }
  EXPECT_EQ(moved_hash_space(before, after), (HashShare{moved, uint64_t{251} * 257}));
}

TEST(MovedHashSpace, KnowsBackendsWhateverTheirOrder) {
  const MaglevInput before = input(251, {{"10.0.0.1", 1}, {"10.0.0.2", 2}});
  EXPECT_EQ(moved_hash_space(before, input(251, {{"10.0.0.2", 2}, {"10.0.0.1", 1}})).moved, 0U);
  EXPECT_EQ(moved_hash_space(before, before), (HashShare{0, 251}));
  EXPECT_EQ(moved_hash_space(before, {}).value(), 1.0);
  EXPECT_EQ(moved_hash_space(before, input(251, {{"10.0.0.1", 0}, {"10.0.0.2", 0}})).value(), 1.0)
      << "nobody is left";
  EXPECT_EQ(moved_hash_space(before, input(251, {{"10.0.0.3", 1}})).value(), 1.0);
}

}  // namespace
}  // namespace headgate::control
