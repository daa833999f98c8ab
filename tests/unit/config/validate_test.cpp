#include "config/validate.h"

#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/reader.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Validate, FindsNothingWrongWithRandomGoodConfigurations) {
  std::mt19937 random(2);  // NOLINT(bugprone-random-generator-seed): tests repeat
  for (int i = 0; i < 200; ++i) {
    const auto errors = validate(random_config(random));
    EXPECT_FALSE(has_errors(errors)) << to_string(errors);
  }
}

// What runs is known to be good, so one that is not shows what is not looked at.
TEST(Validate, LeavesOutTheRangesOfServicesThatRun) {
  Config running = read_good(
      "ports: [{name: p, pci: 01:00.0}]\n"
      "services: [{name: a, address: 192.0.2.1, port: 80}, {name: b, address: 192.0.2.2, port: 80},"
      " {name: c, address: 192.0.2.3, port: 80}]\n");
  for (Service& service : running.services)
    service.name += " is no name";
  ASSERT_EQ(validate(running).size(), 3U);
  EXPECT_THAT(validate(running, &running), IsEmpty());
  const auto wrong = [&](const Config& config) {
    std::vector<std::string> names;
    for (const Error& error : validate(config, &running)) {
      const size_t index = std::stoul(error.path.substr(error.path.find('[') + 1));
      names.push_back(config.services[index].name);
    }
    return names;
  };
  for (size_t i = 0; i < 3; ++i) {
    Config edited = running;
    edited.services[i].name += 'x';
    EXPECT_THAT(wrong(edited), ElementsAre(edited.services[i].name));
    Config without = running;
    without.services.erase(without.services.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_THAT(wrong(without), IsEmpty());
    Config with = running;
    Service added = running.services[0];
    added.name = "a new one";
    added.port = 81;
    with.services.insert(with.services.begin() + static_cast<ptrdiff_t>(i), added);
    EXPECT_THAT(wrong(with), testing::Contains("a new one"));
  }
}

TEST(Validate, ChecksTheRangesOfValuesThatNoReaderSaw) {
  Config config = read_good(
      "ports: [{name: p, pci: 01:00.0}]\n"
      "services: [{address: 192.0.2.1, port: 80, "
      "backends: [{address: 10.0.0.1}]}]\n");
  EXPECT_THAT(validate(config), IsEmpty());
  config.timeouts.udp_s = 0;
  config.workers.cores = {4000};
  config.ports[0].pci = "01:00.0";
  config.ports[0].twin.routes.push_back({*net::parse_prefix("10.0.0.1/8"), {}, {}, {}});
  config.services[0].name = "a b";
  config.services[0].scheduler = static_cast<Scheduler>(77);
  config.services[0].backends[0].address = *net::parse_ip("224.0.0.1");
  EXPECT_THAT(
      lines_of(validate(config)),
      ElementsAre("workers.cores[0]: 4000 is above 1023",
                  HasSubstr("ports[0].pci: \"01:00.0\" is not a PCI address"),
                  HasSubstr("ports[0].twin.routes[0].to: 10.0.0.1/8 is a host, not a network"),
                  "timeouts.udp_s: 0 is below 1", HasSubstr("services[0].name: \"a b\" is no name"),
                  "services[0].scheduler: 77 is not rr, wrr, lc, wlc, sed, nq, sh, dh, fo, mh, "
                  "ovf, lblc or "
                  "lblcr",
                  "services[0].backends[0].address: 224.0.0.1 is a multicast address, not the "
                  "address of a host"));
}

// ---- the daemon as a whole

TEST(Validate, NeedsAPort) {
  EXPECT_THAT(
      problems_of("timeouts: {udp_s: 30}\n"),
      ElementsAre("t.yaml:1:1: ports: no port: the daemon needs at least one to take packets "
                  "from, unless all it runs is virtual routers (`vrrp.instances`)"));
}

TEST(Validate, CoresAreListedOnce) {
  EXPECT_THAT(problems_after_port("workers: {cores: [1, 2-4, 3]}\n"),
              ElementsAre("t.yaml:2:18: workers.cores: core 3 is listed twice"));
  EXPECT_THAT(problems_after_port("workers: {cores: []}\n"),
              ElementsAre("t.yaml:2:18: workers.cores: an empty list: write the cores, or auto"));
  EXPECT_THAT(problems_after_port("workers: {cores: [0-128]}\n"),
              ElementsAre("t.yaml:2:18: workers.cores: 129 cores, and there can be 128 workers"));
}

TEST(Validate, TheSocketsPathFitsIntoAnAddress) {
  const std::string directory = "/" + std::string(99, 'd');
  EXPECT_THAT(problems_after_port("daemon: {run_dir: " + directory + "}\n"),
              ElementsAre(HasSubstr("t.yaml:2:19: daemon.run_dir: makes /dd")));
  EXPECT_THAT(problems_after_port("daemon: {run_dir: " + directory + ", socket: /run/s}\n"),
              IsEmpty());
}

TEST(Validate, MemoryBoundsTheNumberOfServicesAndBackends) {
  EXPECT_THAT(
      problems_after_port("memory: {max_services: 1, max_backends: 1}\nservices:\n"
                          "  - {address: 192.0.2.1, port: 1, backends: [{address: 10.0.0.1}]}\n"
                          "  - {address: 192.0.2.1, port: 2, backends: [{address: 10.0.0.1}]}"
                          "\n"),
      ElementsAre("t.yaml:4:3: services: 2 backends in all, and memory.max_backends allows "
                  "1: raise it",
                  "t.yaml:4:3: services: 2 services, and memory.max_services allows 1: raise "
                  "it"));
}

// ---- ports

TEST(ValidatePorts, NeedExactlyOneDevice) {
  EXPECT_THAT(
      problems_of("ports:\n  - name: a\n  - {name: b, pci: 01:00.0, vdev: net_null0}\n"),
      ElementsAre("t.yaml:2:5: ports[0]: no device: write one of `pci`, `interface` and "
                  "`vdev`",
                  "t.yaml:3:5: ports[1]: several devices: keep one of `pci`, `interface` and "
                  "`vdev`"));
}

TEST(ValidatePorts, ADeviceBelongsToOnePort) {
  EXPECT_THAT(
      problems_of("ports:\n  - {name: a, pci: 01:00.0}\n  - {name: b, pci: 0000:01:00.0}\n"
                  "  - {name: c, vdev: \"net_ring0,x=1\"}\n"
                  "  - {name: d, vdev: net_ring0}\n"),
      ElementsAre("t.yaml:3:20: ports[1].pci: 0000:01:00.0 is taken by ports[0].pci already",
                  "t.yaml:5:21: ports[3].vdev: net_ring0 is taken by ports[2].vdev already"));
}

TEST(ValidatePorts, ADriverGoesWithAnInterface) {
  EXPECT_THAT(problems_of("ports: [{name: a, pci: 01:00.0, driver: af_packet}]\n"),
              ElementsAre("t.yaml:1:41: ports[0].driver: af_packet goes with `interface` only: a "
                          "`pci` or `vdev` port brings its own driver"));
}

TEST(ValidatePorts, NamesOfInterfacesDoNotCollide) {
  EXPECT_THAT(problems_of("ports:\n  - {name: eth0, interface: eth0}\n"),
              ElementsAre("t.yaml:2:12: ports[0].name: eth0 is the name of the interface beneath "
                          "ports[0] already: set another `name`"));
  // Without a twin nothing is made that needs the name.
  EXPECT_THAT(problems_of("ports:\n  - {name: eth0, interface: eth0, twin: none}\n"), IsEmpty());
  EXPECT_THAT(problems_of("ports:\n  - {name: a, pci: 01:00.0}\n  - {name: a, pci: 01:00.1}\n"),
              ElementsAre("t.yaml:3:12: ports[1].name: a is the name of ports[0] already"));
  EXPECT_THAT(problems_of("ports:\n  - {name: a, pci: 01:00.0, twin: {name: b}}\n"
                          "  - {name: b, pci: 01:00.1}\n"),
              ElementsAre("t.yaml:3:12: ports[1].name: b is the name of ports[0].twin already: set "
                          "another `name`"));
  EXPECT_THAT(problems_of("ports:\n  - name: interface-name\n    pci: 01:00.0\n"
                          "    vlans: [{id: 4000}]\n"),
              ElementsAre("t.yaml:4:13: ports[0].vlans[0]: the interface would be called "
                          "interface-name.4000, and the kernel takes 15 characters: set `name`"));
}

TEST(ValidatePorts, VlansHaveIdsOfTheirOwn) {
  EXPECT_THAT(problems_of("ports:\n  - name: a\n    pci: 01:00.0\n"
                          "    vlans: [{id: 5}, {id: 5}, {id: 0}, {name: v}]\n"),
              ElementsAre("t.yaml:4:27: ports[0].vlans[1].id: 5 is the id of vlans[0] already",
                          "t.yaml:4:36: ports[0].vlans[2].id: 0 is below 1",
                          "t.yaml:4:40: ports[0].vlans[3].id: is missing: a VLAN id from 1 to "
                          "4094"));
  EXPECT_THAT(problems_of("ports: [{name: a, pci: 01:00.0, twin: none, vlans: [{id: 5}]}]\n"),
              ElementsAre("t.yaml:1:52: ports[0].vlans: VLANs sit on the twin, and `twin: none` "
                          "turns that off"));
}

TEST(ValidatePorts, MtusFitIntoOneAnother) {
  EXPECT_THAT(problems_of("ports:\n  - name: a\n    pci: 01:00.0\n    mtu: 1500\n"
                          "    twin: {mtu: 9000}\n    vlans: [{id: 1, mtu: 9500}]\n"),
              ElementsAre("t.yaml:5:17: ports[0].twin.mtu: 9000 is above the port's MTU of 1500",
                          "t.yaml:6:26: ports[0].vlans[0].mtu: 9500 is above the twin's MTU of "
                          "9000"));
}

TEST(ValidatePorts, AddressesAreGivenOnce) {
  EXPECT_THAT(problems_of("ports:\n  - {name: a, pci: 01:00.0, twin: {addresses: [10.0.0.1/24]}}\n"
                          "  - {name: b, pci: 01:00.1, twin: {addresses: [10.0.0.1/16]}}\n"),
              ElementsAre("t.yaml:3:48: ports[1].twin.addresses[0]: 10.0.0.1 is given by "
                          "ports[0].twin.addresses[0] already"));
}

TEST(ValidatePorts, WarnsOfAddressesThatAreNetworks) {
  EXPECT_THAT(
      problems_of("ports:\n  - name: a\n    pci: 01:00.0\n    twin:\n"
                  "      addresses: [10.0.0.0/24, 10.1.0.255/24, 10.2.0.0/31, 10.3.0.0/32]\n"),
      ElementsAre("t.yaml:5:19: warning: ports[0].twin.addresses[0]: 10.0.0.0/24 is the "
                  "first address of its network, which a host should not have",
                  "t.yaml:5:32: warning: ports[0].twin.addresses[1]: 10.1.0.255/24 is the "
                  "broadcast address of its network, which a host should not have"));
}

TEST(ValidatePorts, RoutesKeepToOneFamilyAndDiffer) {
  EXPECT_THAT(
      problems_of("ports:\n  - name: a\n    pci: 01:00.0\n    twin:\n      routes:\n"
                  "        - {to: 0.0.0.0/0, via: \"fd00::1\"}\n"
                  "        - {to: 0.0.0.0/0, via: 10.0.0.1}\n"
                  "        - {to: 0.0.0.0/0, via: 10.0.0.2, metric: 5}\n"
                  "        - {via: 10.0.0.1}\n"),
      ElementsAre("t.yaml:6:32: ports[0].twin.routes[0].via: fd00::1 is ipv6, and the route "
                  "to 0.0.0.0/0 is ipv4",
                  "t.yaml:7:16: ports[0].twin.routes[1].to: 0.0.0.0/0 is the route of "
                  "ports[0].twin.routes[0] already: give one of them another `metric`",
                  "t.yaml:9:11: ports[0].twin.routes[3].to: is missing: the network that "
                  "the route leads to"));
}

// ---- services

// What is wrong with one service with these keys; it begins on line 3.
std::vector<std::string> service_problems(std::string_view keys) {
  return problems_after_port(fmt::format("services:\n  - {{{}}}\n", keys));
}

TEST(ValidateServices, NeedAnAddressOrAMark) {
  EXPECT_THAT(service_problems("port: 80"),
              ElementsAre("t.yaml:3:5: services[0].address: is missing: write the virtual address, "
                          "or `firewall_mark`"));
  EXPECT_THAT(service_problems("address: 192.0.2.1, firewall_mark: 7"),
              ElementsAre("t.yaml:3:41: services[0].firewall_mark: a service has an address or a "
                          "firewall mark, not both"));
  EXPECT_THAT(service_problems("firewall_mark: 7, port: 80"),
              ElementsAre("t.yaml:3:30: services[0].port: a firewall_mark service has neither port "
                          "nor protocol: the mark alone selects its packets"));
}

TEST(ValidateServices, ABackendMayBeThisHostInDrMode) {
  const auto with = [](std::string_view more) {
    return service_problems(fmt::format("address: 192.0.2.1, port: 80, {}", more));
  };
  EXPECT_THAT(with("backends: [{address: 127.0.0.1}]"), IsEmpty());
  EXPECT_THAT(with("sorry_server: {address: 127.0.0.1}"), IsEmpty());
  EXPECT_THAT(with("mode: nat, backends: [{address: 10.0.0.1}, {address: 127.0.0.1, mode: dr}]"),
              IsEmpty());
  EXPECT_THAT(with("mode: nat, backends: [{address: 127.0.0.1}]"),
              ElementsAre(HasSubstr("services[0].backends[0].address: 127.0.0.1 is this host")));
  EXPECT_THAT(with("mode: ipip, sorry_server: {address: 127.0.0.1}"),
              ElementsAre(HasSubstr("services[0].sorry_server.address: 127.0.0.1 is this host")));
  EXPECT_THAT(with("checks: [{address: 127.0.0.1}]"),
              ElementsAre(HasSubstr("127.0.0.1 is a loopback address, not the address of a host")));
}

TEST(ValidateServices, OnePacketSchedulingIsForUdp) {
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 53, protocol: udp, one_packet: on"),
              IsEmpty());
  EXPECT_THAT(service_problems("firewall_mark: 7, one_packet: on"), IsEmpty());
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 53, one_packet: on"),
              ElementsAre(HasSubstr("services[0].one_packet: is for UDP")));
}

