// `transaction` and `flush`: all or nothing, each for itself, one snapshot and one line of the
// audit log.
#include <string>

#include <fmt/format.h>

#include "tests/unit/control/commands_fixture.h"

namespace headgate::control {
namespace {

const char* const three = R"({"commands": [
  {"command": "service add", "arguments": {"service": "192.0.2.2:80/tcp", "scheduler": "rr"}},
  {"command": "backend add",
   "arguments": {"service": "192.0.2.2:80/tcp", "backend": "10.0.0.9:80", "weight": 3}},
  {"command": "timeouts set", "arguments": {"udp_s": 77}}]})";

const char* const one_bad = R"({"commands": [
  {"command": "service add", "arguments": {"service": "192.0.2.2:80/tcp"}},
  {"command": "backend delete",
   "arguments": {"service": "192.0.2.1:80/tcp", "backend": "10.9.9.9:80"}},
  {"command": "service delete", "arguments": {"service": "192.0.2.1:80/tcp"}}]})";

TEST_F(CommandsTest, ATransactionIsOneSnapshot) {
  const Status status = run("transaction", three);
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(status.result.at("generation"), 2);
  EXPECT_EQ(status.result.at("changes").as_array().size(), 2U)
      << "the service with its backend, and the time-out";
  EXPECT_EQ(weights("192.0.2.2", 80), (std::vector<uint32_t>{3}));
  EXPECT_EQ(machine_.state.config->timeouts.udp_s, 77U);
  EXPECT_TRUE(status.result.at("refused").as_array().empty());
}

TEST_F(CommandsTest, ATransactionWithABadCommandChangesNothing) {
  const Status status = run("transaction", one_bad);
  EXPECT_EQ(status.code, Code::refused);
  EXPECT_TRUE(status.message.starts_with("at place 2: service web has no backend"))
      << status.message;
  EXPECT_TRUE(status.message.ends_with("; nothing was changed"));
  EXPECT_EQ(status.result.at("reason").as_string(), "no_such_backend");
  const json::object& refused = status.result.at("refused").as_array().at(0).as_object();
  EXPECT_EQ(refused.at("index"), 1);
  EXPECT_EQ(machine_.state.store.generation(), 1U);
  EXPECT_EQ(block("192.0.2.2", 80), nullptr);
  EXPECT_NE(block("192.0.2.1", 80), nullptr);
}

TEST_F(CommandsTest, EachForItselfMakesWhatCanBeMade) {
  std::string arguments = one_bad;
  arguments.insert(1, R"("each_for_itself": true, )");
  const Status status = run("transaction", arguments.c_str());
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_TRUE(status.message.ends_with("1 of 3 commands were refused")) << status.message;
  const json::array& refused = status.result.at("refused").as_array();
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].at("index"), 1);
  EXPECT_EQ(refused[0].at("reason").as_string(), "no_such_backend");
  EXPECT_NE(block("192.0.2.2", 80), nullptr);
  EXPECT_EQ(block("192.0.2.1", 80), nullptr);
  EXPECT_EQ(machine_.state.store.generation(), 2U);
}

TEST_F(CommandsTest, ATransactionIsCheckedAsAWhole) {
  const Status status = run("transaction", R"({"commands": [
    {"command": "service add", "arguments": {"service": "192.0.2.2:80/tcp"}},
    {"command": "service add", "arguments": {"service": "192.0.2.3:0/tcp"}}]})");
  EXPECT_EQ(status.code, Code::refused) << "all ports, and no persistence";
  EXPECT_EQ(block("192.0.2.2", 80), nullptr);
}

