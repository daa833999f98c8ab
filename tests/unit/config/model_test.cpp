#include "config/model.h"

#include <gtest/gtest.h>

#include "config/names.h"

namespace headgate::config {
namespace {

Service service_of(std::string_view address, uint16_t port) {
  Service service;
  service.address = *net::parse_ip(address);
  service.port = port;
  return service;
}

TEST(Model, KeysHaveOneTextForm) {
  Service service = service_of("2001:db8::1", 53);
  service.protocol = Protocol::udp;
  EXPECT_EQ(to_string(key_of(service)), "[2001:db8::1]:53/udp");
  Service mark;
  mark.firewall_mark = 7;
  EXPECT_EQ(to_string(key_of(mark)), "mark:7/ipv4");
  EXPECT_EQ(name_of(mark), "mark:7/ipv4");
  mark.name = "marked";
  EXPECT_EQ(name_of(mark), "marked");
}

TEST(Model, KeysTellProtocolsFamiliesAndMarksApart) {
  const Service tcp = service_of("192.0.2.1", 80);
  Service udp = tcp;
  udp.protocol = Protocol::udp;
  EXPECT_NE(key_of(tcp), key_of(udp));
  Service mark4;
  mark4.firewall_mark = 7;
  Service mark6 = mark4;
  mark6.family = net::Family::ipv6;
  EXPECT_NE(key_of(mark4), key_of(mark6));
}

TEST(Model, NarrowerScopesWin) {
  Config config;
  Service service = service_of("192.0.2.1", 80);
  Backend backend;
  config.forwarding.local_addresses = {*net::parse_ip("10.0.0.1")};
  EXPECT_EQ(mode_of(service, backend), Mode::dr);
  EXPECT_EQ(maglev_table_size_of(config.forwarding, service), std::nullopt);
  config.forwarding.maglev_table_size = 1021;
  EXPECT_EQ(maglev_table_size_of(config.forwarding, service), 1021U);
  EXPECT_EQ(local_addresses_of(config, service), config.forwarding.local_addresses);
  EXPECT_EQ(drain_deadline_of(service, backend), std::nullopt);
  service.drain_deadline_s = 60;
  service.maglev_table_size = 251;
  service.local_addresses = {*net::parse_ip("10.0.0.2")};
  EXPECT_EQ(drain_deadline_of(service, backend), 60U);
  EXPECT_EQ(maglev_table_size_of(config.forwarding, service), 251U);
  EXPECT_EQ(local_addresses_of(config, service), service.local_addresses);
  backend.drain_deadline_s = 0;
  backend.mode = Mode::ipip;
  EXPECT_EQ(drain_deadline_of(service, backend), 0U);
  EXPECT_EQ(mode_of(service, backend), Mode::ipip);
}

TEST(Names, AreFoundBothWays) {
  EXPECT_EQ(name_of(Scheduler::mh), "mh");
  EXPECT_EQ(parse_name<Scheduler>("fo"), Scheduler::fo);
  EXPECT_EQ(parse_name<Scheduler>("FO"), std::nullopt);
  EXPECT_EQ(all_names<MidStream>(), "reset or hash");
}

}  // namespace
}  // namespace headgate::config
