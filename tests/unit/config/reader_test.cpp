#include "config/reader.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/keys.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Reader, FillsTheModel) {
  const Config config = read_good(R"(
daemon: {name: edge1, socket_mode: 0600, idle: adaptive}
workers: {cores: [2, 4-6]}
memory: {huge_pages: 2M, memory_mb: auto}
ports:
  - name: wan
    interface: eth1
    driver: af_packet
    twin:
      addresses: [192.0.2.2/24]
      routes: [{to: 0.0.0.0/0, via: 192.0.2.1, metric: 10}]
    vlans:
      - {id: 100, addresses: [10.1.0.2/24]}
  - {name: mirror, vdev: net_null0, twin: none}
timeouts: {udp_s: 30}
forwarding: {routing: on, local_addresses: [10.0.0.10-10.0.0.12]}
services:
  - name: web
    address: 192.0.2.10
    port: 80
    mode: nat
    persistence: {timeout_s: 300, netmask: 255.255.255.0}
    backends:
      - {address: 10.0.0.21, port: 8080, weight: 3, upper_threshold: 100}
      - {address: 10.0.0.22}
  - {firewall_mark: 7, family: ipv6}
firewall_marks:
  - mark: 7
    destination: "2001:db8::7"
    protocol: udp
    ports: [53, 8000-8099]
)");
  ASSERT_EQ(config.firewall_marks.size(), 1U);
  EXPECT_EQ(net::to_string(config.firewall_marks[0].destination), "2001:db8::7/128");
  EXPECT_EQ(config.firewall_marks[0].ports, (std::vector<PortRange>{{53, 53}, {8000, 8099}}));
  EXPECT_EQ(config.daemon.name, "edge1");
  EXPECT_EQ(config.daemon.socket_mode, 0600);
  EXPECT_EQ(config.daemon.socket_path(), "/run/headgate/headgate.sock");
  EXPECT_EQ(config.daemon.idle, Idle::adaptive);
  EXPECT_EQ(config.workers.cores, (std::vector<uint16_t>{2, 4, 5, 6}));
  EXPECT_EQ(config.memory.huge_pages, HugePages::size_2m);
  EXPECT_EQ(config.memory.memory_mb, std::nullopt);
  ASSERT_EQ(config.ports.size(), 2U);
  const Port& wan = config.ports[0];
  EXPECT_EQ(wan.interface, "eth1");
  EXPECT_EQ(wan.driver, Driver::af_packet);
  EXPECT_EQ(wan.twin_name(), "wan");
  EXPECT_EQ(wan.vlan_name(wan.vlans[0]), "wan.100");
  EXPECT_EQ(wan.twin.routes[0].metric, 10U);
  EXPECT_FALSE(config.ports[1].twin.enabled);
  EXPECT_EQ(config.timeouts.udp_s, 30U);
  EXPECT_EQ(config.timeouts.tcp_established_s, 900U);
  EXPECT_TRUE(config.forwarding.routing);
  EXPECT_EQ(config.forwarding.local_addresses.size(), 3U);
  ASSERT_EQ(config.services.size(), 2U);
  const Service& web = config.services[0];
  EXPECT_EQ(to_string(key_of(web)), "192.0.2.10:80/tcp");
  EXPECT_EQ(web.persistence->netmask, 24);
  EXPECT_EQ(web.backends[0].port, 8080);
  EXPECT_EQ(to_string(key_of(web.backends[1])), "10.0.0.22:80");
  EXPECT_EQ(mode_of(web, web.backends[1]), Mode::nat);
  EXPECT_EQ(name_of(config.services[1]), "mark:7/ipv6");
}

TEST(Reader, GivesFileLineColumnPathValueAndRemedy) {
  EXPECT_THAT(problems_after_port("services:\n  - address: 192.0.2.1\n    port: 70000\n"),
              ElementsAre("t.yaml:4:11: services[0].port: 70000 is above 65535"));
}

