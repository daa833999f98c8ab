// The rules of a health check.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/validate.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What is wrong with checks of one service in nat mode, which stand on line 6 from column 14 on.
std::vector<std::string> checks(std::string_view list) {
  return problems_after_port(
      fmt::format("services:\n  - address: 192.0.2.1\n    port: 80\n    mode: nat\n"
                  "    checks: [{}]\n    backends: [{{address: 10.0.0.1}}]\n",
                  list));
}
// The same with more keys of the service and other backends.
std::vector<std::string> service(std::string_view keys, std::string_view backends) {
  return problems_after_port(
      fmt::format("services:\n  - {{{}, backends: [{}]}}\n", keys, backends));
}

TEST(ValidateChecks, EachTypeHasItsOwnSection) {
  EXPECT_THAT(
      checks("{}, {type: ping}, {type: smtp, smtp: {helo: a}}, {type: udp, udp: {send: a}}, "
             "{type: dns, dns: {name: a}}, {type: http, http: {host: a}}, "
             "{type: https, http: {host: a}}, {type: script, script: {command: /a}}"),
      IsEmpty());
  EXPECT_THAT(checks("{type: tcp, http: {host: a}}"),
              ElementsAre("t.yaml:6:32: services[0].checks[0].http: belongs to checks of type http "
                          "and https, and this one is of type tcp"));
  EXPECT_THAT(checks("{type: http, udp: {send: a}, dns: {name: a}, smtp: {helo: a}}"),
              ElementsAre(HasSubstr("checks[0].udp: belongs to checks of type udp, and this one is "
                                    "of type http"),
                          HasSubstr("checks[0].dns: belongs to checks of type dns"),
                          HasSubstr("checks[0].smtp: belongs to checks of type smtp")));
  EXPECT_THAT(checks("{type: ping, script: {command: /a}}"),
              ElementsAre(HasSubstr("checks[0].script: belongs to checks of type script")));
  EXPECT_THAT(checks("{type: tcp, http: {}}"), IsEmpty());
}

TEST(ValidateChecks, TimesAndCountsHaveRanges) {
  EXPECT_THAT(checks("{interval_ms: 100, timeout_ms: 3600000, retries: 0, retry_delay_ms: 0, "
                     "warmup_ms: 0, rise: 65535, fall: 1}"),
              IsEmpty());
  EXPECT_THAT(
      checks("{interval_ms: 99, timeout_ms: 0, retries: 1001, rise: 0, fall: 0, warmup_ms: -1}"),
      ElementsAre("t.yaml:6:28: services[0].checks[0].interval_ms: 99 is below 100",
                  "t.yaml:6:44: services[0].checks[0].timeout_ms: 0 is below 10",
                  "t.yaml:6:56: services[0].checks[0].retries: 1001 is above 1000",
                  HasSubstr("rise: 0 is below 1"), HasSubstr("fall: 0 is below 1"),
                  HasSubstr("warmup_ms: -1 is below 0")));
}

TEST(ValidateChecks, AServiceOfSeveralPortsDoesNotSayWhichToAsk) {
  EXPECT_THAT(service("address: 192.0.2.1, persistence: {}, checks: [{type: ping}, {}, {port: 80}]",
                      "{address: 10.0.0.1}"),
              ElementsAre("t.yaml:3:66: services[0].checks[1].port: is missing: backends[0] has "
                          "none that could be asked, as the service takes packets of several; "
                          "write the port"));
  EXPECT_THAT(service("firewall_mark: 7, mode: nat",
                      "{address: 10.0.0.1, port: 80, checks: [{}]}, "
                      "{address: 10.0.0.2, checks: [{}]}"),
              ElementsAre(HasSubstr("services[0].backends[1].checks[0].port: is missing: "
                                    "backends[1] has none")));
  EXPECT_THAT(service("firewall_mark: 7, checks: [{}]", ""),
              ElementsAre(HasSubstr("checks[0].port: is missing: the service has none")));
}

TEST(ValidateChecks, WarnsOfPortsWherePingAndScriptsKnowNone) {
  EXPECT_THAT(checks("{type: ping, port: 1, source_port: 2}"),
              ElementsAre(HasSubstr("warning: services[0].checks[0].port: has no effect: ping "
                                    "knows no ports"),
                          HasSubstr("warning: services[0].checks[0].source_port: has no effect: it "
                                    "is for checks that ask a port")));
  EXPECT_THAT(checks("{type: script, address: 10.0.0.2, port: 1, source: 10.0.0.2, interface: a, "
                     "mark: 1, script: {command: /a}}"),
              ElementsAre(HasSubstr("warning: services[0].checks[0].address: has no effect: a "
                                    "script knows itself whom to ask, and how"),
                          HasSubstr("warning: services[0].checks[0].port: has no effect"),
                          HasSubstr("warning: services[0].checks[0].source: has no effect"),
                          HasSubstr("warning: services[0].checks[0].interface: has no effect"),
                          HasSubstr("warning: services[0].checks[0].mark: has no effect")));
}