TEST(ValidateMarks, RulesAndServicesGoTogether) {
  const auto marks = [](std::string_view rules, std::string_view services) {
    return problems_after_port(
        fmt::format("firewall_marks: [{}]\nservices: [{}]\n", rules, services));
  };
  EXPECT_THAT(marks("{mark: 8, destination: 192.0.2.7, source: 198.51.100.0/24, protocol: udp, "
                    "ports: [53, 8000-8099]}",
                    "{firewall_mark: 8}"),
              IsEmpty());
  EXPECT_THAT(
      marks("{mark: 8, destination: 192.0.2.7}", "{firewall_mark: 8, family: ipv6}"),
      ElementsAre(HasSubstr("warning: firewall_marks[0].mark: no service has the mark 8 for "
                            "ipv4"),
                  HasSubstr("warning: services[0].firewall_mark: no rule of "
                            "`firewall_marks` gives ipv6 packets the mark 8")));
  EXPECT_THAT(marks("{mark: 8}", "{firewall_mark: 8}"),
              testing::Contains(HasSubstr("firewall_marks[0].destination: is missing")));
  EXPECT_THAT(
      marks("{mark: 8, destination: 192.0.2.7, source: \"fd00::1\"}", "{firewall_mark: 8}"),
      ElementsAre(HasSubstr("firewall_marks[0].source: is ipv6, and the destination ipv4")));
  EXPECT_THAT(marks("{mark: 8, destination: 192.0.2.7/24}", ""),
              ElementsAre(HasSubstr("192.0.2.7/24 is a host, not a network")));
  EXPECT_THAT(
      marks("{mark: 8, destination: 192.0.2.7, ports: [90-80, 0, 1-70000]}", "{firewall_mark: 8}"),
      ElementsAre(HasSubstr("90-80 ends before it begins"), HasSubstr("0 is no port"),
                  HasSubstr("70000 is above 65535")));
}