TEST(Reader, FindsEveryMistakeInOneRunInTheOrderOfTheFile) {
  EXPECT_THAT(
      problems_of(R"(daemon: {idel: busy, socket_mode: 9}
ports:
  - name: wan
    pci: nowhere
    queues: many
  - interface: eth0
services:
  - adress: 192.0.2.10
    port: 80
    mode: fulnat
    backends:
      - {address: 10.0.0.1:80, weight: -1}
      - {adress: 10.0.0.2}
)"),
      ElementsAre("t.yaml:1:10: daemon.idel: unknown key; did you mean idle?",
                  "t.yaml:1:35: daemon.socket_mode: \"9\" is not an octal file mode such as "
                  "0660",
                  "t.yaml:4:10: ports[0].pci: \"nowhere\" is not a PCI address such as "
                  "0000:3b:00.0 (`lspci -D` lists them)",
                  "t.yaml:5:13: ports[0].queues: \"many\" is not a whole number from 1 to 128",
                  "t.yaml:6:5: ports[1].name: is missing: a port needs a name",
                  "t.yaml:8:5: services[0].adress: unknown key; did you mean address?",
                  "t.yaml:10:11: services[0].mode: \"fulnat\" is not dr, nat, fullnat or "
                  "ipip; did you mean fullnat?",
                  "t.yaml:12:19: services[0].backends[0].address: \"10.0.0.1:80\" holds a "
                  "port: write `address: 10.0.0.1` and `port: 80`",
                  "t.yaml:12:40: services[0].backends[0].weight: -1 is below 0",
                  "t.yaml:13:10: services[0].backends[1].adress: unknown key; did you mean "
                  "address?"));
}

TEST(Reader, ListsTheKeysWhenNoneIsNear) {
  EXPECT_THAT(problems_after_port("workers: {colour: red}\n"),
              ElementsAre("t.yaml:2:11: workers.colour: unknown key; the keys here are cores"));
}

TEST(Reader, KnowsTheWordsOfLvs) {
  EXPECT_THAT(
      problems_after_port("virtual_server:\n  - vip: 192.0.2.1\n    port: 80\n"
                          "    lb_algo: rr\n    real_server: [{ip: 10.0.0.1}]\n"),
      ElementsAre("t.yaml:2:1: virtual_server: unknown key; did you mean services?",
                  "t.yaml:3:5: services[0].vip: unknown key; did you mean address?",
                  "t.yaml:5:5: services[0].lb_algo: unknown key; did you mean scheduler?",
                  "t.yaml:6:5: services[0].real_server: unknown key; did you mean backends?",
                  "t.yaml:6:20: services[0].backends[0].ip: unknown key; did you mean "
                  "address?"));
}

TEST(Reader, RefusesKeysThatAreGivenTwice) {
  EXPECT_THAT(problems_after_port("rates: {rst_per_s: 1}\nrates: {rst_per_s: 2}\n"),
              ElementsAre("t.yaml:3:1: rates: is given twice, first on line 2: keep one"));
  EXPECT_THAT(
      problems_after_port("rates:\n  rst_per_s: 1\n  rst_per_s: x\n"),
      ElementsAre("t.yaml:4:3: rates.rst_per_s: is given twice, first on line 3: keep one"));
}

TEST(Reader, SaysWhatKindOfValueIsExpected) {
  EXPECT_THAT(problems_after_port("timeouts: 900\n"),
              ElementsAre(HasSubstr("t.yaml:2:11: timeouts: \"900\", where a section with "
                                    "tcp_established_s, tcp_syn_sent_s, ")));
  EXPECT_THAT(problems_after_port("timeouts: {udp_s: [1]}\n"),
              ElementsAre("t.yaml:2:19: timeouts.udp_s: a list, where a whole number from 1 to "
                          "604800 is expected"));
  EXPECT_THAT(problems_after_port("timeouts: {udp_s: {a: 1}}\n"),
              ElementsAre("t.yaml:2:19: timeouts.udp_s: a section, where a whole number from 1 to "
                          "604800 is expected"));
  EXPECT_THAT(problems_after_port("timeouts:\n  udp_s:\n"),
              ElementsAre("t.yaml:3:3: timeouts.udp_s: no value, where a whole number from 1 to "
                          "604800 is expected"));
  EXPECT_THAT(problems_after_port("forwarding: {local_addresses: 10.0.0.1}\n"),
              ElementsAre("t.yaml:2:31: forwarding.local_addresses: one value, where a list is "
                          "expected: write [10.0.0.1]"));
  EXPECT_THAT(problems_after_port("services: {address: 192.0.2.1}\n"),
              ElementsAre("t.yaml:2:11: services: a section, where a list is expected: begin each "
                          "element with '- '"));
  EXPECT_THAT(problems_after_port("services:\n  -\n"),
              ElementsAre("t.yaml:3:3: services[0]: an empty element: remove the '-', or fill it "
                          "in"));
  EXPECT_THAT(problems_after_port("services:\n  - # comment\n\n# comment\ntimeouts: {}\n"),
              ElementsAre(HasSubstr("t.yaml:3:3: services[0]: an empty element")));
  EXPECT_THAT(problems_after_port("services:\n  - ~\n"),
              ElementsAre(HasSubstr("t.yaml:3:5: services[0]: an empty element")));
  EXPECT_THAT(problems_after_port("? [a, b]\n: 1\n"),
              ElementsAre("t.yaml:2:3: a list, where a key is expected"));
  EXPECT_THAT(problems_after_port("<<: {a: 1}\n"),
              ElementsAre("t.yaml:2:1: \"<<\": merge keys are not supported: write the keys out"));
}

