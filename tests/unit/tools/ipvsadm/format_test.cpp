// The listings of listings.txt, recorded from the real one, from a model with the same values.
#include "tools/ipvsadm/format.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::ipvsadm {
namespace {

// What `$ COMMAND` printed, up to its `[rc=0]`.
std::string recorded(const std::string& command) {
  std::ifstream file(HEADGATE_SOURCE_ROOT "/tests/ipvsadm/listings.txt");
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("$ ")) inside = line == "$ " + command;
    if (line.starts_with("[rc=")) inside = false;
    if (inside && !line.starts_with("$ ")) text += line + "\n";
  }
  return text;
}

Endpoint at(const char* address, uint16_t port) {
  return {net::parse_ip(address).value(), port};
}

ListedServer server(const char* address, uint16_t port, bool busy,
                    Forward forward = Forward::masquerade) {
  ListedServer server;
  server.endpoint = at(address, port);
  server.forward = forward;
  server.weight = busy ? 100 : 0;
  server.upper_threshold = busy ? 1000 : 0;
  server.lower_threshold = busy ? 800 : 0;
  server.active = busy ? 1234 : 0;
  server.inactive = busy ? 5678 : 7;
  server.totals = {61728394, 12345678, 0, 123456789012345, 98765432109};
  return server;
}

ListedServer tunnel(const char* address, Tunnel tunnel) {
  ListedServer its = server(address, 443, false, Forward::tunnel);
  its.tunnel = tunnel;
  return its;
}

ListedService service(Protocol protocol, const char* address, uint16_t port,
                      const char* scheduler) {
  ListedService service;
  service.id.protocol = protocol;
  service.id.endpoint = at(address, port);
  service.id.family = service.id.endpoint.address.family;
  service.scheduler = scheduler;
  service.totals = {123456789, 12345678, 0, 123456789012345, 98765432109};
  return service;
}

ListedService marked(uint32_t mark, net::Family family) {
  ListedService service;
  service.id = {Protocol::none, {}, mark, family};
  service.scheduler = "wlc";
  service.totals = {123456789, 12345678, 0, 123456789012345, 98765432109};
  return service;
}

// In another order than the listing's.
std::vector<ListedService> services() {
  std::vector<ListedService> all;
  ListedService six = marked(6, net::Family::ipv6);
  six.servers = {server("2001:db8:1::12", 0, false), server("2001:db8:1::11", 0, true)};
  ListedService five = marked(5, net::Family::ipv4);
  five.persistence_s = 300;
  five.servers = {server("10.0.0.12", 0, false), server("10.0.0.11", 0, true)};
  ListedService maglev = service(Protocol::tcp, "2001:db8::10", 80, "mh");
  maglev.flags.flag2 = true;
  maglev.persistence_s = 360;
  maglev.netmask = 64;
  maglev.servers = {server("2001:db8:1::11", 8080, true), server("2001:db8:1::12", 8080, false)};
  ListedService sctp = service(Protocol::sctp, "192.0.2.10", 2905, "wlc");
  sctp.servers = {server("10.0.0.11", 2905, true), server("10.0.0.12", 2905, false)};
  ListedService sip = service(Protocol::udp, "192.0.2.10", 5060, "rr");
  sip.persistence_s = 360;
  sip.persistence_engine = "sip";
  sip.one_packet = true;
  sip.servers = {server("10.0.0.11", 5060, true), server("10.0.0.12", 5060, false)};
  ListedService dns = service(Protocol::udp, "192.0.2.10", 53, "rr");
  dns.one_packet = true;
  dns.servers = {server("10.0.0.12", 53, false), server("10.0.0.11", 53, true)};
  ListedService hashed = service(Protocol::tcp, "192.0.2.10", 443, "sh");
  hashed.flags = {true, true, false};
  hashed.persistence_s = 600;
  hashed.netmask = 24;
  hashed.servers = {server("10.0.0.11", 443, true, Forward::route),
                    server("10.0.0.12", 443, false, Forward::local), tunnel("10.0.0.13", {}),
                    tunnel("10.0.0.14", {TunnelType::gue, 6080, TunnelChecksum::full}),
                    tunnel("10.0.0.15", {TunnelType::gre, 0, TunnelChecksum::none})};
  ListedService web = service(Protocol::tcp, "192.0.2.10", 80, "wrr");
  web.servers = {server("10.0.0.12", 8080, false), server("10.0.0.11", 8080, true)};
  all = {six, five, maglev, sctp, sip, dns, hashed, web};
  sort_services(all);
  return all;
}

std::string listing(const ListStyle& style) {
  NumericBook names;
  std::string text = version_line(4096) + list_header(style);
  for (const ListedService& service : services())
    text += list_service(service, style, names);
  return text;
}

TEST(IpvsadmFormat, ServersAreListedAsRecorded) {
  EXPECT_EQ(listing({View::servers}), recorded("ipvsadm -L -n"));
}

TEST(IpvsadmFormat, StatisticsAreListedAsRecorded) {
  EXPECT_EQ(listing({View::stats, true}), recorded("ipvsadm -L -n --stats --exact"));
}

TEST(IpvsadmFormat, ThresholdsAreListedAsRecorded) {
  EXPECT_EQ(listing({View::thresholds}), recorded("ipvsadm -L -n --thresholds"));
}

