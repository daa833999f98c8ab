// The daemon's rows as what is listed.
#include "tools/ipvsadm/daemon_rows.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "tools/ipvsadm/requests.h"

namespace headgate::ipvsadm {
namespace {

namespace json = boost::json;

json::object row(const char* text) {
  return json::parse(text).as_object();
}

constexpr const char* hashed = R"({"service": "192.0.2.1:80/tcp", "scheduler": "sh",
  "persistence_s": null, "fallback": true, "hash_port": true, "list_fallback": false})";

TEST(IpvsadmRows, IdentitiesReadBack) {
  for (const char* text :
       {"192.0.2.1:80/tcp", "[2001:db8::1]:53/udp", "mark:7/ipv4", "mark:7/ipv6"}) {
    const auto id = parse_identity(text);
    ASSERT_TRUE(id) << text;
    EXPECT_EQ(identity_text(*id), text);
  }
  EXPECT_FALSE(parse_identity("web"));
  EXPECT_FALSE(parse_identity("mark:x/ipv4"));
}

TEST(IpvsadmRows, AFlagIsListedWhereItWasGiven) {
  ListingBuilder builder(Which::in_use);
  builder.add_service(row(hashed));
  builder.add_service(row(R"({"service": "192.0.2.1:81/tcp", "scheduler": "mh", "fallback": true,
    "list_fallback": true})"));
  builder.add_service(row(R"({"service": "192.0.2.1:82/tcp", "scheduler": "rr", "fallback": true,
    "list_fallback": true})"));
  const auto services = builder.take();
  ASSERT_EQ(services.size(), 3U);
  EXPECT_EQ(services[0].flags, (SchedulerFlags{false, true, false}));
  EXPECT_EQ(services[1].flags, (SchedulerFlags{true, false, false}));
  EXPECT_EQ(services[2].flags, SchedulerFlags{});
}

TEST(IpvsadmRows, WhatServesIsListedAndWhatIsConfiguredIsSaved) {
  const std::vector<const char*> backends{
      R"({"service": "192.0.2.1:80/tcp", "backend": "10.0.0.1:80", "mode": "nat", "state": "up",
          "use": "serves", "weight": 5, "effective_weight": 2, "active": 3, "inactive": 4})",
      R"({"service": "192.0.2.1:80/tcp", "backend": "10.0.0.2:80", "mode": "dr", "state": "down",
          "use": "inhibited", "weight": 5, "effective_weight": 0})",
      R"({"service": "192.0.2.1:80/tcp", "backend": "10.0.0.3:80", "mode": "dr", "state": "down",
          "use": "out", "weight": 5, "effective_weight": 0})",
      R"({"service": "192.0.2.1:80/tcp", "backend": "10.0.0.4:80", "mode": "ipip",
          "state": "drained", "use": "out", "weight": 0, "effective_weight": 0})",
      R"({"service": "192.0.2.1:80/tcp", "backend": "10.0.0.5:80", "mode": "dr", "state": "removed",
          "use": "out", "weight": 0})",
      R"({"service": "192.0.2.1:80/tcp", "backend": "10.0.0.6:80", "mode": "fullnat",
          "state": "standby", "name": "sorry", "use": "standby", "weight": 1})",
  };
  ListingBuilder listed(Which::in_use);
  ListingBuilder saved(Which::configured);
  for (ListingBuilder* builder : {&listed, &saved}) {
    builder->add_service(row(hashed));
    for (const char* backend : backends)
      builder->add_backend(row(backend));
  }
  const auto servers = listed.take()[0].servers;
  ASSERT_EQ(servers.size(), 3U);
  EXPECT_EQ(servers[0].weight, 2);
  EXPECT_EQ(servers[0].active, 3U);
  EXPECT_EQ(servers[0].forward, Forward::masquerade);
  EXPECT_EQ(servers[1].weight, 0);
  EXPECT_EQ(servers[2].forward, Forward::tunnel);
  const auto configured = saved.take()[0].servers;
  ASSERT_EQ(configured.size(), 4U);
  EXPECT_EQ(configured[0].weight, 5);
  EXPECT_EQ(configured[2].endpoint.address, net::parse_ip("10.0.0.3"));
}

