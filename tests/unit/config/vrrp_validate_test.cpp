// The rules of the section `vrrp`.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/limits.h"
#include "config/validate.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view good_address = "addresses: [{address: 192.0.2.80/24}]";

// What is wrong with one virtual router on eth0 with these keys, and with the lines of the section
// `vrrp` in `rest`, indented by two.
std::vector<std::string> with_addresses(std::string_view keys, std::string_view rest = {}) {
  return problems_of(fmt::format(
      "vrrp:\n  instances:\n    - {{name: a, interface: eth0, virtual_router_id: 1, {}}}\n{}", keys,
      rest));
}
std::vector<std::string> with(std::string_view keys, std::string_view rest = {}) {
  return with_addresses(fmt::format("{}, {}", good_address, keys), rest);
}
// The same on the twin of a port.
std::vector<std::string> on_port(std::string_view keys, std::string_view twin = "{}") {
  return problems_of(
      fmt::format("ports: [{{name: wan, pci: 01:00.0, twin: {}}}]\nvrrp:\n  instances:\n"
                  "    - {{name: a, interface: wan, virtual_router_id: 1, {}, {}}}\n",
                  twin, good_address, keys));
}
// Two virtual routers with what tells them apart.
std::vector<std::string> two(std::string_view first, std::string_view second,
                             std::string_view rest = {}) {
  return problems_of(
      fmt::format("vrrp:\n  instances:\n    - {{{}}}\n    - {{{}}}\n{}", first, second, rest));
}

TEST(ValidateVrrp, VirtualRoutersAloneNeedNoPort) {
  EXPECT_THAT(with("priority: 101"), IsEmpty());
  EXPECT_THAT(with("priority: 101", "ports: []\n"), IsEmpty());
}

TEST(ValidateVrrp, NothingElseGoesWithoutAPort) {
  EXPECT_THAT(problems_of("vrrp: {router_id: x}\n"),
              ElementsAre(HasSubstr("ports: no port: the daemon needs at least one")));
  EXPECT_THAT(with("priority: 101",
                   "services: [{address: 192.0.2.1, port: 80, backends: [{address: 10.0.0.1}]}]\n"),
              ElementsAre("t.yaml:4:11: services: no port to take their packets from: add one to "
                          "`ports`, or remove them"));
}

TEST(ValidateVrrp, AVirtualRouterNeedsNameInterfaceIdAndAddress) {
  EXPECT_THAT(problems_of("vrrp: {instances: [{}]}\n"),
              ElementsAre("t.yaml:1:20: vrrp.instances[0].addresses: no address: list at least one "
                          "that the virtual router holds",
                          "t.yaml:1:20: vrrp.instances[0].interface: is missing: where adverts are "
                          "sent and heard",
                          "t.yaml:1:20: vrrp.instances[0].name: is missing: a virtual router needs "
                          "a name",
                          "t.yaml:1:20: vrrp.instances[0].virtual_router_id: is missing: a number "
                          "from 1 to 255 that its peers share"));
  EXPECT_THAT(problems_of("vrrp: {instances: [{name: a, interface: e, virtual_router_id: 1, "
                          "addresses: [{}]}]}\n"),
              ElementsAre(HasSubstr("vrrp.instances[0].addresses[0].address: is missing: the "
                                    "address with its network's length")));
}

TEST(ValidateVrrp, NamesAreUnique) {
  EXPECT_THAT(
      two("name: a, interface: e, virtual_router_id: 1, addresses: [{address: 10.0.0.1/8}]",
          "name: a, interface: f, virtual_router_id: 1, addresses: [{address: 10.0.0.2/8}]",
          "  scripts: [{name: s, command: /a}, {name: s, command: /b}]\n"
          "  files: [{name: f, path: /a}, {name: f, path: /b}]\n"
          "  processes: [{name: p, process: a}, {name: p, process: b}]\n"),
      ElementsAre("t.yaml:4:14: vrrp.instances[1].name: a is the name of vrrp.instances[0] already",
                  "t.yaml:5:44: vrrp.scripts[1].name: s is the name of vrrp.scripts[0] already",
                  "t.yaml:6:39: vrrp.files[1].name: f is the name of vrrp.files[0] already",
                  "t.yaml:7:45: vrrp.processes[1].name: p is the name of vrrp.processes[0] "
                  "already"));
}