TEST(ValidateMarks, AreNotTooMany) {
  std::string ports = "1";
  for (int port = 2; port <= 1025; ++port)
    ports += fmt::format(", {}", port);
  EXPECT_THAT(
      problems_after_port(fmt::format("firewall_marks: [{{mark: 7, destination: 192.0.2.7, "
                                      "ports: [{}]}}]\nservices: [{{firewall_mark: 8}}]\n",
                                      ports)),
      testing::Contains(HasSubstr("firewall_marks: 1025 rules, each range of ports counted, "
                                  "and there can be 1024")));
}

TEST(ValidatePorts, TakeOverGivesTheTwinTheInterfacesName) {
  const auto port = [](std::string_view keys) {
    return problems_of(fmt::format("ports: [{{name: wan, {}}}]\nservices: []\n", keys));
  };
  EXPECT_THAT(port("interface: eth0, take_over: on"), IsEmpty());
  EXPECT_THAT(port("interface: wan, take_over: on"), IsEmpty());
  EXPECT_THAT(port("interface: eth0, take_over: on, twin: {name: eth0}"), IsEmpty());
  EXPECT_THAT(port("interface: eth0, take_over: on, twin: {name: eth1}"),
              ElementsAre(HasSubstr("ports[0].take_over: gives the twin the name eth0")));
  EXPECT_THAT(port("interface: eth0, take_over: on, twin: none"),
              ElementsAre(HasSubstr("ports[0].take_over: needs a twin")));
  EXPECT_THAT(port("pci: 01:00.0, take_over: on"),
              ElementsAre(HasSubstr("ports[0].take_over: goes with `interface` only")));
}