TEST(Reader, RefusesRootsThatAreNoSection) {
  EXPECT_THAT(problems_of("- a\n- b\n"),
              ElementsAre(HasSubstr("t.yaml:1:1: a list, where a section with daemon, workers")));
  EXPECT_THAT(
      problems_of("hello\n"),
      ElementsAre(HasSubstr("t.yaml:1:1: \"hello\", where a section with daemon, workers")));
}

TEST(Reader, RefusesAnEmptyFile) {
  for (const std::string_view text : {"", "\n", "# only a comment\n", "---\n"}) {
    EXPECT_THAT(problems_of(text),
                ElementsAre("t.yaml:1:1: the file is empty: at least `ports` or `vrrp` is needed"));
  }
}

TEST(Reader, TakesSectionsAndListsWithNothingInThemAsLeftOut) {
  const Config config = read_good("ports: [{name: p, pci: 01:00.0}]\ntimeouts:\nservices:\n");
  EXPECT_EQ(config.timeouts, Timeouts{});
  EXPECT_TRUE(config.services.empty());
}

TEST(Reader, TakesTheWordsForLeftToTheMachine) {
  const Config config = read_good(
      "workers: {cores: auto}\n"
      "ports: [{name: p, pci: 01:00.0, queues: auto, mtu: auto, rss_key: auto, twin: {name: "
      "auto}}]\n"
      "services: [{address: 192.0.2.1, port: 80, persistence: none, maglev_table_size: auto}]\n");
  Config plain = read_good(
      "ports: [{name: p, pci: 01:00.0}]\n"
      "services: [{address: 192.0.2.1, port: 80}]\n");
  EXPECT_EQ(config, plain);
}

TEST(Reader, AliasesStandForTheirAnchors) {
  const Config config = read_good(R"(
ports: [{name: p, pci: 01:00.0}]
services:
  - {address: 192.0.2.1, port: 80, backends: &farm [{address: 10.0.0.1}, {address: 10.0.0.2}]}
  - {address: 192.0.2.1, port: 443, backends: *farm}
)");
  ASSERT_EQ(config.services[1].backends.size(), 2U);
  EXPECT_EQ(config.services[1].backends[1].port, 443);
}

TEST(Reader, AfterASyntaxErrorJudgesWhatWasClosedBefore) {
  EXPECT_THAT(
      problems_of("daemon: {idle: lazy}\nservices:\n  - address: 10.0.0.300\n    port: [\n"),
      ElementsAre("t.yaml:1:16: daemon.idle: \"lazy\" is not busy or adaptive",
                  "t.yaml:4:12: a '[' without its ']', or a ',' missing"));
}

TEST(Reader, DoesNotCallMissingWhatItCouldNotRead) {
  EXPECT_THAT(problems_after_port("services:\n  - address: 192.0.2.300\n    port: x\n"
                                  "    backends: [{address: 10.0.0.1, port: y}, "
                                  "{address: 10.0.0.1, port: z}]\n"),
              ElementsAre(HasSubstr("services[0].address: \"192.0.2.300\" is not"),
                          HasSubstr("services[0].port: \"x\" is not"),
                          HasSubstr("backends[0].port: \"y\" is not"),
                          HasSubstr("backends[1].port: \"z\" is not")));
}

TEST(Reader, LongAndStrangeValuesAreShownSafely) {
  const std::string key(1000, 'k');
  EXPECT_THAT(problems_after_port(key + ": 1\n"), ElementsAre(HasSubstr("unknown key")));
  const auto problems = problems_after_port("\"a\\e[31m\\0b\": 1\n");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].find('\x1b'), std::string::npos);
  EXPECT_EQ(problems[0].find('\0'), std::string::npos);
  const auto value = problems_after_port("daemon: {run_dir: " + std::string(5000, 'v') + "}\n");
  ASSERT_EQ(value.size(), 1U);
  EXPECT_LT(value[0].size(), 200U);
}