TEST(ValidateVrrp, AnIdIsUniqueOnItsInterfaceAndFamily) {
  EXPECT_THAT(
      two("name: a, interface: e, virtual_router_id: 7, addresses: [{address: 10.0.0.1/8}]",
          "name: b, interface: e, virtual_router_id: 7, addresses: [{address: 10.0.0.2/8}]"),
      ElementsAre("t.yaml:4:50: vrrp.instances[1].virtual_router_id: 7 is the ipv4 virtual "
                  "router of vrrp.instances[0] on e already: give one of them another id"));
  EXPECT_THAT(
      two("name: a, interface: e, virtual_router_id: 7, addresses: [{address: 10.0.0.1/8}]",
          "name: b, interface: f, virtual_router_id: 7, addresses: [{address: 10.0.0.2/8}]"),
      IsEmpty());
  EXPECT_THAT(
      two("name: a, interface: e, virtual_router_id: 7, addresses: [{address: 10.0.0.1/8}]",
          "name: b, interface: e, virtual_router_id: 7, addresses: [{address: \"fe80::1/64\"}]"),
      IsEmpty());
}

// ---- version and times

TEST(ValidateVrrp, Version2IsForIpv4AndWholeSeconds) {
  EXPECT_THAT(with_addresses("version: 2, addresses: [{address: \"fe80::1/64\"}]"),
              ElementsAre("t.yaml:3:65: vrrp.instances[0].version: 2 carries IPv4 addresses only: "
                          "take version 3"));
  EXPECT_THAT(with("version: 2, advert_interval_ms: 1500"),
              ElementsAre(HasSubstr("advert_interval_ms: 1500 is no whole number of seconds, and "
                                    "version 2 knows no others")));
  EXPECT_THAT(with("version: 2, advert_interval_ms: 255000, auth_password: \"1234\""), IsEmpty());
  EXPECT_THAT(with("version: 2, advert_interval_ms: 256000"),
              ElementsAre(HasSubstr("256000 is above 255000")));
}

TEST(ValidateVrrp, Version3CountsHundredthsAndHasNoPassword) {
  EXPECT_THAT(with("advert_interval_ms: 10"), IsEmpty());
  EXPECT_THAT(with("advert_interval_ms: 40950"), IsEmpty());
  EXPECT_THAT(with("advert_interval_ms: 9"), ElementsAre(HasSubstr("9 is below 10")));
  EXPECT_THAT(with("advert_interval_ms: 40960"),
              ElementsAre(HasSubstr("40960 is above 40950, the most that version 3 can say")));
  EXPECT_THAT(with("advert_interval_ms: 1005"),
              ElementsAre(HasSubstr("1005 is no multiple of 10: adverts tell hundredths of a "
                                    "second")));
  EXPECT_THAT(with("auth_password: x"),
              ElementsAre(HasSubstr("auth_password: version 3 has no authentication: remove it, or "
                                    "take version 2")));
  EXPECT_THAT(with("version: 4"), ElementsAre(HasSubstr("4 is above 3")));
}

TEST(ValidateVrrp, AnOwnerIsAlwaysMasterAndItsPriorityStays) {
  EXPECT_THAT(with("priority: 255, preempt: off"),
              ElementsAre(HasSubstr("preempt: an owner (priority 255) is master as soon as it "
                                    "runs")));
  EXPECT_THAT(with("priority: 255, preempt_delay_s: 5"),
              ElementsAre(HasSubstr("warning: vrrp.instances[0].preempt_delay_s: has no effect")));
  EXPECT_THAT(with("priority: 255, interfaces: [{name: eth1, weight: -5}, {name: eth2}]"),
              ElementsAre(HasSubstr("interfaces[0].weight: -5 has no effect: the priority of an "
                                    "owner (255) does not change; take weight 0, or a priority "
                                    "below 255")));
}

TEST(ValidateVrrp, WarnsOfSwitchesWithoutEffect) {
  EXPECT_THAT(with("preempt: off, preempt_delay_s: 5"),
              ElementsAre(HasSubstr("warning: vrrp.instances[0].preempt_delay_s: has no effect: "
                                    "`preempt` is off")));
  EXPECT_THAT(with("version: 2, checksum_pseudo_header: off"),
              ElementsAre(HasSubstr("warning: vrrp.instances[0].checksum_pseudo_header: has no "
                                    "effect: it is for version 3 on IPv4")));
  EXPECT_THAT(with("checksum_pseudo_header: off"), IsEmpty());
  EXPECT_THAT(with("unicast_ttl: 64"),
              ElementsAre(HasSubstr("warning: vrrp.instances[0].unicast_ttl: has no effect without "
                                    "`unicast_peers`")));
  EXPECT_THAT(with("preempt_delay_s: 1001"), ElementsAre(HasSubstr("1001 is above 1000")));
}