TEST(ValidateServices, AllPortsNeedPersistence) {
  EXPECT_THAT(service_problems("address: 192.0.2.1"),
              ElementsAre("t.yaml:3:5: services[0].port: is missing: write the port; a service of "
                          "all ports (0) needs `persistence`"));
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 0, persistence: {timeout_s: 60}"),
              IsEmpty());
}

TEST(ValidateServices, TheFamilyIsTheAddresss) {
  EXPECT_THAT(
      service_problems("address: 192.0.2.1, port: 80, family: ipv6"),
      ElementsAre("t.yaml:3:44: services[0].family: ipv6 contradicts the address 192.0.2.1: "
                  "leave `family` to firewall marks"));
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 80, family: ipv4"), IsEmpty());
  EXPECT_THAT(service_problems("firewall_mark: 7, persistence: {netmask: 64}"),
              ElementsAre("t.yaml:3:47: services[0].persistence.netmask: 64 is longer than an ipv4 "
                          "address: at most 32"));
}

TEST(ValidateServices, AreListedOnce) {
  EXPECT_THAT(
      problems_after_port("services:\n  - {name: a, address: 192.0.2.1, port: 80}\n"
                          "  - {name: a, address: 192.0.2.1, port: 80}\n"
                          "  - {address: 192.0.2.1, port: 80, protocol: udp}\n"
                          "  - {firewall_mark: 7}\n  - {firewall_mark: 7, family: ipv6}\n"
                          "  - {firewall_mark: 7, family: ipv4}\n"),
      ElementsAre("t.yaml:4:12: services[1].name: a is the name of services[0] already",
                  "t.yaml:4:24: services[1].address: 192.0.2.1:80/tcp is services[0] already: "
                  "put the backends of both into one",
                  "t.yaml:8:21: services[5].firewall_mark: mark:7/ipv4 is services[3] "
                  "already: put the backends of both into one"));
}