// ---- the data path

TEST(ValidateChecks, TheDataPathIsForModesThatLeaveTheAddress) {
  constexpr std::string_view head = "address: 192.0.2.1, port: 80, checks: [{data_path: on}]";
  EXPECT_THAT(service(head, "{address: 10.0.0.1}, {address: 10.0.0.2, mode: ipip}"), IsEmpty());
  EXPECT_THAT(service(head, "{address: 10.0.0.1}, {address: 10.0.0.2, mode: nat}"),
              ElementsAre("t.yaml:3:57: services[0].checks[0].data_path: is for dr and ipip, and "
                          "backends[1] is in nat or fullnat mode, where ordinary checks go the way "
                          "of the clients' packets already"));
  EXPECT_THAT(service(head, "{address: 10.0.0.2, mode: nat, checks: [{}]}"), IsEmpty())
      << "that backend is not asked";
  EXPECT_THAT(checks("{data_path: on}"), ElementsAre(HasSubstr("is for dr and ipip")));
}

TEST(ValidateChecks, TheDataPathNeedsAPortAndTheServicesAddress) {
  const auto dr = [](std::string_view check) {
    return service(
        fmt::format("address: 192.0.2.1, port: 80, checks: [{{{}, data_path: on}}]", check),
        "{address: 10.0.0.1}");
  };
  for (const std::string_view type : {"tcp", "http", "https", "udp", "dns", "smtp"}) {
    EXPECT_THAT(dr(fmt::format("type: {}", type)), IsEmpty()) << type;
  }
  EXPECT_THAT(dr("type: ping"),
              ElementsAre(HasSubstr("data_path: goes with checks that ask a port of TCP or UDP, "
                                    "and this one is of type ping")));
  EXPECT_THAT(dr("type: script, script: {command: /a}"),
              ElementsAre(HasSubstr("data_path: goes with checks that ask a port of TCP or UDP")));
  EXPECT_THAT(dr("address: 10.0.0.7"),
              ElementsAre(HasSubstr("checks[0].address: `data_path` asks the service's own "
                                    "address: remove one of the two")));
  EXPECT_THAT(
      service("firewall_mark: 7, checks: [{port: 80, data_path: on}]", "{address: 10.0.0.1}"),
      ElementsAre(HasSubstr("data_path: asks the service's address, and a service of a "
                            "firewall mark has none")));
}

// ---- addresses and interfaces

TEST(ValidateChecks, ASourceIsOfTheFamilyThatIsAsked) {
  EXPECT_THAT(checks("{source: 10.0.0.2}, {address: \"fd00::1\", source: \"fd00::2\"}, "
                     "{address: \"fd00::1\"}"),
              IsEmpty());
  EXPECT_THAT(checks("{source: \"fd00::2\"}"),
              ElementsAre("t.yaml:6:23: services[0].checks[0].source: fd00::2 is ipv6, and "
                          "10.0.0.1, which is asked, is ipv4"));
  EXPECT_THAT(checks("{address: \"fd00::1\", source: 10.0.0.2}"),
              ElementsAre(HasSubstr("source: 10.0.0.2 is ipv4, and fd00::1, which is asked, is "
                                    "ipv6")));
  EXPECT_THAT(service("address: 192.0.2.1, port: 80, mode: ipip, "
                      "checks: [{source: \"fd00::2\"}, {source: \"fd00::2\", data_path: on}]",
                      "{address: \"fd00::1\"}"),
              ElementsAre(HasSubstr("checks[1].source: fd00::2 is ipv6, and 192.0.2.1, which is "
                                    "asked, is ipv4")));
}

TEST(ValidateChecks, AnInterfaceIsNotOneThatAPortTakes) {
  const auto with = [](std::string_view port, std::string_view interface) {
    return problems_of(
        fmt::format("ports: [{}]\nservices:\n  - {{address: 192.0.2.1, port: 80, checks: "
                    "[{{interface: {}}}], backends: [{{address: 10.0.0.1}}]}}\n",
                    port, interface));
  };
  EXPECT_THAT(with("{name: wan, interface: eth0}", "wan"), IsEmpty());
  EXPECT_THAT(with("{name: wan, interface: eth0}", "lo"), IsEmpty());
  EXPECT_THAT(with("{name: wan, interface: eth0}", "eth0"),
              ElementsAre("t.yaml:3:57: services[0].checks[0].interface: eth0 is beneath port wan, "
                          "which takes its packets: write the name of the port's twin"));
  EXPECT_THAT(with("{name: wan, pci: 01:00.0, twin: none}", "wan"),
              ElementsAre(HasSubstr("port wan has no interface of the kernel, by `twin: none`")));
}