// ---- addresses

TEST(ValidateVrrp, AdvertisesOneFamily) {
  EXPECT_THAT(with_addresses("addresses: [{address: 10.0.0.1/8}, {address: \"fd00::1/64\"}]"),
              ElementsAre(HasSubstr("addresses[1].address: fd00::1 is ipv6, and the first address "
                                    "is ipv4: one virtual router advertises one family")));
  EXPECT_THAT(with("excluded_addresses: [{address: \"fd00::1/64\"}, {address: 10.0.0.9/8}]"),
              IsEmpty());
}

TEST(ValidateVrrp, WarnsOfIpv6WithoutALinkLocalAddressInFront) {
  EXPECT_THAT(
      with_addresses("addresses: [{address: \"fd00::1/64\"}, {address: \"fe80::1/64\"}]"),
      ElementsAre(HasSubstr("warning: vrrp.instances[0].addresses[0].address: fd00::1 is no "
                            "link-local address")));
}

TEST(ValidateVrrp, AnAdvertCarries255Addresses) {
  std::string addresses = "addresses: [";
  for (int i = 0; i < 255; ++i)
    addresses += fmt::format("{{address: 10.1.0.{}/16}}, ", i + 1);
  EXPECT_THAT(with_addresses(addresses + "]"), IsEmpty());
  EXPECT_THAT(
      with_addresses(addresses + "{address: 10.1.1.1/16}]"),
      ElementsAre(HasSubstr("addresses: 256 addresses, and an advert carries 255: move some "
                            "to `excluded_addresses`")));
}

TEST(ValidateVrrp, AnAddressIsListedOnce) {
  EXPECT_THAT(with("excluded_addresses: [{address: 192.0.2.80/32}]"),
              ElementsAre(HasSubstr("excluded_addresses[0].address: 192.0.2.80 is listed twice")));
  EXPECT_THAT(
      two("name: a, interface: e, virtual_router_id: 1, addresses: [{address: 10.0.0.1/8}]",
          "name: b, interface: e, virtual_router_id: 2, addresses: [{address: 10.0.0.1/8}]"),
      ElementsAre(HasSubstr("warning: vrrp.instances[1].addresses[0].address: 10.0.0.1 is an "
                            "address of vrrp.instances[0] as well: two routers may hold it at "
                            "once")));
}

TEST(ValidateVrrp, ALinkLocalAddressIsOneOfItsLink) {
  constexpr std::string_view form =
      "name: {}, interface: {}, virtual_router_id: {}, addresses: [{{address: \"fe80::1/64\"}}]";
  EXPECT_THAT(two(fmt::format(form, "a", "e", 1), fmt::format(form, "b", "f", 1)), IsEmpty());
  EXPECT_THAT(two(fmt::format(form, "a", "e", 1), fmt::format(form, "b", "e", 2)),
              ElementsAre(HasSubstr("warning")));
}

TEST(ValidateVrrp, WarnsOfAnAddressThatATwinHasForGood) {
  EXPECT_THAT(
      on_port("priority: 150", "{addresses: [192.0.2.80/24]}"),
      ElementsAre(HasSubstr("warning: vrrp.instances[0].addresses[0].address: 192.0.2.80 is "
                            "an address of wan for good")));
  EXPECT_THAT(on_port("priority: 255", "{addresses: [192.0.2.80/24]}"), IsEmpty());
}

TEST(ValidateVrrp, ALabelBeginsWithTheInterface) {
  const auto label = [](std::string_view keys) {
    return with_addresses(fmt::format("addresses: [{{{}}}]", keys));
  };
  EXPECT_THAT(label("address: 10.0.0.1/8, label: \"eth0:1\""), IsEmpty());
  EXPECT_THAT(label("address: 10.0.0.1/8, label: eth0"), IsEmpty());
  EXPECT_THAT(label("address: 10.0.0.1/8, interface: lo, label: \"lo:1\""), IsEmpty());
  EXPECT_THAT(label("address: 10.0.0.1/8, label: \"eth01:1\""),
              ElementsAre(HasSubstr("addresses[0].label: eth01:1 does not begin with the "
                                    "interface's name: write eth0:1, say")));
  EXPECT_THAT(label("address: \"fe80::1/64\", label: \"eth0:1\""),
              ElementsAre(HasSubstr("addresses[0].label: IPv6 addresses have none: remove it")));
}

