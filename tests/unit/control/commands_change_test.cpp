// Commands that change something: what workers see of it, and what is refused.
#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>

#include "control/log.h"
#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

TEST_F(CommandsTest, ServiceAddReachesTheSnapshot) {
  const Status status =
      run("service add", R"({"service": "192.0.2.7:443", "mode": "nat", "scheduler": "rr"})");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.message, "done, generation 2");
  ASSERT_NE(block("192.0.2.7", 443), nullptr);
  EXPECT_EQ(block("192.0.2.7", 443)->scheduler, dataplane::SchedulerKind::rr);
  EXPECT_NE(block("192.0.2.1", 80), nullptr);
  EXPECT_EQ(machine_.state.config->services.size(), 2U);
}

TEST_F(CommandsTest, BackendsAreAddedEditedAndDeleted) {
  EXPECT_EQ(run("backend add", R"({"service": "web", "backend": "10.0.0.3", "weight": 9})").code,
            Code::ok);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{5, 1, 9}));
  EXPECT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 6})").code,
            Code::ok);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{6, 1, 9}));
  const Status status = run("backend delete", R"({"service": "web", "backend": "10.0.0.2"})");
  EXPECT_EQ(status.code, Code::ok);
  EXPECT_EQ(status.result.at("changes").as_array().size(), 1U);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{6, 9}));
}

TEST_F(CommandsTest, ServiceDeleteTakesItOutOfTheSnapshot) {
  EXPECT_EQ(run("service delete", R"({"service": "192.0.2.1:80"})").code, Code::ok);
  EXPECT_EQ(block("192.0.2.1", 80), nullptr);
  EXPECT_EQ(run("service delete", R"({"service": "192.0.2.1:80"})").code, Code::refused);
}

TEST_F(CommandsTest, AChangeThatChangesNothingPublishesNothing) {
  const Status status = run("backend edit", R"({"service": "web", "backend": "one", "weight": 5})");
  EXPECT_EQ(status.code, Code::ok);
  EXPECT_EQ(status.message, "nothing differs from what runs");
  EXPECT_EQ(machine_.state.store.generation(), 1U);
}

TEST_F(CommandsTest, RefusedChangesLeaveTheSnapshotAlone) {
  const Status status =
      run("backend edit", R"({"service": "web", "backend": "one", "weight": 70000})");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_EQ(status.message, "weight: 70000 is above 65535");
  EXPECT_EQ(machine_.state.store.generation(), 1U);
}

TEST_F(CommandsTest, ChangesThatArriveTogetherAreOneSnapshot) {
  std::array<std::optional<Status>, 3> results;
  spawn("backend edit", R"({"service": "web", "backend": "one", "weight": 6})", results[0]);
  spawn("backend edit", R"({"service": "web", "backend": "nobody", "weight": 1})", results[1]);
  spawn("backend edit", R"({"service": "web", "backend": "10.0.0.2", "weight": 7})", results[2]);
  while (!results[0] || !results[1] || !results[2])
    loop_.run_one();
  EXPECT_EQ(results[0]->result.at("generation"), 2);
  EXPECT_EQ(results[1]->code, Code::refused);
  EXPECT_EQ(results[2]->result.at("generation"), 2);
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{6, 7}));
}

TEST_F(CommandsTest, TheAnswerWaitsUntilEveryWorkerHasTheChange) {
  machine_.grace.online(1);
  std::optional<Status> result;
  spawn("backend edit", R"({"service": "web", "backend": "one", "weight": 6})", result);
  while (machine_.state.store.generation() < 2)
    loop_.run_one();
  const auto until = std::chrono::steady_clock::now() + 20ms;
  while (std::chrono::steady_clock::now() < until)
    loop_.run_one_for(1ms);
  EXPECT_FALSE(result.has_value()) << "worker 1 may still work by generation 1";
  machine_.grace.quiescent(1);
  while (!result)
    loop_.run_one();
  EXPECT_EQ(result->code, Code::ok);
  machine_.grace.offline(1);
}

TEST_F(CommandsTest, AHangingWorkerMakesTheAnswerSaySo) {
  machine_.grace.online(1);
  const Status status = run("backend edit", R"({"service": "web", "backend": "one", "weight": 6})");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("made, as generation 2"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("show workers"), std::string::npos);
  machine_.grace.offline(1);
}

