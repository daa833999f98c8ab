#include "tools/headgate_options.h"

#include <filesystem>
#include <sstream>
#include <string>

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

namespace headgate::cli {
namespace {

std::vector<std::string> words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> result;
  for (std::string word; stream >> word;)
    result.push_back(word);
  return result;
}

// "command {arguments}" of the request, or "exit STATUS: first line".
std::string request_of(const std::string& line) {
  const auto invocation = parse(words(line), "");
  if (!invocation) {
    const std::string& text = invocation.error().text;
    return "exit " + std::to_string(invocation.error().exit_status) + ": " +
           text.substr(0, text.find('\n'));
  }
  return invocation->request.command + " " + boost::json::serialize(invocation->request.arguments);
}

TEST(CommandLine, ATimeToConfirmInIsAtLeastAMillisecondAndAtMostADay) {
  for (const char* time : {"0", "0ms", "25h", "soon", "1.5s", "ms", "-1ms", "99999999999ms"}) {
    const std::string line = std::string("apply /x --confirm-within ") + time;
    EXPECT_TRUE(request_of(line).starts_with("exit 2: ")) << request_of(line);
  }
  EXPECT_TRUE(request_of("apply").starts_with("exit 2: ")) << "the file is missing";
}

TEST(CommandLine, EveryCommandBecomesItsRequest) {
  EXPECT_EQ(request_of("show services"), "show services {}");
  EXPECT_EQ(request_of("show services web"), R"(show services {"service":"web"})");
  EXPECT_EQ(request_of("show backends 192.0.2.1:80/tcp"),
            R"(show backends {"service":"192.0.2.1:80/tcp"})");
  EXPECT_EQ(request_of("show connections --service a --backend b --client 10.0.0.0/8 --limit 5"),
            R"(show connections {"service":"a","backend":"b","client":"10.0.0.0/8","limit":5})");
  EXPECT_EQ(request_of("show ports"), "show ports {}");
  EXPECT_EQ(request_of("show workers"), "show workers {}");
  EXPECT_EQ(request_of("show stats"), "show stats {}");
  EXPECT_EQ(request_of("show drops --all"), R"(show drops {"all":true})");
  EXPECT_EQ(request_of("show neighbours"), "show neighbours {}");
  EXPECT_EQ(request_of("show config"), "show config {}");
  EXPECT_EQ(request_of("show config --json"), R"(show config {"json":true})");
  EXPECT_EQ(request_of("convert k.conf --port wan=3b:00.0 --port lan=vdev:x --config-id x"),
            R"(convert {"conf":"k.conf","ports":["wan=3b:00.0","lan=vdev:x"],"config_id":"x"})");
  EXPECT_EQ(request_of("service delete web"), R"(service delete {"service":"web"})");
  EXPECT_EQ(request_of("backend delete web 10.0.0.1"),
            R"(backend delete {"service":"web","backend":"10.0.0.1"})");
  EXPECT_EQ(request_of("backend drain web 10.0.0.1 --deadline 5m"),
            R"(backend drain {"service":"web","backend":"10.0.0.1","deadline_s":300})");
  EXPECT_EQ(request_of("backend drain web 10.0.0.1 --deadline none"),
            R"(backend drain {"service":"web","backend":"10.0.0.1","deadline_s":null})");
  EXPECT_EQ(request_of("reload"), "reload {}");
  EXPECT_EQ(request_of("reload x.yaml"),
            "reload {\"file\":\"" + std::filesystem::current_path().string() + "/x.yaml\"}");
  EXPECT_EQ(request_of("reload /etc/x.yaml"), R"(reload {"file":"/etc/x.yaml"})");
  EXPECT_EQ(request_of("plan"), "plan {}");
  EXPECT_EQ(request_of("plan /etc/x.yaml"), R"(plan {"file":"/etc/x.yaml"})");
  EXPECT_EQ(request_of("apply /etc/x.yaml"), R"(apply {"file":"/etc/x.yaml"})");
  EXPECT_EQ(request_of("apply /etc/x.yaml --confirm-within 2m"),
            R"(apply {"file":"/etc/x.yaml","confirm_within_ms":120000})");
  EXPECT_EQ(request_of("apply /etc/x.yaml --confirm-within 500ms"),
            R"(apply {"file":"/etc/x.yaml","confirm_within_ms":500})");
  EXPECT_EQ(request_of("confirm"), "confirm {}");
  EXPECT_EQ(request_of("rollback"), "rollback {}");
  EXPECT_EQ(request_of("show pending"), "show pending {}");
  EXPECT_EQ(request_of("show audit --last 5"), R"(show audit {"last":5})");
  EXPECT_EQ(request_of("timeouts"), "timeouts {}");
  EXPECT_EQ(request_of("timeouts set udp=5m tcp_established_s=10"),
            R"(timeouts set {"udp_s":300,"tcp_established_s":10})");
  EXPECT_EQ(request_of("show vrrp"), "show vrrp {}");
  EXPECT_EQ(request_of("show vrrp outside"), R"(show vrrp {"name":"outside"})");
  EXPECT_EQ(request_of("vrrp failover outside"), R"(vrrp failover {"name":"outside"})");
  EXPECT_EQ(request_of("vrrp maintenance on"), R"(vrrp maintenance {"on":true})");
  EXPECT_EQ(request_of("vrrp maintenance off"), R"(vrrp maintenance {"on":false})");
  EXPECT_EQ(request_of("zero"), "zero {}");
  EXPECT_EQ(request_of("zero web"), R"(zero {"service":"web"})");
  EXPECT_EQ(request_of("version"), "version {}");
}

TEST(CommandLine, OptionsOfServicesAndBackendsAreTyped) {
  EXPECT_EQ(request_of("service add [2001:db8::1]:53/udp --mode nat -s mh --persistence 10m "
                       "--netmask 64 --no-fallback --hash-port --local-address 10.0.0.1 "
                       "--local-address 10.0.0.2 --drain-deadline none"),
            R"(service add {"service":"[2001:db8::1]:53/udp","mode":"nat","scheduler":"mh",)"
            R"("persistence_timeout_s":600,"persistence_netmask":64,"fallback":false,)"
            R"("hash_port":true,"local_addresses":["10.0.0.1","10.0.0.2"],)"
            R"("drain_deadline_s":null})");
  EXPECT_EQ(request_of("backend edit web 10.0.0.1:80 -w 0 --disable --upper-threshold 100"),
            R"(backend edit {"service":"web","backend":"10.0.0.1:80","weight":0,)"
            R"("upper_threshold":100,"enabled":false})");
  EXPECT_EQ(request_of("service edit web --quorum 4 --quorum-hysteresis 1 --on-down reset "
                       "--slow-start 1m --panic-percent 30 --no-inhibit-on-failure"),
            R"(service edit {"service":"web","inhibit_on_failure":false,"on_down":"reset",)"
            R"("slow_start_s":60,"panic_percent":30,"quorum":4,"quorum_hysteresis":1})");
  EXPECT_EQ(request_of("backend edit web 10.0.0.1 --priority 1 --inhibit-on-failure"),
            R"(backend edit {"service":"web","backend":"10.0.0.1","priority":1,)"
            R"("inhibit_on_failure":true})");
}

TEST(CommandLine, MistakesAreUsageErrorsThatSayWhatIsMissing) {
  EXPECT_EQ(request_of("backend add web"), "exit 2: headgate: backend is required");
  EXPECT_EQ(request_of("service add"), "exit 2: headgate: service is required");
  EXPECT_EQ(request_of("backend"),
            "exit 2: headgate: a command is missing; one of add, edit, delete, check, drain");
  EXPECT_EQ(request_of(""),
            "exit 2: headgate: a command is missing; one of show, service, backend, vrrp, "
            "reload, plan, apply, confirm, rollback, timeouts, zero, convert, version");
  EXPECT_EQ(request_of("vrrp failover"), "exit 2: headgate: name is required");
  EXPECT_EQ(request_of("vrrp maintenance"), "exit 2: headgate: switch is required");
  EXPECT_EQ(request_of("vrrp maintenance maybe"), "exit 2: headgate: maybe is neither on nor off");
  EXPECT_EQ(request_of("vrrp"),
            "exit 2: headgate: a command is missing; one of failover, maintenance");
  EXPECT_EQ(request_of("--bogus"), "exit 2: headgate: there is no option --bogus");
  EXPECT_EQ(request_of("backend drain web x --deadline soon"),
            "exit 2: headgate: soon is no time; write 30s, 5m, 2h or 1d");
  EXPECT_EQ(request_of("timeouts set udp"),
            "exit 2: headgate: udp is not NAME=TIME, like udp=300s");
  EXPECT_EQ(request_of("backend edit web x --weight=-1"),
            "exit 2: headgate: -1 is no number from 0 to 4294967295");
  EXPECT_EQ(request_of("show service"),
            "exit 2: headgate: there is no command \"service\"; one of services, backends, checks, "
            "connections, ports, workers, stats, drops, neighbours, vrrp, config, pending, audit");
  EXPECT_EQ(request_of("sho"),
            "exit 2: headgate: there is no command \"sho\"; one of show, service, backend, vrrp, "
            "reload, plan, apply, confirm, rollback, timeouts, zero, convert, version");
}

TEST(CommandLine, WhatCli11WouldThrowEndsAsWrongUsage) {
  EXPECT_EQ(request_of("service edit web --fallback=maybe"),
            "exit 2: headgate: --fallback: maybe: takes no value");
  EXPECT_EQ(request_of("service edit web --no-fallback=x").substr(0, 6), "exit 2");
  EXPECT_EQ(request_of("show drops --all=x --json=y").substr(0, 6), "exit 2");
  const auto empty_file = parse({"reload", ""}, "");
  ASSERT_FALSE(empty_file.has_value());
  EXPECT_EQ(empty_file.error().exit_status, 2);
  EXPECT_EQ(empty_file.error().text, "headgate: the file's name is empty\n");
}

TEST(CommandLine, TheTimeOutHasBounds) {
  EXPECT_EQ(request_of("version --timeout 0"), "exit 2: headgate: 0 is not from 1s to 1d");
  EXPECT_EQ(request_of("version --timeout 2d"), "exit 2: headgate: 2d is not from 1s to 1d");
  EXPECT_EQ(parse(words("version --timeout 1d"), "")->timeout, std::chrono::hours(24));
}

TEST(CommandLine, TheVersionNeedsNoDaemon) {
  const auto version = parse({"--version"}, "");
  ASSERT_FALSE(version.has_value());
  EXPECT_EQ(version.error().exit_status, 0);
  EXPECT_TRUE(version.error().text.starts_with("headgate ")) << version.error().text;
}

TEST(CommandLine, GlobalOptionsMayStandAnywhere) {
  const auto invocation = parse(words("show --json services --socket /tmp/x --exact"), "/env");
  ASSERT_TRUE(invocation.has_value());
  EXPECT_TRUE(invocation->json);
  EXPECT_TRUE(invocation->exact);
  EXPECT_EQ(invocation->socket, "/tmp/x");
  EXPECT_EQ(parse(words("version"), "/env")->socket, "/env");
  EXPECT_EQ(parse(words("version"), "")->socket, "/run/headgate/headgate.sock");
}

TEST(CommandLine, HelpIsNoError) {
  const auto help = parse({"--help"}, "");
  ASSERT_FALSE(help.has_value());
  EXPECT_EQ(help.error().exit_status, 0);
  EXPECT_NE(help.error().text.find("Exit status: 0 done"), std::string::npos);
}

TEST(CommandLine, DurationsHaveUnitsAndBounds) {
  EXPECT_EQ(parse_duration("90"), 90U);
  EXPECT_EQ(parse_duration("90s"), 90U);
  EXPECT_EQ(parse_duration("2h"), 7200U);
  EXPECT_EQ(parse_duration("1d"), 86400U);
  EXPECT_FALSE(parse_duration("").has_value());
  EXPECT_FALSE(parse_duration("s").has_value());
  EXPECT_FALSE(parse_duration("-1").has_value());
  EXPECT_FALSE(parse_duration("1.5h").has_value());
  EXPECT_FALSE(parse_duration("99999999999999999d").has_value());
}

}  // namespace
}  // namespace headgate::cli