// ---- interface

TEST(ValidateVrrp, SomeThingsArePossibleOnPortsOnly) {
  EXPECT_THAT(on_port("virtual_mac: on, accept: off"), IsEmpty());
  EXPECT_THAT(with("virtual_mac: on, accept: off"),
              ElementsAre(HasSubstr("virtual_mac: only a port takes frames to a virtual MAC: eth0 "
                                    "is neither the twin nor a VLAN of a port"),
                          HasSubstr("accept: only a port can take the addresses' traffic without "
                                    "the host: eth0 is neither")));
  EXPECT_THAT(
      problems_of("ports: [{name: p, pci: 01:00.0, vlans: [{id: 5}]}]\nvrrp:\n  instances:\n"
                  "    - {name: a, interface: p.5, virtual_router_id: 1, accept: off, "
                  "addresses: [{address: 10.0.0.1/8}]}\n"),
      IsEmpty());
}

TEST(ValidateVrrp, AnInterfaceIsNotOneThatAPortTakes) {
  EXPECT_THAT(with("priority: 9", "ports: [{name: wan, interface: eth0}]\n"),
              ElementsAre(HasSubstr("interface: eth0 is beneath port wan, which takes its packets: "
                                    "write the name of the port's twin")));
  EXPECT_THAT(on_port("priority: 9", "none"),
              ElementsAre(HasSubstr("interface: port wan has no interface of the kernel, by `twin: "
                                    "none`")));
}

// ---- peers

TEST(ValidateVrrp, PeersAreOthersOfTheFamily) {
  EXPECT_THAT(with("source: 192.0.2.2, unicast_peers: [192.0.2.3, 192.0.2.4], unicast_ttl: 64"),
              IsEmpty());
  EXPECT_THAT(
      with("source: 192.0.2.2, unicast_peers: [192.0.2.2, 192.0.2.3, 192.0.2.3, \"fe80::1\", "
           "192.0.2.80]"),
      ElementsAre(HasSubstr("unicast_peers[0]: 192.0.2.2 is the source of its own"),
                  HasSubstr("unicast_peers[2]: 192.0.2.3 is listed twice"),
                  HasSubstr("unicast_peers[3]: fe80::1 is ipv6, and the virtual router is ipv4"),
                  HasSubstr("unicast_peers[4]: 192.0.2.80 is one of the virtual addresses")));
  EXPECT_THAT(on_port("virtual_mac: on, unicast_peers: [192.0.2.3]"),
              ElementsAre(HasSubstr("warning: vrrp.instances[0].virtual_mac: with unicast peers no "
                                    "advert shows it to switches")));
}

TEST(ValidateVrrp, TheSourceIsOfTheFamilyAndNotVirtual) {
  EXPECT_THAT(with("source: \"fe80::1\""),
              ElementsAre(HasSubstr("source: fe80::1 is ipv6, and the virtual router is ipv4")));
  EXPECT_THAT(with("source: 192.0.2.80"),
              ElementsAre(HasSubstr("source: 192.0.2.80 is one of the virtual addresses, which a "
                                    "backup does not hold")));
  EXPECT_THAT(with("source: 192.0.2.80, priority: 255"), IsEmpty());
}

// ---- what is tracked

TEST(ValidateVrrp, TrackedNamesExist) {
  constexpr std::string_view sources =
      "  scripts: [{name: check, command: /bin/true}]\n"
      "  files: [{name: number, path: /run/n}]\n"
      "  processes: [{name: web, process: nginx}]\n";
  EXPECT_THAT(with("scripts: [{name: check}], files: [{name: number}], processes: [{name: web}], "
                   "interfaces: [{name: any0}]",
                   sources),
              IsEmpty());
  EXPECT_THAT(
      with("scripts: [{name: chek}], files: [{name: x}], processes: [{}], services: [{name: w}]",
           sources),
      ElementsAre(HasSubstr("scripts[0].name: chek is not in `vrrp.scripts`; did you mean check?"),
                  HasSubstr("files[0].name: x is not in `vrrp.files`"),
                  HasSubstr("processes[0].name: is missing: the name of what is tracked"),
                  HasSubstr("services[0].name: w is not in `services`")));
}