TEST(ValidateServices, BackendsAreListedOnce) {
  EXPECT_THAT(
      problems_after_port(
          "services:\n  - address: 192.0.2.1\n    port: 80\n    mode: nat\n    backends:\n"
          "      - {address: 10.0.0.1, name: a}\n      - {address: 10.0.0.1, port: 81}\n"
          "      - {address: 10.0.0.1, port: 80}\n      - {address: 10.0.0.2, name: a}\n"),
      ElementsAre("t.yaml:9:19: services[0].backends[2].address: 10.0.0.1:80 is backends[0] "
                  "already: keep one and set its weight",
                  "t.yaml:10:35: services[0].backends[3].name: a is the name of backends[0] "
                  "already"));
}

TEST(ValidateServices, ABackendIsNotNamedLikeAnother) {
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 80, mode: nat, backends: "
                               "[{address: 10.0.0.1}, {address: 10.0.0.2, name: 10.0.0.1}]"),
              ElementsAre("t.yaml:3:105: services[0].backends[1].name: 10.0.0.1 is an address, and "
                          "not this backend's: give it another name"));
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 80, mode: nat, backends: "
                               "[{address: 10.0.0.1, name: 10.0.0.1}]"),
              IsEmpty());
}

TEST(ValidateServices, OnlyIpipCarriesOneFamilyInTheOther) {
  const auto with_mode = [](std::string_view mode) {
    return service_problems(
        fmt::format("address: 192.0.2.1, port: 80, mode: {}, local_addresses: [10.0.0.9], "
                    "backends: [{{address: \"fd00::1\"}}]",
                    mode));
  };
  for (const std::string_view mode : {"nat", "fullnat"}) {
    EXPECT_THAT(with_mode(mode), testing::Contains(HasSubstr(fmt::format(
                                     "services[0].backends[0].address: fd00::1 is ipv6 and the "
                                     "service is ipv4: {} cannot translate between the two, only "
                                     "ipip can carry one in the other",
                                     mode))));
  }
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 80, backends: [{address: \"fd00::1\"}]"),
              ElementsAre(HasSubstr("dr cannot translate")));
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 80, mode: ipip, "
                               "backends: [{address: \"fd00::1\"}]"),
              IsEmpty());
}

