// Which ports a keepalived.conf gets.
#include <gtest/gtest.h>

#include "tests/unit/config/support_keepalived.h"

namespace headgate::config {
namespace {

constexpr const char* web =
    "virtual_server 192.0.2.80 80 {\nprotocol TCP\nreal_server 10.0.0.1 80 {\n}\n}\n";
constexpr const char* router =
    "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress "
    "{\n192.0.2.80\n192.0.2.81 "
    "dev eth1\n}\n}\n";

// NAME PCI|INTERFACE|VDEV [took over] of each port.
std::string ports_of(const std::string& text, const std::vector<std::string>& ports = {}) {
  const auto conversion = keepalived::convert(
      text, "k.conf", {.config_id = "headgate", .ports = ports, .includes = true});
  std::string result;
  if (!conversion) {
    for (const Error& error : conversion.error()) {
      if (error.severity == Severity::error) result += to_string(error) + "\n";
    }
    return result;
  }
  for (const Port& port : conversion->config.ports) {
    result += port.name + " " + port.pci.value_or("") + port.interface.value_or("") +
              port.vdev.value_or("") + (port.take_over ? " over" : "");
    for (const Vlan& vlan : port.vlans)
      result += " vlan " + std::to_string(vlan.id) + " " + port.vlan_name(vlan);
    result += "\n";
  }
  return result;
}

TEST(KeepalivedPorts, AreTheInterfacesOfTheVirtualRouters) {
  EXPECT_EQ(ports_of(std::string(web) + router), "eth0 eth0 over\neth1 eth1 over\n");
}

TEST(KeepalivedPorts, AreNotNeededForVirtualRoutersAlone) {
  EXPECT_EQ(ports_of(router), "");
}

TEST(KeepalivedPorts, AreMissingWithoutAnInterface) {
  EXPECT_EQ(
      ports_of(web),
      "k.conf: there are virtual servers, and nothing says on which interface: name a port on the "
      "command line, `--port wan=0000:3b:00.0` or `--port eth0=interface:eth0`, or in a block "
      "headgate_ports\n");
}

TEST(KeepalivedPorts, OfTheCommandLineWin) {
  EXPECT_EQ(ports_of(web, {"wan=3b:00.0"}), "wan 0000:3b:00.0\n");
  EXPECT_EQ(ports_of(web, {"wan=vdev:net_null0,size=64"}), "wan net_null0,size=64\n");
  EXPECT_EQ(ports_of(web, {"eth0=interface:eth0"}), "eth0 eth0 over\n");
  EXPECT_EQ(ports_of(web, {"wan=interface:eth0"}), "wan eth0\n");
  EXPECT_EQ(ports_of(std::string(web) + router, {"eth0=3b:00.0"}),
            "eth0 0000:3b:00.0\neth1 eth1 over\n");
  EXPECT_EQ(ports_of(std::string(web) + "headgate_ports {\nwan {\ninterface eth9\n}\n}\n",
                     {"wan=3b:00.0"}),
            "wan 0000:3b:00.0\n");
}

TEST(KeepalivedPorts, BadOnesOfTheCommandLineAreErrors) {
  for (const char* port : {"wan", "wan=", "=3b:00.0", "wan=nonsense"}) {
    EXPECT_TRUE(ports_of(web, {port}).starts_with("k.conf: --port ")) << port;
  }
}

TEST(KeepalivedPorts, OfTheBlockStandForThemselves) {
  const auto conversion = keepalived::convert(std::string(web) + router + R"(
@headgate headgate_ports {
@headgate   eth0 {
@headgate     pci 3b:00.0
@headgate     queues 2
@headgate     mtu 1500
@headgate     promiscuous
@headgate     rx_descriptors 512
@headgate     tx_descriptors 256
@headgate     address 192.0.2.2/24
@headgate     route default via 192.0.2.1 metric 5
@headgate   }
@headgate   eth1
@headgate   lan { interface eth2
@headgate     driver af_packet }
@headgate   null { vdev net_null0 }
@headgate }
)",
                                              "k.conf", {});
  ASSERT_TRUE(conversion.has_value()) << to_string(conversion.error());
  const std::vector<Port>& ports = conversion->config.ports;
  ASSERT_EQ(ports.size(), 4U);
  EXPECT_EQ(ports[0].pci, "0000:3b:00.0");
  EXPECT_EQ(ports[0].queues, 2);
  EXPECT_EQ(ports[0].mtu, 1500);
  EXPECT_TRUE(ports[0].promiscuous);
  EXPECT_EQ(ports[0].rx_descriptors, 512);
  EXPECT_EQ(ports[0].tx_descriptors, 256);
  EXPECT_EQ(net::to_string(ports[0].twin.addresses.at(0)), "192.0.2.2/24");
  EXPECT_EQ(ports[0].twin.routes.at(0).via, net::parse_ip("192.0.2.1"));
  EXPECT_EQ(ports[0].twin.routes.at(0).metric, 5U);
  EXPECT_EQ(ports[1].interface, "eth1");
  EXPECT_TRUE(ports[1].take_over);
  EXPECT_EQ(ports[2].driver, Driver::af_packet);
  EXPECT_FALSE(ports[2].take_over);
  EXPECT_EQ(ports[3].vdev, "net_null0");
}

TEST(KeepalivedPorts, ASubInterfaceIsAVlanOfItsPort) {
  EXPECT_EQ(
      ports_of(std::string(web) +
               "vrrp_instance A {\ninterface eth0.100\nvirtual_router_id 1\nvirtual_ipaddress "
               "{\n192.0.2.80\n}\n}\n"),
      "eth0 eth0 over vlan 100 eth0.100\n");
}

TEST(KeepalivedPorts, MistakesInTheBlockHaveTheirLines) {
  EXPECT_EQ(
      errors_of(std::string(web) + "headgate_ports {\nwan {\nqueues 0\ndriver e1000\naddress x\n"
                                   "route y\nroute default by z\n}\n}\n"),
      "k.conf:8: queues: \"0\" is not a whole number from 1 to 128\n"
      "k.conf:9: driver: \"e1000\" is not af_xdp or af_packet\n"
      "k.conf:10: address: \"x\" is not an address with its network's length, such as "
      "192.0.2.1/24\n"
      "k.conf:11: route: \"y\" is not a network such as 198.51.100.0/24\n"
      "k.conf:12: route: \"by\" is none of via, src and metric\n");
}

}  // namespace
}  // namespace headgate::config