// ---- types

TEST(ValidateChecks, CertificatesAreForHttps) {
  EXPECT_THAT(
      checks("{type: http, http: {server_name: a, verify: on, ca_file: /a}}"),
      ElementsAre("t.yaml:6:47: services[0].checks[0].http.server_name: is for https, and this "
                  "check is of type http",
                  HasSubstr("http.verify: is for https"), HasSubstr("http.ca_file: is for https")));
  EXPECT_THAT(checks("{type: https, http: {server_name: a, verify: on, ca_file: /a}}"), IsEmpty());
  EXPECT_THAT(checks("{type: https, http: {ca_file: /a}}"),
              ElementsAre(HasSubstr("warning: services[0].checks[0].http.ca_file: has no effect: "
                                    "`verify` is off")));
}

TEST(ValidateChecks, APageMayHaveDigestAndExpression) {
  EXPECT_THAT(checks("{type: http, http: {urls: [{digest: 00000000000000000000000000000000, "
                     "regex: a, regex_absent: on, status: [200, 300-302]}, {}]}}"),
              IsEmpty());
  EXPECT_THAT(checks("{type: http, http: {urls: [{}, {regex_absent: on}]}}"),
              ElementsAre("t.yaml:6:60: services[0].checks[0].http.urls[1].regex_absent: has no "
                          "meaning without `regex`"));
  EXPECT_THAT(checks("{type: http, http: {urls: [{regex: \"(\"}]}}, "
                     "{type: http, http: {urls: [{path: /a, regex: \"(\"}]}}"),
              ElementsAre(HasSubstr("checks[0].http.urls[0].regex: \"(\" is no regular "
                                    "expression of RE2"),
                          HasSubstr("checks[1].http.urls[0].regex: \"(\" is no regular "
                                    "expression of RE2")));
}

TEST(ValidateChecks, ACheckAsksForUpTo64PagesAndEachHasUpTo64Codes) {
  std::string urls;
  for (int i = 0; i < 64; ++i)
    urls += fmt::format("{{path: /{}}}, ", i);
  EXPECT_THAT(checks(fmt::format("{{type: http, http: {{urls: [{}]}}}}", urls)), IsEmpty());
  EXPECT_THAT(checks(fmt::format("{{type: http, http: {{urls: [{}{{}}]}}}}", urls)),
              ElementsAre(HasSubstr("http.urls: 65 pages, and a check may ask for 64")));
  std::string codes;
  for (int i = 0; i < 64; ++i)
    codes += fmt::format("{}, ", 200 + i);
  EXPECT_THAT(checks(fmt::format("{{type: http, http: {{urls: [{{status: [{}]}}]}}}}", codes)),
              IsEmpty());
  EXPECT_THAT(checks(fmt::format("{{type: http, http: {{urls: [{{status: [{}400]}}]}}}}", codes)),
              ElementsAre(HasSubstr("urls[0].status: 65 codes and ranges, and there can be 64")));
}

TEST(ValidateChecks, AReplyFitsItsBounds) {
  EXPECT_THAT(checks("{type: udp, udp: {min_reply_bytes: 5, max_reply_bytes: 5, expect: abcde}}"),
              IsEmpty());
  EXPECT_THAT(
      checks("{type: udp, udp: {min_reply_bytes: 6, max_reply_bytes: 5, expect: \"hex:001122334455"
             "\"}}"),
      ElementsAre("t.yaml:6:49: services[0].checks[0].udp.min_reply_bytes: 6 is above "
                  "max_reply_bytes, 5",
                  HasSubstr("udp.expect: has 6 bytes, and with `max_reply_bytes` a reply has 5 at "
                            "most")));
}