TEST(Reader, WarningsLeaveTheConfigurationUsable) {
  const auto reading = read_text(
      "ports: [{name: p, pci: 01:00.0}]\nforwarding: {maglev_table_size: 1000}\n", "t.yaml");
  ASSERT_TRUE(reading.has_value());
  ASSERT_EQ(reading->warnings.size(), 1U);
  EXPECT_EQ(to_string(reading->warnings[0]),
            "t.yaml:2:33: warning: forwarding.maglev_table_size: 1000 is not prime: 1009 is used");
  EXPECT_EQ(reading->config.forwarding.maglev_table_size, 1009U);
}

class ReaderFile : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / fmt::format("unit_config.{}", getpid());
    std::filesystem::create_directory(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string path(std::string_view name) const { return directory_ / name; }

 private:
  std::filesystem::path directory_;
};

TEST_F(ReaderFile, ReadsAFileAndNamesItInErrors) {
  std::ofstream(path("a.yaml")) << "ports: [{name: p, pci: 01:00.0}]\n";
  EXPECT_TRUE(read_file(path("a.yaml")).has_value());
  std::ofstream(path("b.yaml")) << "ports: 3\n";
  const auto reading = read_file(path("b.yaml"));
  ASSERT_FALSE(reading.has_value());
  EXPECT_EQ(to_string(reading.error()[0]),
            path("b.yaml") + ":1:8: ports: one value, where a list is expected: write [3]");
}

TEST_F(ReaderFile, SaysWhyAFileCannotBeRead) {
  const auto missing = read_file(path("none.yaml"));
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(to_string(missing.error()[0]),
            path("none.yaml") + ": cannot be read: No such file or directory");
  const auto directory = read_file(path(""));
  ASSERT_FALSE(directory.has_value());
  EXPECT_EQ(to_string(directory.error()[0]), path("") + ": is a directory, not a file");
  const auto endless = read_file("/dev/zero");
  ASSERT_FALSE(endless.has_value());
  EXPECT_THAT(to_string(endless.error()[0]), HasSubstr("more than a configuration may have"));
}

std::string big_file(uint32_t services, uint32_t backends) {
  std::string text = "ports: [{name: p, pci: 01:00.0}]\nservices:\n";
  for (uint32_t s = 0; s < services; ++s) {
    text += fmt::format("  - address: 198.51.{}.{}\n    port: 80\n    backends:\n", s / 250,
                        s % 250 + 1);
    for (uint32_t b = 0; b < backends; ++b) {
      text += fmt::format("      - address: 10.{}.{}.{}\n        weight: {}\n", s % 250, b / 250,
                          b % 250 + 1, b % 100);
    }
  }
  return text;
}

// Of processor time, so that a busy machine does not count. It takes half a second, sanitizers make
// it some seconds, and what is quadratic takes minutes with or without.
constexpr double slow_s = 10;

double processor_s() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double seconds_to_read(const std::string& text, bool good) {
  const double start = processor_s();
  const auto reading = read_text(text, "t.yaml");
  EXPECT_EQ(reading.has_value(), good);
  return processor_s() - start;
}

TEST(Reader, Reads40000BackendsWithoutQuadraticChecks) {
  EXPECT_LT(seconds_to_read(big_file(1000, 40), true), slow_s);
  EXPECT_LT(seconds_to_read(big_file(1, 40000), true), slow_s);
}

TEST(Reader, ReportsTensOfThousandsOfMistakesWithoutQuadraticWork) {
  std::string text = big_file(1, 40000);
  for (size_t at = 0; (at = text.find("weight", at)) != std::string::npos;)
    text[at] = 'v';
  EXPECT_LT(seconds_to_read(text, false), slow_s);
}

TEST(Keys, AreListedWithRangeAndDefault) {
  const std::vector<KeyInfo> keys = known_keys();
  const auto port = std::ranges::find(keys, "services.port", &KeyInfo::path);
  ASSERT_NE(port, keys.end());
  EXPECT_EQ(port->expected, "a whole number from 0 to 65535");
  EXPECT_FALSE(port->needs_restart);
  const auto queues = std::ranges::find(keys, "ports.queues", &KeyInfo::path);
  ASSERT_NE(queues, keys.end());
  EXPECT_EQ(queues->default_value, "auto");
  EXPECT_TRUE(queues->needs_restart);
  const auto addresses = std::ranges::find(keys, "ports.twin.addresses", &KeyInfo::path);
  ASSERT_NE(addresses, keys.end());
  EXPECT_TRUE(addresses->is_list);
  EXPECT_FALSE(addresses->needs_restart);
}

}  // namespace
}  // namespace headgate::config
