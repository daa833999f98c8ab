#include "config/dump.h"

#include <random>

#include <gtest/gtest.h>

#include "config/reader.h"
#include "config/validate.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

void expect_round_trip(const Config& config, Defaults defaults) {
  const std::string yaml = to_yaml(config, defaults);
  const auto reading = read_text(yaml, "dump.yaml");
  ASSERT_TRUE(reading.has_value()) << to_string(reading.error()) << yaml;
  EXPECT_EQ(reading->config, config) << yaml;
}

TEST(Dump, ReadsBackAsTheSameForRandomConfigurations) {
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): tests repeat
  for (int i = 0; i < 300; ++i) {
    const Config config = random_config(random);
    ASSERT_FALSE(has_errors(validate(config))) << to_string(validate(config));
    expect_round_trip(config, Defaults::omit);
    expect_round_trip(config, Defaults::write);
  }
}

TEST(Dump, ShowsWhatDiffersFromTheDefault) {
  const Config config = read_good(R"(
ports:
  - {name: wan, pci: 01:00.0, twin: {addresses: [192.0.2.2/24]}}
  - {name: raw, vdev: "net_null0,size=64", twin: none}
timeouts: {udp_s: 300, tcp_close_s: 5}
services:
  - {address: 192.0.2.1, port: 80, persistence: {}, backends: [{address: 10.0.0.1, weight: 2}]}
)");
  EXPECT_EQ(to_yaml(config), R"(ports:
  - name: wan
    pci: "0000:01:00.0"
    twin:
      addresses: [192.0.2.2/24]
  - name: raw
    vdev: "net_null0,size=64"
    twin: none
timeouts:
  tcp_close_s: 5
services:
  - address: 192.0.2.1
    port: 80
    persistence: {}
    backends:
      - address: 10.0.0.1
        port: 80
        weight: 2
)");
}

TEST(Dump, WithDefaultsShowsEveryKeyThatHasAValue) {
  const std::string yaml = to_yaml(Config{}, Defaults::write);
  EXPECT_NE(yaml.find("  tcp_established_s: 900\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("  cores: auto\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("services: []\n"), std::string::npos) << yaml;
  EXPECT_EQ(to_yaml(Config{}), "");
}

}  // namespace
}  // namespace headgate::config