TEST(ValidateChecks, AnAnswerIsOneThatTheQuestionCanHave) {
  const auto dns = [](std::string_view keys) {
    return checks(fmt::format("{{type: dns, dns: {{{}}}}}", keys));
  };
  EXPECT_THAT(dns("type: A, answer: 10.0.0.1"), IsEmpty());
  EXPECT_THAT(dns("type: AAAA, answer: \"fd00::1\", rcode: any"), IsEmpty());
  EXPECT_THAT(dns("type: MX, answer: 10 a"), IsEmpty());
  EXPECT_THAT(dns("type: A, answer: \"fd00::1\""),
              ElementsAre(HasSubstr("dns.answer: \"fd00::1\" is not an IPv4 address, which is what "
                                    "a record of type A holds")));
  EXPECT_THAT(dns("type: AAAA, answer: x"), ElementsAre(HasSubstr("is not an IPv6 address")));
  EXPECT_THAT(dns("rcode: NXDOMAIN, answer: x"),
              ElementsAre(HasSubstr("dns.answer: cannot be had with NXDOMAIN: such a reply holds "
                                    "no record")));
}

TEST(ValidateChecks, AScriptHasACommandThatIsWhole) {
  EXPECT_THAT(checks("{type: script}"),
              ElementsAre("t.yaml:6:14: services[0].checks[0].script.command: is missing: the "
                          "program that tells up from down"));
  EXPECT_THAT(checks("{type: script, script: {command: x}}"),
              ElementsAre(HasSubstr("script.command: \"x\" does not begin with an absolute path")));
  EXPECT_THAT(checks("{type: script, script: {command: x, shell: on}}"), IsEmpty());
  EXPECT_THAT(checks("{type: script, script: {command: \"/a 'b\"}}"),
              ElementsAre(HasSubstr("ends within quotes")));
  EXPECT_THAT(checks("{type: script, script: {command: /a, user: \"a b\"}}"),
              ElementsAre(HasSubstr("script.user: \"a b\" is not USER or USER:GROUP")));
}

// ---- lists

TEST(ValidateChecks, OneScriptSetsTheWeight) {
  EXPECT_THAT(checks("{type: script, script: {command: /a, dynamic_weight: on}}, {}"), IsEmpty());
  EXPECT_THAT(checks("{}, {type: script, script: {command: /a, dynamic_weight: on}}, "
                     "{type: script, script: {command: /b, dynamic_weight: on}}"),
              ElementsAre(HasSubstr("checks[2].script.dynamic_weight: checks[1] sets the weight "
                                    "already: one script of a backend can")));
}

TEST(ValidateChecks, WarnsOfACheckThatIsThereTwice) {
  EXPECT_THAT(checks("{}, {port: 8080}, {type: tcp}"),
              ElementsAre("t.yaml:6:32: warning: services[0].checks[2]: is checks[0] once more"));
}

TEST(ValidateChecks, ABackendHasUpTo32) {
  std::string list;
  for (int i = 0; i < 32; ++i)
    list += fmt::format("{{port: {}}}, ", i + 1);
  EXPECT_THAT(checks(list), IsEmpty());
  EXPECT_THAT(checks(list + "{port: 99}"),
              ElementsAre("t.yaml:6:13: services[0].checks: 33 checks, and a backend can have 32"));
}

TEST(ValidateChecks, SaysNothingThatOnlyFollowsFromWhatCouldNotBeRead) {
  EXPECT_THAT(checks("{type: htpt, http: {host: a}, source_port: 5}"),
              ElementsAre(HasSubstr("type: \"htpt\" is not")));
  EXPECT_THAT(checks("{type: script, script: {command: []}}"),
              ElementsAre(HasSubstr("script.command: a list, where a command with its arguments is "
                                    "expected")));
  EXPECT_THAT(
      service("address: 192.0.2.1, port: x, persistence: {}, checks: [{}]", "{address: 10.0.0.1}"),
      ElementsAre(HasSubstr("port: \"x\" is not a whole number")));
}

TEST(ValidateChecks, ChecksTheRangesOfValuesThatNoReaderSaw) {
  Config config = read_good(
      "ports: [{name: p, pci: 01:00.0}]\nservices:\n  - {address: 192.0.2.1, port: 80, "
      "checks: [{type: http, http: {urls: [{}]}}], backends: [{address: 10.0.0.1}]}\n");
  Check& check = config.services[0].checks[0];
  check.timeout_ms = 0;
  check.http.urls[0].status.push_back({300, 200});
  check.http.urls[0].path = "a b";
  check.http.version = static_cast<HttpVersion>(9);
  EXPECT_THAT(lines_of(validate(config)),
              ElementsAre("services[0].checks[0].timeout_ms: 0 is below 10",
                          HasSubstr("services[0].checks[0].http.urls[0].path: \"a b\" does not"),
                          "services[0].checks[0].http.urls[0].status[0]: 300-200 runs backwards",
                          "services[0].checks[0].http.version: 9 is not 1.0 or 1.1"));
}

}  // namespace
}  // namespace headgate::config
