// A configuration on probation, and what the audit log keeps of changes.
#include <filesystem>

#include <gmock/gmock.h>

#include "control/audit_log.h"
#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

using testing::HasSubstr;

constexpr const char* other_file = R"(
ports:
  - {name: wan, interface: eth0}
services:
  - name: web
    address: 192.0.2.1
    port: 80
    mode: nat
    backends:
      - {name: one, address: 10.0.0.1, weight: 50}
)";

class ApplyTest : public CommandsTest {
 protected:
  using Weights = std::vector<uint32_t>;

  ApplyTest() : own_path_(machine_.state.config_path), other_path_(directory_ + "/other.yaml") {
    std::ofstream(other_path_) << other_file;
    machine_.state.audit.write_to(audit_path());
  }
  ~ApplyTest() override {
    machine_.state.config_path = own_path_;
    remove(other_path_.c_str());
    remove(audit_path().c_str());
  }
  ApplyTest(const ApplyTest&) = delete;
  ApplyTest& operator=(const ApplyTest&) = delete;

  [[nodiscard]] std::string audit_path() const { return directory_ + "/audit.log"; }
  Status apply(int within_ms) {
    const json::object arguments{{"file", other_path_}, {"confirm_within_ms", within_ms}};
    return run("apply", json::serialize(arguments).c_str(), Peer{77, 0, 0});
  }
  // Turns the loop until `condition` holds, at most 10 s.
  template <typename Condition>
  [[nodiscard]] bool turns_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!condition() && std::chrono::steady_clock::now() < end)
      loop_.run_one_for(5ms);
    return condition();
  }
  [[nodiscard]] std::vector<json::object> audited() const {
    return last_audit_lines(audit_path(), 100).value();
  }
  [[nodiscard]] bool pending() { return run("show pending").result.at("pending").as_bool(); }
  [[nodiscard]] Weights web() const { return weights("192.0.2.1", 80); }
  [[nodiscard]] uint64_t generation() const { return machine_.state.store.generation(); }

  std::string own_path_;
  std::string other_path_;
};

TEST_F(ApplyTest, WithoutATimeItIsAReload) {
  const json::object arguments{{"file", other_path_}};
  EXPECT_EQ(run("apply", json::serialize(arguments).c_str()).code, Code::ok);
  EXPECT_EQ(web(), Weights{50});
  EXPECT_EQ(machine_.state.config_path, other_path_);
  EXPECT_FALSE(pending());
  EXPECT_EQ(run("apply").code, Code::usage) << "the file is missing";
}

TEST_F(ApplyTest, WithoutAConfirmationItIsTakenBackByItself) {
  const Status status = apply(40);
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_THAT(status.message, HasSubstr("`headgate confirm` keeps it"));
  EXPECT_EQ(web(), Weights{50});
  const auto is_back = [&] { return web() == Weights{5, 1} && audited().size() == 2; };
  ASSERT_TRUE(turns_until(is_back));
  EXPECT_EQ(generation(), 3U) << "one snapshot there, one back";
  EXPECT_EQ(machine_.state.config_path, own_path_);
  EXPECT_FALSE(pending());
  const json::object entry = audited().at(1);
  EXPECT_EQ(entry.at("source"), "timer");
  EXPECT_EQ(entry.at("command").as_string(), "rollback of " + other_path_);
  EXPECT_EQ(entry.at("outcome"), "done, generation 3");
  EXPECT_EQ(entry.at("changes").as_array().size(), 2U);
  EXPECT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 6})").code,
            Code::ok);
}

TEST_F(ApplyTest, AConfirmationKeepsIt) {
  ASSERT_EQ(apply(60).code, Code::ok);
  EXPECT_TRUE(pending());
  EXPECT_EQ(run("confirm").code, Code::ok);
  EXPECT_FALSE(pending());
  const auto until = std::chrono::steady_clock::now() + 100ms;
  while (std::chrono::steady_clock::now() < until)
    loop_.run_one_for(5ms);
  EXPECT_EQ(web(), Weights{50});
  EXPECT_EQ(machine_.state.config_path, other_path_);
  EXPECT_EQ(run("confirm").code, Code::refused) << "nothing waits any more";
  EXPECT_EQ(run("rollback").code, Code::refused);
}