TEST_F(CommandsTest, WhatIsNoTransactionIsWrongUsage) {
  for (const char* arguments :
       {"{}", R"({"commands": 3})", R"({"commands": []})", R"({"commands": [3]})",
        R"({"commands": [{"arguments": {}}]})", R"({"commands": [{"command": "reload"}]})",
        R"({"commands": [{"command": "service add"}]})",
        R"({"commands": [{"command": "flush", "arguments": []}]})",
        R"({"commands": [{"command": "flush"}], "more": 1})"}) {
    EXPECT_EQ(run("transaction", arguments).code, Code::usage) << arguments;
  }
  EXPECT_EQ(
      run("transaction", R"({"commands": [{"command": "flush"}, {"command": "nothing"}]})").message,
      "commands: the one at place 2: \"nothing\" is no change of a service, a backend or "
      "time-outs");
  EXPECT_EQ(machine_.state.store.generation(), 1U);
}

TEST_F(CommandsTest, ALargeTransactionReplacesEverything) {
  std::string arguments = R"({"commands": [{"command": "flush"})";
  for (int i = 1; i <= 40; ++i) {
    arguments += fmt::format(
        R"(, {{"command": "service add", "arguments": {{"service": "192.0.2.{}:81/tcp"}}}})", i);
    for (int j = 1; j <= 20; ++j) {
      arguments += fmt::format(R"(, {{"command": "backend add", "arguments":
        {{"service": "192.0.2.{}:81/tcp", "backend": "10.1.{}.{}:80"}}}})",
                               i, i, j);
    }
  }
  const Status status = run("transaction", (arguments + "]}").c_str());
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_EQ(machine_.state.store.generation(), 2U);
  EXPECT_EQ(machine_.state.config->services.size(), 40U);
  EXPECT_EQ(weights("192.0.2.40", 81).size(), 20U);
  EXPECT_EQ(block("192.0.2.1", 80), nullptr);
}

TEST_F(CommandsTest, FlushDeletesAllServices) {
  const Status status = run("flush");
  ASSERT_EQ(status.code, Code::ok) << status.message;
  EXPECT_TRUE(machine_.state.config->services.empty());
  EXPECT_EQ(block("192.0.2.1", 80), nullptr);
  EXPECT_EQ(run("flush").message, "nothing differs from what runs");
}

TEST_F(CommandsTest, RefusalsNameTheirReason) {
  const auto reason = [&](const char* command, const char* arguments) {
    const Status status = run(command, arguments);
    const json::value* its = status.result.if_contains("reason");
    return its == nullptr ? std::string{} : std::string(its->as_string());
  };
  EXPECT_EQ(reason("service add", R"({"service": "192.0.2.1:80"})"), "service_exists");
  EXPECT_EQ(reason("service delete", R"({"service": "192.0.2.9:80"})"), "no_such_service");
  EXPECT_EQ(reason("zero", R"({"service": "192.0.2.9:80"})"), "no_such_service");
  EXPECT_EQ(reason("show services", R"({"service": "192.0.2.9:80"})"), "no_such_service");
  EXPECT_EQ(reason("backend add", R"({"service": "web", "backend": "10.0.0.1"})"),
            "backend_exists");
  EXPECT_EQ(reason("backend edit", R"({"service": "web", "backend": "10.0.0.9", "weight": 1})"),
            "no_such_backend");
  EXPECT_EQ(reason("backend edit", R"({"service": "web", "backend": "one", "weight": 70000})"), "");
}

TEST_F(CommandsTest, ServicesTellTheirFlagsAndMask) {
  run("service add", R"({"service": "192.0.2.3:53/udp", "scheduler": "sh", "hash_port": true,
    "list_fallback": false, "one_packet": true, "persistence_timeout_s": 60,
    "persistence_netmask": 24, "local_addresses": ["10.0.0.200"]})");
  run("show services", R"({"service": "192.0.2.3:53/udp"})");
  ASSERT_EQ(rows_.size(), 1U);
  const json::object& row = rows_[0].as_object();
  EXPECT_EQ(row.at("persistence_netmask"), 24);
  EXPECT_EQ(row.at("hash_port"), true);
  EXPECT_EQ(row.at("fallback"), true);
  EXPECT_EQ(row.at("list_fallback"), false);
  EXPECT_EQ(row.at("one_packet"), true);
  EXPECT_EQ(row.at("local_addresses"), json::array{"10.0.0.200"});
}

}  // namespace
}  // namespace headgate::control