TEST(IpvsadmFormat, TimeoutsAreListedAsRecorded) {
  EXPECT_EQ(list_timeouts({900, 120, 300}), recorded("ipvsadm -L --timeout"));
}

TEST(IpvsadmFormat, ConnectionsAreListedAsRecorded) {
  const std::vector<ListedConnection> connections{
      {"TCP", Protocol::tcp, 899, "ESTABLISHED", at("203.0.113.5", 54321), at("192.0.2.10", 80),
       at("10.0.0.11", 8080)},
      {"TCP", Protocol::tcp, 579, "NONE", at("203.0.113.5", 0), at("192.0.2.10", 443),
       at("10.0.0.11", 443)},
      {"TCP", Protocol::tcp, 59, "FIN_WAIT", at("203.0.113.6", 49153), at("192.0.2.10", 80),
       at("10.0.0.12", 8080)},
      {"UDP", Protocol::udp, 299, "UDP", at("203.0.113.5", 5060), at("192.0.2.10", 5060),
       at("10.0.0.11", 5060)},
      {"TCP", Protocol::tcp, 58, "SYN_RECV", at("2001:db8::99", 50000), at("2001:db8::10", 80),
       at("2001:db8:1::b", 80)},
  };
  NumericBook names;
  std::string text = connection_header(false);
  for (const ListedConnection& connection : connections)
    text += list_connection(connection, names);
  EXPECT_EQ(text, recorded("ipvsadm -L -n -c"));
}

// The recorded saves have no thresholds; headgate saves all that can be set.
TEST(IpvsadmFormat, SavedCommandsAreAsRecordedAndHaveThresholds) {
  NumericBook names;
  std::string text;
  std::string without;
  for (ListedService service : services()) {
    text += save_service(service, names);
    for (ListedServer& server : service.servers)
      server.upper_threshold = server.lower_threshold = 0;
    without += save_service(service, names);
  }
  EXPECT_EQ(without, recorded("ipvsadm -S -n"));
  EXPECT_NE(text.find("-r 10.0.0.11:8080 -m -w 100 -x 1000 -y 800\n"), std::string::npos);
}

TEST(IpvsadmFormat, LargeNumbersAreScaledAsRecorded) {
  const auto line = [](uint64_t value) {
    ListedService one = service(Protocol::tcp, "192.0.2.10", 80, "rr");
    one.totals = {0, 0, 0, value, 0};
    NumericBook names;
    const std::string text = list_service(one, {View::stats}, names);
    return text.substr(text.size() - 19, 9);
  };
  EXPECT_EQ(line(99'999'999), " 99999999");
  EXPECT_EQ(line(100'000'000), "  100000K");
  EXPECT_EQ(line(999'999'999), "  999999K");
  EXPECT_EQ(line(1'000'000'000), "    1000M");
  EXPECT_EQ(line(99'999'999'999), "   99999M");
  EXPECT_EQ(line(100'000'000'000), "     100G");
  EXPECT_EQ(line(99'999'999'999'999), "   99999G");
  EXPECT_EQ(line(100'000'000'000'000), "     100T");
}

TEST(IpvsadmFormat, FullnatAndTunnelsHaveTheirColumns) {
  ListedService one = service(Protocol::tcp, "192.0.2.10", 80, "rr");
  one.servers = {server("10.0.0.11", 8080, true, Forward::fullnat)};
  NumericBook names;
  EXPECT_EQ(list_service(one, {View::servers}, names),
            "TCP  192.0.2.10:80 rr\n"
            "  -> 10.0.0.11:8080               FullNat 100    1234       5678      \n");
  EXPECT_EQ(save_service(one, names),
            "-A -t 192.0.2.10:80 -s rr\n"
            "-a -t 192.0.2.10:80 -r 10.0.0.11:8080 --fullnat -w 100 -x 1000 -y 800\n");
  one.servers = {tunnel("10.0.0.12", {TunnelType::gue, 6080, TunnelChecksum::remote}),
                 tunnel("10.0.0.13", {TunnelType::gre, 0, TunnelChecksum::full})};
  EXPECT_EQ(
      list_service(one, {View::tunnels}, names),
      "TCP  192.0.2.10:80 rr\n"
      "  -> 10.0.0.12:443                Tunnel  gue:6080:r+c  0      0          7         \n"
      "  -> 10.0.0.13:443                Tunnel  gre:+c        0      0          7         \n");
}

TEST(IpvsadmFormat, WithoutNumericPortsAreNamed) {
  ListedService one = service(Protocol::tcp, "127.0.0.1", 80, "rr");
  one.servers = {server("127.0.0.1", 53, true)};
  ResolvingBook names;
  EXPECT_EQ(list_service(one, {View::servers}, names),
            "TCP  localhost:http rr\n"
            "  -> localhost:domain             Masq    100    1234       5678      \n");
}

TEST(IpvsadmFormat, LongNamesAreCutInLists) {
  struct LongBook : NameBook {
    std::string endpoint(const Endpoint& /*endpoint*/, Protocol /*protocol*/) override {
      return "a-very-long-host-name.of-some-department.example.com:http";
    }
  } names;
  ListedService one = service(Protocol::tcp, "127.0.0.1", 80, "sh");
  EXPECT_EQ(list_service(one, {View::servers}, names), "TCP  a-very-long-host-name.of-som sh\n");
}

}  // namespace
}  // namespace headgate::ipvsadm