TEST(IpvsadmRows, FlowsOfUdpAreInactive) {
  ListingBuilder builder(Which::in_use);
  builder.add_service(row(R"({"service": "192.0.2.1:53/udp", "scheduler": "rr"})"));
  builder.add_backend(row(R"({"service": "192.0.2.1:53/udp", "backend": "10.0.0.1:53",
    "state": "up", "use": "serves", "weight": 1, "active": 3, "inactive": 1})"));
  const auto services = builder.take();
  EXPECT_EQ(services[0].servers[0].active, 0U);
  EXPECT_EQ(services[0].servers[0].inactive, 4U);
}

TEST(IpvsadmRows, TemplatesAreCountedForTheirServer) {
  const json::object its = row(R"({"protocol": "tcp", "client": "198.51.100.10:0",
    "service": "192.0.2.1:80", "virtual": "192.0.2.1:80", "backend": "10.0.0.1:80",
    "state": "PERSISTENCE", "expires_s": 579, "firewall_mark": null})");
  ASSERT_TRUE(is_template(its));
  const auto connection = connection_of(its);
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->state, "NONE");
  EXPECT_EQ(connection->expires_s, 579U);
  ListingBuilder builder(Which::in_use);
  builder.add_service(row(hashed));
  builder.add_backend(row(R"({"service": "192.0.2.1:80/tcp", "backend": "10.0.0.1:80",
    "state": "up", "use": "serves", "weight": 1})"));
  builder.count_template(*connection);
  EXPECT_EQ(builder.take()[0].servers[0].persistent, 1U);
}

TEST(IpvsadmRows, ATemplateOfAMarkHasTheMarkInPlaceOfTheService) {
  const auto connection = connection_of(row(R"({"protocol": "any", "client": "198.51.100.10:0",
    "service": "mark:7/ipv4", "virtual": null, "backend": "10.0.0.1:0", "state": "PERSISTENCE",
    "expires_s": 57, "firewall_mark": 7})"));
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->protocol, "IP");
  EXPECT_EQ(net::to_string(connection->service.address), "0.0.0.7");
  ListingBuilder builder(Which::in_use);
  builder.add_service(row(R"({"service": "mark:7/ipv4", "scheduler": "rr"})"));
  builder.add_backend(row(R"({"service": "mark:7/ipv4", "backend": "10.0.0.1:0",
    "state": "up", "use": "serves", "weight": 1})"));
  builder.count_template(*connection);
  EXPECT_EQ(builder.take()[0].servers[0].persistent, 1U);
}

TEST(IpvsadmRows, AFlowOfAMarkHasItsOwnAddress) {
  const auto connection = connection_of(row(R"({"protocol": "tcp", "client": "198.51.100.10:40001",
    "service": "mark:7/ipv4", "virtual": "192.0.2.1:443", "backend": "10.0.0.1:443",
    "state": "ESTABLISHED", "expires_s": 57, "firewall_mark": 7})"));
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->protocol, "TCP");
  EXPECT_EQ(net::endpoint_to_string(connection->service.address, connection->service.port),
            "192.0.2.1:443");
}

TEST(IpvsadmRows, WhatWaitsForAnAnswerIsNoConnection) {
  EXPECT_FALSE(connection_of(row(R"({"protocol": "udp", "client": "198.51.100.10:40001",
    "service": "192.0.2.1:53", "virtual": "192.0.2.1:53", "backend": "10.0.0.1:53",
    "state": "ONE_PACKET", "expires_s": 1, "firewall_mark": null})")));
}

TEST(IpvsadmRequests, RefusalsAreToldInIpvsadmsWords) {
  EXPECT_EQ(refusal_text(Command::add_service, "service_exists", "x"), "Service already exists");
  EXPECT_EQ(refusal_text(Command::edit_service, "no_such_service", "x"), "No such service");
  EXPECT_EQ(refusal_text(Command::zero, "no_such_service", "x"), "No such service");
  EXPECT_EQ(refusal_text(Command::add_server, "no_such_service", "x"), "Service not defined");
  EXPECT_EQ(refusal_text(Command::add_server, "backend_exists", "x"), "Destination already exists");
  EXPECT_EQ(refusal_text(Command::delete_server, "no_such_backend", "x"), "No such destination");
  EXPECT_EQ(refusal_text(Command::add_server, "", "weight: too much"), "weight: too much");
}

}  // namespace
}  // namespace headgate::ipvsadm