TEST_F(CommandsTest, DrainTellsWhatIsLeftAndSetsTheDeadline) {
  uint32_t hint = 0;
  const auto* service = block("192.0.2.1", 80);
  const uint32_t id = find_backend_id(machine_.state, *service, {ip("10.0.0.1"), 80}, hint);
  ASSERT_NE(id, dataplane::none);
  const uint32_t index = dataplane::backend_index(id);
  rows(0).backends[index].active.add(3);
  rows(1).backends[index].inactive.add(2);
  const Status status =
      run("backend drain", R"({"service": "web", "backend": "one", "deadline_s": 30})");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.result.at("left"), 5);
  EXPECT_EQ(status.message,
            "10.0.0.1:80 takes no new connections; 5 left, ended in 30 s at the latest\n"
            "`headgate backend edit web 10.0.0.1:80 --weight 5` takes it back");
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{0, 1}));
  const auto* row =
      dataplane::find_backend(machine_.state.region, *machine_.state.store.current(), id);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->deadline_tick, now_ + 30 * dataplane::ticks_per_second);

  EXPECT_EQ(run("show backends").code, Code::ok);
  EXPECT_EQ(rows_.at(0).at("state"), "draining");
  EXPECT_EQ(rows_.at(0).at("ends_in_s"), 30);
  EXPECT_EQ(rows_.at(1).at("state"), "up");
}

TEST_F(CommandsTest, ADeadlineTooFarAwayIsRefused) {
  // Ticks wrap: this one used to be in the past, and cut all connections at once.
  const Status status =
      run("backend drain", R"({"service": "web", "backend": "one", "deadline_s": 2147472000})");
  EXPECT_EQ(status.code, Code::usage);
  EXPECT_NE(status.message.find("2147472000 is above 604800"), std::string::npos) << status.message;
  EXPECT_EQ(weights("192.0.2.1", 80), (std::vector<uint32_t>{5, 1}));
  EXPECT_EQ(
      run("backend drain", R"({"service": "web", "backend": "one", "deadline_s": 604800})").code,
      Code::ok);
}

TEST_F(CommandsTest, ReloadAppliesTheFileAsOneSnapshot) {
  write_file(R"(
ports:
  - {name: wan, interface: eth0}
timeouts: {udp_s: 30}
services:
  - {name: web, address: 192.0.2.1, port: 80, mode: nat,
     backends: [{address: 10.0.0.2, port: 8080}]}
  - {name: tls, address: 192.0.2.1, port: 443, mode: nat, backends: [{address: 10.0.0.2}]}
)");
  const uint32_t id = block("192.0.2.1", 80)->id;
  const Status status = run("reload");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.result.at("generation"), 2);
  EXPECT_EQ(weights("192.0.2.1", 80), std::vector<uint32_t>{1});
  EXPECT_NE(block("192.0.2.1", 443), nullptr);
  EXPECT_EQ(block("192.0.2.1", 80)->id, id);
  EXPECT_EQ(machine_.state.store.current()
                ->settings.timeout_ticks[static_cast<size_t>(dataplane::ConnState::udp)],
            30 * dataplane::ticks_per_second);
}

TEST_F(CommandsTest, ABadFileChangesNothingAndSaysWhy) {
  write_file("services:\n  - {address: 192.0.2.1, port: 70000}\ncolour: red\n");
  const Status status = run("reload");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("headgate.yaml:2:"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("headgate.yaml:3:"), std::string::npos) << status.message;
  EXPECT_EQ(machine_.state.store.generation(), 1U);
}

TEST_F(CommandsTest, AFileWithVeryManyMistakesHasABoundedAnswer) {
  std::string text = "ports:\n  - {name: wan, interface: eth0}\n";
  for (int i = 0; i < 1500; ++i)
    text += fmt::format("colour{}: red\n", i);
  write_file(text);
  std::vector<std::string> logged;
  Log::get().set_sink([&](std::string_view line) { logged.emplace_back(line); });
  const Status status = run("reload");
  Log::get().set_sink({});
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_EQ(std::ranges::count(status.message, '\n'), 1001) << "1000 mistakes between two lines";
  EXPECT_NE(status.message.find("... and 500 more; `headgated --check "), std::string::npos);
  // The first line may be one that the log has just had.
  ASSERT_GE(logged.size(), 100U);
  EXPECT_LE(logged.size(), 101U);
  EXPECT_NE(logged.back().find("... and 902 more"), std::string::npos) << logged.back();
}

// A pipe that nobody writes to used to keep every later change, and SIGTERM, waiting without end.
TEST_F(CommandsTest, APipeIsNoFileToReload) {
  const std::string pipe = directory_ + "/pipe.yaml";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string arguments = R"({"file": ")" + pipe + "\"}";
  const Status status = run("reload", arguments.c_str());
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("is no ordinary file"), std::string::npos) << status.message;
  EXPECT_EQ(run("reload", R"({"file": "/dev/zero"})").code, Code::refused);
  EXPECT_NE(run("reload", R"({"file": "/"})").message.find("is a directory"), std::string::npos);
  remove(pipe.c_str());
}