TEST(ValidateServices, ABackendIsNotTheServiceItself) {
  EXPECT_THAT(
      service_problems("address: 192.0.2.1, port: 80, backends: [{address: 192.0.2.1}]"),
      ElementsAre("t.yaml:3:57: services[0].backends[0].address: 192.0.2.1 is the service's "
                  "own address: write that of the real server"));
}

TEST(ValidateServices, DrWithAnotherPortIsCorrectedWithAWarning) {
  EXPECT_THAT(
      service_problems("address: 192.0.2.1, port: 80, "
                       "backends: [{address: 10.0.0.1, port: 8080}]"),
      ElementsAre("t.yaml:3:73: warning: services[0].backends[0].port: 8080 cannot be had in "
                  "dr mode, which leaves the client's destination port as it is: 80 is "
                  "used; nat and fullnat can change the port"));
}

TEST(ValidateServices, ThresholdsAreInOrder) {
  EXPECT_THAT(
      service_problems("address: 192.0.2.1, port: 80, backends: ["
                       "{address: 10.0.0.1, upper_threshold: 10, lower_threshold: 10}, "
                       "{address: 10.0.0.2, lower_threshold: 10}]"),
      ElementsAre(HasSubstr("services[0].backends[0].lower_threshold: 10 is not below "
                            "upper_threshold, 10"),
                  HasSubstr("services[0].backends[1].lower_threshold: has no meaning without "
                            "`upper_threshold`")));
}