TEST_F(ApplyTest, ARollbackTakesItBackAtOnceWithWhatWasChangedByHandBefore) {
  ASSERT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 9})").code,
            Code::ok);
  ASSERT_EQ(apply(60000).code, Code::ok);
  const Status status = run("rollback");
  EXPECT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.result.at("changes").as_array().size(), 2U);
  EXPECT_EQ(web(), (Weights{9, 1}));
  EXPECT_EQ(machine_.state.config_path, own_path_);
  EXPECT_FALSE(pending());
  ASSERT_EQ(apply(60000).code, Code::ok) << "the next one may come";
  EXPECT_EQ(run("confirm").code, Code::ok);
}

constexpr const char* keeping_file = R"(
daemon: {runtime_changes: keep}
ports:
  - {name: wan, interface: eth0}
services:
  - name: web
    address: 192.0.2.1
    port: 80
    mode: nat
    backends:
      - {name: one, address: 10.0.0.1, weight: 5}
      - {address: 10.0.0.2, port: 8080, weight: 2}
)";

TEST_F(ApplyTest, AReloadUndoesWhatCommandsChangedAndPlanSaysSo) {
  ASSERT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 9})").code,
            Code::ok);
  const Status plan = run("plan");
  EXPECT_THAT(plan.message, HasSubstr("1 change by commands since the file was last read would be "
                                      "undone"));
  EXPECT_EQ(
      json::serialize(plan.result.at("by_commands")),
      R"({"kept":false,"changes":["backend 10.0.0.1:80 of 192.0.2.1:80/tcp: weight 5 -> 9"]})");
  EXPECT_EQ(run("reload").code, Code::ok);
  EXPECT_EQ(web(), (Weights{5, 1}));
  EXPECT_EQ(run("plan").message, "nothing differs from what runs");
}

TEST_F(ApplyTest, OrKeepsItOnTopOfWhatTheFileSaysNow) {
  ASSERT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 9})").code,
            Code::ok);
  ASSERT_EQ(run("service add", R"({"service": "192.0.2.9:80/tcp", "mode": "nat"})").code, Code::ok);
  write_file(keeping_file);
  const Status plan = run("plan");
  EXPECT_THAT(plan.message, HasSubstr("2 changes by commands since the file was last read would "
                                      "stay"));
  EXPECT_EQ(plan.result.at("backends").at("changed"), 1) << "the file's own change alone";
  ASSERT_EQ(run("reload").code, Code::ok);
  EXPECT_EQ(web(), (Weights{9, 2}));
  EXPECT_EQ(machine_.state.config->services.size(), 2U);
  // What was kept is a change by commands still.
  EXPECT_EQ(run("plan").result.at("by_commands").at("changes").as_array().size(), 2U);
  ASSERT_EQ(run("reload").code, Code::ok);
  EXPECT_EQ(web(), (Weights{9, 2}));
  write_file(first_file);
  ASSERT_EQ(run("reload").code, Code::ok);
  EXPECT_EQ(web(), (Weights{5, 1})) << "that file does not keep anything";
  EXPECT_EQ(machine_.state.config->services.size(), 1U);
}

TEST_F(ApplyTest, WhatIsKeptHasToGoWithTheFile) {
  write_file(keeping_file);
  ASSERT_EQ(run("reload").code, Code::ok);
  ASSERT_EQ(
      run("service add", R"({"service": "192.0.2.9:80/tcp", "mode": "nat", "name": "x"})").code,
      Code::ok);
  std::string text(keeping_file);
  text += "  - {name: x, address: 192.0.2.8, port: 80, mode: nat}\n";
  write_file(text);
  EXPECT_THAT(run("plan").message,
              HasSubstr("what commands have changed does not go with the file: "));
  const Status status = run("reload");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_THAT(status.message, HasSubstr("x is the name of services[1] already"));
  EXPECT_EQ(machine_.state.config->services.size(), 2U) << "nothing was changed";
}