TEST_F(CommandsTest, WhatNeedsARestartIsNotReloaded) {
  write_file("ports:\n  - {name: wan, interface: eth1}\n");
  const Status status = run("reload");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("ports[wan].interface: eth0 -> eth1"), std::string::npos)
      << status.message;
  EXPECT_NE(block("192.0.2.1", 80), nullptr) << "the services of the file are not applied either";
}

TEST_F(CommandsTest, OnlyRootMayNameAFileToReload) {
  const Status status = run("reload", R"({"file": "/etc/shadow"})", Peer{1, 65534, 65534});
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_NE(status.message.find("only root"), std::string::npos);
  EXPECT_EQ(run("reload", R"({"file": "relative.yaml"})").code, Code::usage);
  EXPECT_EQ(run("reload", "{}", Peer{1, 65534, 65534}).code, Code::ok);
}

TEST_F(CommandsTest, ANamedFileIsTheOneToReadFromThenOn) {
  const std::string other = directory_ + "/other.yaml";
  std::ofstream(other) << first_file;
  const std::string arguments = R"({"file": ")" + other + "\"}";
  EXPECT_EQ(run("reload", arguments.c_str()).code, Code::ok);
  EXPECT_EQ(machine_.state.config_path, other);
  const std::string missing = R"({"file": ")" + other + ".missing\"}";
  EXPECT_EQ(run("reload", missing.c_str()).code, Code::refused);
  EXPECT_EQ(machine_.state.config_path, other) << "a file that cannot be read is forgotten";
  remove(other.c_str());
  machine_.state.config_path = directory_ + "/headgate.yaml";
}

TEST_F(CommandsTest, KernelChangesBecomeASnapshotOfTheirOwn) {
  KernelState kernel;
  kernel.interfaces = {{"wan", 1, {{2, 0, 0, 0, 0, 1}}, 1500, true}};
  kernel.addresses = {{0, net::parse_prefix("10.0.0.254/24").value(), false, false}};
  kernel.routes = {
      {net::parse_prefix("10.0.0.0/24").value(), KernelRouteKind::unicast, 0, 0, {}, {{0, {}, 1}}}};
  kernel.neighbours = {{0, ip("10.0.0.1"), {{2, 0, 0, 0, 0, 9}}}};
  uint32_t commits = 0;
  changes_.on_commit([&](const EditScope&) { ++commits; });
  changes_.kernel_changed(kernel, {.links = true, .routes = true, .neighbours = true});
  const auto until = std::chrono::steady_clock::now() + 5s;
  while (machine_.state.store.generation() < 2 && std::chrono::steady_clock::now() < until) {
    loop_.run_one_for(10ms);
  }
  EXPECT_EQ(machine_.state.store.generation(), 2U);
  EXPECT_EQ(commits, 1U);
  run("show neighbours");
  ASSERT_EQ(rows_.size(), 2U);
  EXPECT_EQ(rows_[0].at("interface"), "wan");
  EXPECT_EQ(rows_[0].at("address"), "10.0.0.1");
  EXPECT_EQ(rows_[0].at("mac"), "02:00:00:00:00:09");
  EXPECT_EQ(rows_[0].at("state"), "resolved");
  EXPECT_EQ(rows_[1].at("state"), "unresolved");
}

TEST_F(CommandsTest, ZeroStartsCountersAgainAndKeepsLiveCounts) {
  const uint32_t id = block("192.0.2.1", 80)->id;
  rows(0).services[id].connections.add(10);
  rows(0).services[id].active.add(4);
  EXPECT_EQ(run("zero", R"({"service": "web"})").code, Code::ok);
  rows(0).services[id].connections.add(1);
  run("show services");
  EXPECT_EQ(rows_.at(0).at("connections"), 1);
  EXPECT_EQ(rows_.at(0).at("active"), 4);
}

TEST_F(CommandsTest, TimeoutsAreShownAndSet) {
  EXPECT_EQ(run("timeouts").result.at("timeouts").at("udp_s"), 300);
  const Status status = run("timeouts set", R"({"udp_s": 20})");
  EXPECT_EQ(status.result.at("timeouts").at("udp_s"), 20);
  EXPECT_EQ(machine_.state.store.current()
                ->settings.timeout_ticks[static_cast<size_t>(dataplane::ConnState::udp)],
            20 * dataplane::ticks_per_second);
  EXPECT_EQ(run("timeouts set", R"({"tcp_s": 20})").code, Code::refused);
}

}  // namespace
}  // namespace headgate::control