TEST(ValidateServices, FullnatNeedsALocalAddressOfItsFamily) {
  EXPECT_THAT(
      service_problems("address: 192.0.2.1, port: 80, mode: fullnat, "
                       "local_addresses: [\"fd00::9\"], backends: [{address: 10.0.0.1}]"),
      ElementsAre("t.yaml:3:68: services[0].local_addresses: no ipv4 address, which fullnat "
                  "needs as source towards the backends: set them here or in "
                  "forwarding.local_addresses"));
  EXPECT_THAT(problems_after_port("forwarding: {local_addresses: [10.0.0.9]}\nservices:\n"
                                  "  - {address: 192.0.2.1, port: 80, "
                                  "backends: [{address: 10.0.0.1, mode: fullnat}]}\n"),
              IsEmpty());
  EXPECT_THAT(
      service_problems("address: 192.0.2.1, port: 80, mode: fullnat, "
                       "local_addresses: [192.0.2.1], backends: [{address: 10.0.0.1}]"),
      ElementsAre(HasSubstr("services[0].address: 192.0.2.1 is among the local addresses of "
                            "fullnat as well")));
  EXPECT_THAT(service_problems("address: 192.0.2.1, port: 80, local_addresses: [10.0.0.9]"),
              ElementsAre(HasSubstr("warning: services[0].local_addresses: has no effect")));
  EXPECT_THAT(problems_after_port("forwarding: {local_addresses: [10.0.0.1, 10.0.0.1]}\n"),
              ElementsAre("t.yaml:2:31: forwarding.local_addresses: 10.0.0.1 is listed twice"));
}

TEST(ValidateServices, WarnsOfLocalAddressesThatTheHostUses) {
  EXPECT_THAT(
      problems_of("ports: [{name: p, pci: 01:00.0, twin: {addresses: [10.0.0.2/24]}, "
                  "vlans: [{id: 1, addresses: [10.1.0.2/24]}]}]\n"
                  "forwarding: {local_addresses: [10.0.0.1-10.0.0.3, 10.1.0.2]}\n"),
      ElementsAre(
          HasSubstr("t.yaml:2:31: warning: forwarding.local_addresses: 10.0.0.2 is the "
                    "address of a twin as well"),
          HasSubstr("warning: forwarding.local_addresses: 10.1.0.2 is the address of a twin "
                    "as well")));
}

TEST(ValidateServices, WarnsOfOptionsThatTheSchedulerDoesNotLookAt) {
  EXPECT_THAT(
      service_problems("address: 192.0.2.1, port: 80, scheduler: rr, fallback: off, "
                       "hash_port: on, maglev_table_size: 251"),
      ElementsAre(HasSubstr("warning: services[0].fallback: has no effect with scheduler rr: "
                            "it is for sh and mh"),
                  HasSubstr("warning: services[0].hash_port: has no effect"),
                  HasSubstr("warning: services[0].maglev_table_size: has no effect with "
                            "scheduler rr: it is for mh")));
}

TEST(ValidateServices, MaglevTablesHoldTheirBackends) {
  const auto with_backends = [](int count) {
    std::string backends;
    for (int i = 0; i < count; ++i) {
      backends += fmt::format("{{address: 10.0.{}.{}}}, ", i / 250, i % 250 + 1);
    }
    return service_problems(
        fmt::format("address: 192.0.2.1, port: 80, scheduler: mh, maglev_table_size: 251, "
                    "backends: [{}]",
                    backends));
  };
  EXPECT_THAT(with_backends(25), IsEmpty());
  EXPECT_THAT(with_backends(26),
              ElementsAre(HasSubstr("warning: services[0].maglev_table_size: a Maglev table of 251 "
                                    "slots spreads 26 backends unevenly: `maglev_table_size` of "
                                    "2600 or more is better")));
  EXPECT_THAT(
      with_backends(252),
      ElementsAre(HasSubstr("t.yaml:3:70: services[0].maglev_table_size: a Maglev table of "
                            "251 slots cannot hold 252 backends: set `maglev_table_size` to "
                            "25200 or more")));
}

}  // namespace
}  // namespace headgate::config