TEST_F(ApplyTest, ARollbackForgetsTheFileThatWasApplied) {
  write_file(keeping_file);
  ASSERT_EQ(run("reload").code, Code::ok);
  ASSERT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 9})").code,
            Code::ok);
  ASSERT_EQ(apply(60000).code, Code::ok);
  ASSERT_EQ(run("rollback").code, Code::ok);
  EXPECT_EQ(web(), (Weights{9, 2}));
  EXPECT_EQ(run("plan").result.at("by_commands").at("changes").as_array().size(), 1U);
  ASSERT_EQ(run("reload").code, Code::ok);
  EXPECT_EQ(web(), (Weights{9, 2}));
}

TEST_F(ApplyTest, ReloadsThatComeTogetherGoOneAfterTheOther) {
  write_file(keeping_file);
  ASSERT_EQ(run("backend edit", R"({"service": "web", "backend": "one", "weight": 9})").code,
            Code::ok);
  std::optional<Status> first;
  std::optional<Status> second;
  spawn("reload", "{}", first);
  spawn("reload", "{}", second);
  ASSERT_TRUE(turns_until([&] { return first && second; }));
  EXPECT_EQ(first->code, Code::ok);
  EXPECT_EQ(second->code, Code::ok);
  EXPECT_EQ(web(), (Weights{9, 2}));
}

TEST_F(ApplyTest, WhileItWaitsOtherChangesAreRefusedWithWhoAndUntilWhen) {
  ASSERT_EQ(apply(60000).code, Code::ok);
  const Status status = run("backend edit", R"({"service": "web", "backend": "one", "weight": 6})");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_THAT(
      status.message,
      testing::MatchesRegex("nothing was changed: uid 0, process 77 applied .*/other.yaml, "
                            "which waits for its confirmation until 20.*Z: `headgate confirm` "
                            "keeps it, `headgate rollback` takes it back"));
  EXPECT_EQ(run("reload").message, status.message);
  EXPECT_EQ(apply(10).message, status.message);
  EXPECT_EQ(run("timeouts set", R"({"udp_s": 20})").message, status.message);
  EXPECT_EQ(web(), Weights{50});
  EXPECT_EQ(run("plan").code, Code::ok) << "looking is free";
  EXPECT_EQ(run("zero").code, Code::ok);
  const uint64_t before = generation();
  KernelState kernel;
  kernel.interfaces = {{"wan", 1, {{2, 0, 0, 0, 0, 1}}, 1500, true}};
  changes_.kernel_changed(kernel, {.links = true, .routes = true, .neighbours = true});
  EXPECT_TRUE(turns_until([&] { return generation() > before; })) << "the kernel's go on";
  EXPECT_TRUE(pending());
  EXPECT_EQ(run("rollback").code, Code::ok);
}

TEST_F(ApplyTest, AnEditThatCameBeforeIsPartOfWhatComesBack) {
  std::optional<Status> edited;
  std::optional<Status> applied;
  const json::object arguments{{"file", other_path_}, {"confirm_within_ms", 60000}};
  spawn("backend edit", R"({"service": "web", "backend": "one", "weight": 9})", edited);
  spawn("apply", json::serialize(arguments).c_str(), applied);
  ASSERT_TRUE(turns_until([&] { return edited && applied; }));
  EXPECT_EQ(edited->code, Code::ok);
  ASSERT_EQ(applied->code, Code::ok) << applied->message;
  EXPECT_EQ(run("rollback").code, Code::ok);
  EXPECT_EQ(web(), (Weights{9, 1}));
}

TEST_F(ApplyTest, AFileThatIsRefusedLeavesNothingPending) {
  std::ofstream(other_path_) << "services: 5\n";
  EXPECT_EQ(apply(60000).code, Code::refused);
  EXPECT_FALSE(pending());
  std::ofstream(other_path_) << "ports:\n  - {name: wan, interface: eth1}\n";
  const Status status = apply(60000);
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_THAT(status.message, HasSubstr("needs a restart"));
  EXPECT_FALSE(pending());
  EXPECT_EQ(machine_.state.config_path, own_path_);
  EXPECT_EQ(apply(0).code, Code::usage);
}

TEST_F(ApplyTest, OneThatChangesNothingWaitsAllTheSame) {
  std::ofstream(other_path_) << first_file;
  ASSERT_EQ(apply(60000).code, Code::ok);
  EXPECT_EQ(machine_.state.config_path, other_path_);
  EXPECT_EQ(run("rollback").message, "nothing differs from what runs");
  EXPECT_EQ(machine_.state.config_path, own_path_);
}