TEST(ValidateVrrp, ServicesAreTrackedByNameOrKey) {
  EXPECT_THAT(
      problems_of(
          "ports: [{name: wan, pci: 01:00.0}]\nservices:\n"
          "  - {name: web, address: 192.0.2.80, port: 80, backends: [{address: 10.0.0.1}]}\n"
          "  - {address: 192.0.2.80, port: 81, backends: [{address: 10.0.0.1}]}\n"
          "vrrp:\n  instances:\n    - name: a\n      interface: wan\n"
          "      virtual_router_id: 1\n      addresses: [{address: 192.0.2.80/24}]\n"
          "      services: [{name: web}, {name: \"192.0.2.80:81/tcp\", weight: -5}]\n"),
      IsEmpty());
}

TEST(ValidateVrrp, AThingIsTrackedOnceAndWithinItsWeight) {
  EXPECT_THAT(with("interfaces: [{name: eth1}, {name: eth1}]"),
              ElementsAre(HasSubstr("interfaces[1].name: eth1 is listed twice")));
  EXPECT_THAT(with("interfaces: [{name: eth1, weight: 254}]"),
              ElementsAre(HasSubstr("interfaces[0].weight: 254 is above 253")));
  EXPECT_THAT(with("interfaces: [{name: eth0, weight: -5}]"),
              ElementsAre(HasSubstr("warning: vrrp.instances[0].interfaces[0].name: eth0 is the "
                                    "interface of its own")));
  EXPECT_THAT(with("track_interface: off, interfaces: [{name: eth0, weight: -5}]"), IsEmpty());
}

TEST(ValidateVrrp, CommandsAreWholeAndBeginWithAPath) {
  const auto command = [](std::string_view text) {
    return with("priority: 9", fmt::format("  scripts: [{{name: s, {}}}]\n", text));
  };
  EXPECT_THAT(command("command: /bin/true"), IsEmpty());
  EXPECT_THAT(command("command: \"'/bin/a b' c\""), IsEmpty());
  EXPECT_THAT(command("command: killall -0 nginx"),
              ElementsAre("t.yaml:4:32: vrrp.scripts[0].command: \"killall -0 nginx\" does not "
                          "begin with an absolute path, and no shell looks the program up: write "
                          "the path, or `shell: on`"));
  EXPECT_THAT(command("command: killall -0 nginx, shell: on"), IsEmpty());
  EXPECT_THAT(command("command: \"/bin/a 'b\""),
              ElementsAre(HasSubstr("ends within quotes or behind a backslash")));
  EXPECT_THAT(command("command: \"/bin/a b\\\\\""),
              ElementsAre(HasSubstr("ends within quotes or behind a backslash")));
  EXPECT_THAT(command("interval_ms: 500"),
              ElementsAre(HasSubstr("command: is missing: the program that tells up from down")));
}

TEST(ValidateVrrp, FilesAndProcessesSayWhat) {
  EXPECT_THAT(with("priority: 9", "  files: [{name: f}]\n  processes: [{name: p}]\n"),
              ElementsAre(HasSubstr("files[0].path: is missing: the file that holds the number"),
                          HasSubstr("processes[0].process: is missing: the name or path")));
}

// ---- who is told

TEST(ValidateVrrp, NotifyCommandsAreCheckedForInstancesAndGroups) {
  EXPECT_THAT(
      with("notify: {master: x, backup: /b, any: \"/c 'd\"}",
           "  sync_groups: [{name: g, instances: [a], notify: {fault: x, stop: y}}]\n"),
      ElementsAre(HasSubstr("instances[0].notify.master: \"x\" does not begin"),
                  HasSubstr("instances[0].notify.any: \"/c 'd\" ends within quotes"),
                  HasSubstr("warning: vrrp.sync_groups[0].instances: has no effect with one "
                            "member"),
                  HasSubstr("sync_groups[0].notify.fault: \"x\" does not begin"),
                  HasSubstr("sync_groups[0].notify.stop: \"y\" does not begin")));
}

