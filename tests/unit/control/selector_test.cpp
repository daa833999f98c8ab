#include "control/selector.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

net::IpAddress ip(const char* text) {
  return net::parse_ip(text).value();
}

config::Backend backend(const char* name, const char* address, uint16_t port) {
  config::Backend result;
  result.name = name;
  result.address = ip(address);
  result.port = port;
  return result;
}

config::Config two_protocols() {
  config::Config config;
  config::Service tcp = parse_service("192.0.2.1:53").value();
  config::Service udp = parse_service("192.0.2.1:53/udp").value();
  config::Service web = parse_service("[2001:db8::1]:80").value();
  web.name = "web";
  web.backends = {backend("one", "2001:db8::11", 80), backend("", "2001:db8::12", 80),
                  backend("", "2001:db8::12", 81)};
  config.services = {tcp, udp, web, parse_service("mark:6/ipv6").value()};
  return config;
}

TEST(Selector, ServicesAreWrittenAsAddressPortAndProtocolOrMark) {
  const auto text = [](std::string_view service) {
    const auto parsed = parse_service(service);
    return parsed ? to_string(key_of(*parsed)) : parsed.error().text;
  };
  EXPECT_EQ(text("192.0.2.1:80"), "192.0.2.1:80/tcp");
  EXPECT_EQ(text("192.0.2.1:0/udp"), "192.0.2.1:0/udp");
  EXPECT_EQ(text("[2001:db8::1]:53/udp"), "[2001:db8::1]:53/udp");
  EXPECT_EQ(text("mark:6"), "mark:6/ipv4");
  EXPECT_EQ(text("mark:6/ipv6"), "mark:6/ipv6");
  for (const char* bad : {"", "web", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536",
                          "192.0.2.1:80/sctp", "2001:db8::1:53:80", "[192.0.2.1]:80",
                          "[2001:db8::1]", "192.0.2.1:-1", "192.0.2.1:+80", "192.0.2.1: 80"}) {
    EXPECT_NE(text(bad).find("is no service: write"), std::string::npos) << bad;
  }
  for (const char* bad : {"mark:", "mark:0", "mark:x", "mark:6/tcp", "mark:4294967296"}) {
    EXPECT_NE(text(bad).find("is no firewall mark"), std::string::npos) << bad;
  }
}

TEST(Selector, FindsServicesByNameAndByIdentity) {
  const config::Config config = two_protocols();
  EXPECT_EQ(find_service(config, "web"), 2U);
  EXPECT_EQ(find_service(config, "[2001:db8::1]:80"), 2U);
  EXPECT_EQ(find_service(config, "192.0.2.1:53/udp"), 1U);
  EXPECT_EQ(find_service(config, "mark:6/ipv6"), 3U);
  EXPECT_EQ(find_service(config, "192.0.2.1:53").error().text,
            "192.0.2.1:53 is 192.0.2.1:53/tcp and 192.0.2.1:53/udp: say which");
  EXPECT_EQ(find_service(config, "mark:6").error().text,
            "there is no service \"mark:6\"; `headgate show services` lists them");
  EXPECT_FALSE(find_service(config, "").has_value()) << "services without a name have no name";
}

TEST(Selector, FindsBackendsByNameAddressAndPort) {
  const config::Service web = two_protocols().services[2];
  EXPECT_EQ(find_backend(web, "one"), 0U);
  EXPECT_EQ(find_backend(web, "2001:db8::11"), 0U);
  EXPECT_EQ(find_backend(web, "[2001:db8::12]:81"), 2U);
  EXPECT_EQ(find_backend(web, "2001:db8::12").error().text,
            "2001:db8::12 is [2001:db8::12]:80 and [2001:db8::12]:81: say which");
  EXPECT_EQ(find_backend(web, "10.0.0.1").error().text,
            "service web has no backend \"10.0.0.1\"; `headgate show backends web` lists them");
}

TEST(Selector, BackendsWithoutAPortGetTheServices) {
  EXPECT_EQ(to_string(parse_backend("10.0.0.1", 80).value()), "10.0.0.1:80");
  EXPECT_EQ(to_string(parse_backend("10.0.0.1:8080", 80).value()), "10.0.0.1:8080");
  EXPECT_EQ(to_string(parse_backend("fd00::1", 80).value()), "[fd00::1]:80");
  EXPECT_FALSE(parse_backend("localhost", 80).has_value());
}

TEST(Selector, EndpointFiltersMatchNetworksAndPorts) {
  const auto network = parse_endpoint_filter("10.1.2.3/8").value();
  EXPECT_TRUE(network.matches(ip("10.200.0.1"), 5));
  EXPECT_FALSE(network.matches(ip("11.0.0.1"), 5));
  EXPECT_FALSE(network.matches(ip("a00::"), 5)) << "the same bits in another family";
  const auto endpoint = parse_endpoint_filter("[fd00::1]:80").value();
  EXPECT_TRUE(endpoint.matches(ip("fd00::1"), 80));
  EXPECT_FALSE(endpoint.matches(ip("fd00::1"), 81));
  EXPECT_FALSE(endpoint.matches(ip("fd00::2"), 80));
  EXPECT_TRUE(parse_endpoint_filter("10.0.0.1").value().matches(ip("10.0.0.1"), 9));
  EXPECT_FALSE(parse_endpoint_filter("10.0.0.1/33").has_value());
}

}  // namespace
}  // namespace headgate::control
