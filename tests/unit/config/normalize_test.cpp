#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/validate.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Config one_service(Mode mode) {
  Config config;
  Service& service = config.services.emplace_back();
  service.address = *net::parse_ip("192.0.2.1");
  service.port = 80;
  service.mode = mode;
  Backend& backend = service.backends.emplace_back();
  backend.address = *net::parse_ip("10.0.0.1");
  return config;
}

TEST(Normalize, BackendsGetTheServicesPort) {
  for (const Mode mode : {Mode::dr, Mode::nat, Mode::fullnat, Mode::ipip}) {
    Config config = one_service(mode);
    EXPECT_THAT(normalize(config), IsEmpty());
    EXPECT_EQ(config.services[0].backends[0].port, 80);
  }
}

TEST(Normalize, DrAndIpipKeepTheClientsPortAndSaySo) {
  for (const Mode mode : {Mode::dr, Mode::ipip}) {
    Config config = one_service(mode);
    config.services[0].backends[0].port = 8080;
    const auto warnings = normalize(config);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings[0].severity, Severity::warning);
    EXPECT_EQ(warnings[0].path, "services[0].backends[0].port");
    EXPECT_EQ(config.services[0].backends[0].port, 80);
  }
  Config config = one_service(Mode::nat);
  config.services[0].backends[0].port = 8080;
  EXPECT_THAT(normalize(config), IsEmpty());
  EXPECT_EQ(config.services[0].backends[0].port, 8080);
}

TEST(Normalize, ASorryServersPortFollowsTheServiceAsABackendsDoes) {
  Config config = one_service(Mode::nat);
  config.services[0].sorry_server.emplace().address = *net::parse_ip("10.0.0.9");
  EXPECT_THAT(normalize(config), IsEmpty());
  EXPECT_EQ(config.services[0].sorry_server->port, 80);
  config.services[0].sorry_server->port = 8080;
  EXPECT_THAT(normalize(config), IsEmpty());
  EXPECT_EQ(config.services[0].sorry_server->port, 8080);
  config.services[0].sorry_server->mode = Mode::dr;
  EXPECT_THAT(lines_of(normalize(config)),
              ElementsAre("warning: services[0].sorry_server.port: 8080 cannot be had in dr mode, "
                          "which leaves the client's destination port as it is: 80 is used; nat "
                          "and fullnat can change the port"));
  EXPECT_EQ(config.services[0].sorry_server->port, 80);
}

TEST(Normalize, AMarkServiceLeavesPortsAlone) {
  Config config = one_service(Mode::dr);
  config.services[0].firewall_mark = 7;
  config.services[0].address = {};
  config.services[0].port = 0;
  config.services[0].backends[0].port = 8080;
  EXPECT_THAT(lines_of(normalize(config)),
              ElementsAre("warning: services[0].backends[0].port: 8080 cannot be had in dr mode, "
                          "which leaves the client's destination port as it is: that port is used; "
                          "nat and fullnat can change the port"));
  EXPECT_EQ(config.services[0].backends[0].port, 0);
  EXPECT_EQ(config.services[0].family, net::Family::ipv4);
}

TEST(Normalize, MaglevTablesGetPrimeSizes) {
  Config config = one_service(Mode::dr);
  config.services[0].maglev_table_size = 1024;
  config.forwarding.maglev_table_size = 65536;
  EXPECT_EQ(normalize(config).size(), 2U);
  EXPECT_EQ(config.services[0].maglev_table_size, 1031U);
  EXPECT_EQ(config.forwarding.maglev_table_size, 65537U);
  config.services[0].maglev_table_size = 16777213;  // the largest one allowed
  EXPECT_THAT(normalize(config), IsEmpty());
}

TEST(Normalize, DoneTwiceChangesNothing) {
  std::mt19937 random(3);  // NOLINT(bugprone-random-generator-seed): tests repeat
  for (int i = 0; i < 50; ++i) {
    Config config = random_config(random);
    const Config before = config;
    EXPECT_THAT(normalize(config), IsEmpty());
    EXPECT_EQ(config, before);
  }
}

}  // namespace
}  // namespace headgate::config