TEST(ValidateVrrp, MailNeedsAServerASenderAndARecipient) {
  EXPECT_THAT(with("notify: {mail: on}"),
              ElementsAre(HasSubstr("notify.mail: needs a mail server and recipients: add the "
                                    "section `vrrp.mail`")));
  EXPECT_THAT(with("notify: {mail: on}", "  mail: {server: mx, from: a@b, to: [c@d]}\n"),
              IsEmpty());
  EXPECT_THAT(with("notify: {mail: on}", "  mail: none\n"),
              ElementsAre(HasSubstr("notify.mail: needs a mail server and recipients")));
  EXPECT_THAT(with("notify: {mail: on}", "  mail: {}\n"),
              ElementsAre(HasSubstr("vrrp.mail.from: is missing"),
                          HasSubstr("vrrp.mail.server: is missing"),
                          HasSubstr("vrrp.mail.to: no recipient")));
}

// ---- sync groups

TEST(ValidateVrrp, GroupMembersExistAndAreInOneGroup) {
  const auto groups = [](std::string_view list) {
    return two("name: one, interface: e, virtual_router_id: 1, addresses: [{address: 10.0.0.1/8}]",
               "name: two, interface: e, virtual_router_id: 2, addresses: [{address: 10.0.0.2/8}]",
               fmt::format("  sync_groups: [{}]\n", list));
  };
  EXPECT_THAT(groups("{name: g, instances: [one, two]}"), IsEmpty());
  EXPECT_THAT(groups("{name: g, instances: [one, tow]}"),
              ElementsAre("t.yaml:5:44: vrrp.sync_groups[0].instances[1]: tow is no virtual router "
                          "of vrrp.instances; did you mean two?"));
  EXPECT_THAT(groups("{name: g, instances: [one, one]}"),
              ElementsAre(HasSubstr("instances[1]: one is listed twice")));
  EXPECT_THAT(groups("{name: g, instances: [one, two]}, {name: h, instances: [two, one]}"),
              ElementsAre(HasSubstr("sync_groups[1].instances[0]: two is in vrrp.sync_groups[0] "
                                    "already"),
                          HasSubstr("sync_groups[1].instances[1]: one is in vrrp.sync_groups[0] "
                                    "already")));
  EXPECT_THAT(groups("{name: g}, {instances: [one]}"),
              ElementsAre(HasSubstr("sync_groups[0].instances: no member"),
                          HasSubstr("sync_groups[1].name: is missing: a sync group needs a name"),
                          HasSubstr("warning: vrrp.sync_groups[1].instances: has no effect")));
}

TEST(ValidateVrrp, SaysNothingThatOnlyFollowsFromWhatCouldNotBeRead) {
  EXPECT_THAT(with_addresses("addresses: [{address: 192.0.2.80}]"),
              ElementsAre(HasSubstr("\"192.0.2.80\" has no network's length")));
  EXPECT_THAT(with("notify: {mail: on}", "  mail: yes\n"), ElementsAre(HasSubstr("vrrp.mail")));
  EXPECT_THAT(problems_of("vrrp: {instances: 5}\n"), ElementsAre(HasSubstr("vrrp.instances")));
}

TEST(ValidateVrrp, ChecksTheRangesOfValuesThatNoReaderSaw) {
  Config config = read_good(
      "vrrp:\n  instances:\n    - {name: a, interface: eth0, virtual_router_id: 1, "
      "addresses: [{address: 192.0.2.80/24}]}\n");
  config.vrrp.multicast_group_v4 = *net::parse_ip("10.0.0.1");
  config.vrrp.instances[0].version = 7;
  config.vrrp.instances[0].priority = 0;
  config.vrrp.instances[0].interfaces.push_back({"eth1", -300});
  config.vrrp.instances[0].addresses[0].scope = static_cast<Scope>(9);
  EXPECT_THAT(lines_of(validate(config)),
              ElementsAre(HasSubstr("multicast_group_v4: 10.0.0.1 is not an ipv4 multicast"),
                          "vrrp.instances[0].version: 7 is above 3",
                          "vrrp.instances[0].priority: 0 is below 1",
                          "vrrp.instances[0].addresses[0].scope: 9 is not global, site, link or "
                          "host",
                          "vrrp.instances[0].interfaces[0].weight: -300 is below -253"));
}

}  // namespace
}  // namespace headgate::config