TEST_F(ApplyTest, ARollbackThatFailsEndsTheProbation) {
  ASSERT_EQ(apply(60000).code, Code::ok);
  std::vector<Block> taken;
  for (size_t bytes = 1U << 20; bytes >= 64; bytes /= 2) {
    while (const auto block = machine_.state.arena.allocate(bytes))
      taken.push_back(*block);
  }
  const Status status = run("rollback");
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_THAT(status.message, HasSubstr("could not be taken back, and goes on running"));
  EXPECT_EQ(web(), Weights{50});
  EXPECT_FALSE(pending());
  EXPECT_EQ(machine_.state.config_path, own_path_);
  EXPECT_EQ(audited().back().at("command"), "rollback");
  for (const Block& block : taken)
    machine_.state.arena.free(block);
  EXPECT_EQ(run("reload").code, Code::ok) << "as it says";
  EXPECT_EQ(web(), (Weights{5, 1}));
}

TEST_F(ApplyTest, EveryChangeIsAuditedRefusedOnesToo) {
  run("backend edit", R"({"service": "web", "backend": "one", "weight": 6})", Peer{42, 0, 0});
  run("backend edit", R"({"service": "web\n", "backend": "one", "weight": 7})", Peer{43, 65533, 1});
  run("backend edit", R"({"service": "web", "backend": "one"})");
  run("zero");
  run("show services");
  run("timeouts");
  run("plan");
  const auto lines = audited();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0].at("command"), "backend edit service=web backend=one weight=6");
  EXPECT_EQ(lines[0].at("outcome"), "done, generation 2");
  EXPECT_EQ(lines[0].at("generation"), 2);
  EXPECT_EQ(lines[0].at("pid"), 42);
  EXPECT_EQ(lines[0].at("user"), "root");
  EXPECT_EQ(lines[0].at("changes").at(0), "backend 10.0.0.1:80 of 192.0.2.1:80/tcp: weight 5 -> 6");
  EXPECT_EQ(lines[1].at("command"), R"(backend edit service="web\n" backend=one weight=7)");
  EXPECT_THAT(std::string(lines[1].at("outcome").as_string()), testing::StartsWith("refused: "));
  EXPECT_EQ(lines[1].at("uid"), 65533);
  EXPECT_FALSE(lines[1].contains("user"));
  EXPECT_EQ(lines[2].at("outcome"), "refused: nothing to change was named");
  EXPECT_EQ(lines[3].at("command"), "zero");
}

// It used to be told as refused alone, and the file was forgotten.
TEST_F(ApplyTest, AChangeThatAWorkerIsLateToTakeIsNotCalledRefused) {
  machine_.grace.online(1);
  const json::object arguments{{"file", other_path_}};
  EXPECT_EQ(run("reload", json::serialize(arguments).c_str()).code, Code::refused);
  machine_.grace.offline(1);
  const json::object entry = audited().at(0);
  EXPECT_THAT(std::string(entry.at("outcome").as_string()),
              testing::StartsWith("the change is made, as generation 2"));
  EXPECT_EQ(entry.at("generation"), 2);
  EXPECT_EQ(entry.at("changes").as_array().size(), 2U);
  EXPECT_EQ(machine_.state.config_path, other_path_);
}

TEST_F(ApplyTest, TheEndOfTheAuditLogIsShown) {
  for (int i = 0; i < 25; ++i)
    run("zero");
  run("reload", R"({"file": "relative"})");
  run("show audit");
  ASSERT_EQ(rows_.size(), 20U);
  EXPECT_EQ(rows_.back().at("outcome"), "refused: file: must be an absolute path");
  EXPECT_EQ(rows_.back().at("who"), "root (uid 0, process 1)");
  run("show audit", R"({"last": 3})");
  EXPECT_EQ(rows_.size(), 3U);
  EXPECT_EQ(run("show audit", R"({"last": 1000000})").code, Code::usage);
  machine_.state.audit.write_to({});
  EXPECT_EQ(run("show audit").code, Code::refused);
}

}  // namespace
}  // namespace headgate::control
