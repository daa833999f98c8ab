// global_defs, scripts, virtual routers and sync groups.
#include <gtest/gtest.h>

#include "tests/unit/config/support_keepalived.h"

namespace headgate::config {
namespace {

constexpr const char* one_address = "virtual_ipaddress {\n192.0.2.80/24\n}";

VrrpInstance with_address(const std::string& lines, const std::string& before = {}) {
  return instance_of(std::string(one_address) + "\n" + lines, before);
}

std::string notes_with(const std::string& lines, const std::string& before = {}) {
  return notes_of(before + "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n" + lines +
                  "\nvirtual_ipaddress {\n192.0.2.80\n}\n}\n");
}

std::string errors_with(const std::string& lines) {
  return errors_of("vrrp_instance A {\ninterface eth0\n" + lines + "\n}\n");
}

TEST(KeepalivedVrrp, DefaultsAreKeepalivedsAndNotHeadgates) {
  const VrrpInstance instance = with_address("");
  EXPECT_EQ(instance.name, "VI_1");
  EXPECT_EQ(instance.interface, "eth0");
  EXPECT_EQ(instance.virtual_router_id, 51);
  EXPECT_EQ(instance.version, 2);
  EXPECT_EQ(instance.priority, 100);
  EXPECT_EQ(instance.advert_interval_ms, 1000U);
  EXPECT_EQ(instance.gratuitous, VrrpGratuitous{});
  EXPECT_TRUE(instance.preempt);
  EXPECT_FALSE(instance.auth_password);
}

TEST(KeepalivedVrrp, AnInstanceInFull) {
  const VrrpInstance instance = with_address(R"(
state BACKUP
priority 150
advert_int 3
nopreempt
preempt_delay 2.5
authentication {
  auth_type PASS
  auth_pass 1111
}
dont_track_primary
unicast_src_ip 192.0.2.1
unicast_peer {
  192.0.2.2
  192.0.2.3 min_ttl 3 max_ttl 9
}
unicast_ttl 64
lower_prio_no_advert
higher_prio_send_advert true
strict_mode off
garp_master_delay 1
garp_master_repeat 2
garp_master_refresh 3
garp_master_refresh_repeat 4
garp_lower_prio_delay 5
garp_lower_prio_repeat 6
track_interface {
  eth0
  eth1
  eth2 weight -10
}
notify_master "/bin/n master"
notify_backup /bin/b
notify_fault "/bin/n fault"
notify_stop "/bin/n stop"
notify /bin/any
)");
  EXPECT_EQ(instance.priority, 150);
  EXPECT_EQ(instance.advert_interval_ms, 3000U);
  EXPECT_FALSE(instance.preempt);
  EXPECT_EQ(instance.preempt_delay_s, 3U);
  EXPECT_EQ(instance.auth_password, "1111");
  EXPECT_FALSE(instance.track_interface);
  EXPECT_EQ(instance.source, net::parse_ip("192.0.2.1"));
  ASSERT_EQ(instance.unicast_peers.size(), 2U);
  EXPECT_EQ(instance.unicast_peers[1], net::parse_ip("192.0.2.3"));
  EXPECT_EQ(instance.unicast_min_ttl, 1);
  EXPECT_EQ(instance.unicast_ttl, 64);
  EXPECT_TRUE(instance.lower_priority_no_advert);
  EXPECT_TRUE(instance.higher_priority_send_advert);
  EXPECT_EQ(instance.gratuitous, (VrrpGratuitous{.repeat = 2,
                                                 .delay_s = 1,
                                                 .refresh_s = 3,
                                                 .refresh_repeat = 4,
                                                 .lower_priority_repeat = 6,
                                                 .lower_priority_delay_s = 5}));
  EXPECT_EQ(instance.interfaces, (std::vector<VrrpTrack>{{"eth1", 0}, {"eth2", -10}}));
  EXPECT_EQ(instance.notify.master, "/bin/n master");
  EXPECT_EQ(instance.notify.backup, "/bin/b");
  EXPECT_EQ(instance.notify.fault, "/bin/n fault");
  EXPECT_EQ(instance.notify.stop, "/bin/n stop");
  EXPECT_EQ(instance.notify.any, "/bin/any");
}

TEST(KeepalivedVrrp, AddressesHaveTheirWords) {
  const VrrpInstance instance = instance_of(R"(
virtual_ipaddress {
  192.0.2.80
  192.0.2.81/24 brd 192.0.2.255 dev eth1 scope link label eth1:1
}
virtual_ipaddress_excluded { fd00::1 
  192.0.2.82/25 }
)");
  ASSERT_EQ(instance.addresses.size(), 2U);
  EXPECT_EQ(net::to_string(instance.addresses[0].address), "192.0.2.80/32");
  const VrrpAddress& second = instance.addresses[1];
  EXPECT_EQ(net::to_string(second.address), "192.0.2.81/24");
  EXPECT_EQ(second.interface, "eth1");
  EXPECT_EQ(second.scope, Scope::link);
  EXPECT_EQ(second.label, "eth1:1");
  ASSERT_EQ(instance.excluded_addresses.size(), 2U);
  EXPECT_EQ(net::to_string(instance.excluded_addresses[0].address), "fd00::1/128");
  EXPECT_EQ(net::to_string(instance.excluded_addresses[1].address), "192.0.2.82/25");
}

TEST(KeepalivedVrrp, VersionAndIntervalGoTogether) {
  EXPECT_EQ(with_address("advert_int 1.5").advert_interval_ms, 2000U);
  EXPECT_EQ(with_address("advert_int 0.2").advert_interval_ms, 1000U);
  EXPECT_EQ(with_address("advert_int 0.205\nversion 3").advert_interval_ms, 200U);
  EXPECT_EQ(with_address("version 3").version, 3);
  EXPECT_EQ(with_address("", "global_defs {\nvrrp_version 3\n}").version, 3);
  const VrrpInstance six = instance_of("advert_int 0.5\nvirtual_ipaddress {\nfe80::1/64\n}");
  EXPECT_EQ(six.version, 3);
  EXPECT_EQ(six.advert_interval_ms, 500U);
  EXPECT_EQ(notes_with("advert_int 1.5"),
            "k.conf:4: advert_int: VRRP version 2 has whole seconds: 2 s is used (mistake)\n");
  EXPECT_FALSE(
      with_address("version 3\nauthentication {\nauth_type PASS\nauth_pass x\n}").auth_password);
  EXPECT_EQ(notes_with("version 3\nauthentication {\nauth_pass x\n}"),
            "k.conf:5: authentication: version 3 has no authentication: ignored (mistake)\n");
}

TEST(KeepalivedVrrp, AuthenticationIsTheFirstEightCharacters) {
  EXPECT_EQ(with_address("authentication {\nauth_type PASS\nauth_pass abcdefghij\n}").auth_password,
            "abcdefgh");
  EXPECT_EQ(notes_with("authentication {\nauth_type PASS\nauth_pass abcdefghij\n}"),
            "k.conf:6: auth_pass: only the first 8 characters count\n");
  EXPECT_FALSE(with_address("authentication {\nauth_type AH\nauth_pass x\n}").auth_password);
  EXPECT_NE(notes_with("authentication {\nauth_type AH\nauth_pass x\n}")
                .find("k.conf:4: authentication: "
                      "auth_type AH is not there"),
            std::string::npos);
  EXPECT_EQ(notes_with("authentication {\nauth_type PASS\n}"),
            "k.conf:4: authentication: no auth_pass: adverts bear no authentication (mistake)\n");
}

TEST(KeepalivedVrrp, StateMasterWithoutPriorityIsTheOwner) {
  const VrrpInstance owner = with_address("state MASTER\nnopreempt");
  EXPECT_EQ(owner.priority, 255);
  EXPECT_TRUE(owner.preempt);
  EXPECT_EQ(with_address("state MASTER\npriority 101").priority, 101);
  EXPECT_EQ(with_address("state BACKUP").priority, 100);
}

TEST(KeepalivedVrrp, GlobalDefaultsHoldWhereverTheyStand) {
  const std::string globals = R"(global_defs {
  vrrp_garp_master_delay 10
  vrrp_garp_master_repeat 1
  vrrp_garp_master_refresh 60
  vrrp_garp_master_refresh_repeat 2
  vrrp_garp_lower_prio_delay 7
  vrrp_garp_lower_prio_repeat 8
  vrrp_garp_interval 0.001
  vrrp_gna_interval 0.000001
  vrrp_lower_prio_no_advert
  vrrp_higher_prio_send_advert
  vrrp_strict
  vrrp_mcast_group4 224.0.0.19
  vrrp_mcast_group6 ff02::13
  vrrp_startup_delay 5.5
  script_user nobody nogroup
  router_id LVS_1
  notify_fifo /run/all
  lvs_notify_fifo /run/lvs
  lvs_timeouts tcp 7200 tcpfin 30 udp 60
})";
  const auto conversion = converted(
      "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress "
      "{\n192.0.2.1\n}\n}\n" +
      globals);
  const Config& config = conversion.config;
  const VrrpInstance& instance = config.vrrp.instances.at(0);
  EXPECT_EQ(instance.gratuitous, (VrrpGratuitous{.repeat = 1,
                                                 .delay_s = 10,
                                                 .refresh_s = 60,
                                                 .refresh_repeat = 2,
                                                 .lower_priority_repeat = 8,
                                                 .lower_priority_delay_s = 7,
                                                 .interval_us = 1000}));
  EXPECT_TRUE(instance.lower_priority_no_advert);
  EXPECT_TRUE(instance.higher_priority_send_advert);
  EXPECT_TRUE(instance.strict);
  EXPECT_EQ(net::to_string(config.vrrp.multicast_group_v4), "224.0.0.19");
  EXPECT_EQ(net::to_string(config.vrrp.multicast_group_v6), "ff02::13");
  EXPECT_EQ(config.vrrp.startup_delay_s, 6U);
  EXPECT_EQ(config.vrrp.script_user, "nobody:nogroup");
  EXPECT_EQ(config.vrrp.router_id, "LVS_1");
  EXPECT_EQ(config.vrrp.notify_fifo, "/run/all");
  EXPECT_EQ(config.health.notify_fifo, "/run/lvs");
  EXPECT_EQ(config.timeouts.tcp_established_s, 7200U);
  EXPECT_EQ(config.timeouts.tcp_fin_wait_s, 30U);
  EXPECT_EQ(config.timeouts.udp_s, 60U);
}

TEST(KeepalivedVrrp, MinGarpIsOneWithoutARepetition) {
  const VrrpInstance instance = with_address("", "global_defs {\nvrrp_min_garp\n}");
  EXPECT_EQ(instance.gratuitous.repeat, 1U);
  EXPECT_EQ(instance.gratuitous.delay_s, 0U);
}

TEST(KeepalivedVrrp, MailGoesOutWhereAskedFor) {
  const std::string mail =
      "global_defs {\nnotification_email {\na@example.com b@example.com\n}\nsmtp_server fd00::1 "
      "2525\n"
      "smtp_connection_timeout 9\n";
  const auto all = converted(mail +
                             "smtp_alert\n}\nvrrp_instance A {\ninterface eth0\n"
                             "virtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n");
  ASSERT_TRUE(all.config.vrrp.mail);
  EXPECT_EQ(all.config.vrrp.mail->server, "[fd00::1]:2525");
  EXPECT_EQ(all.config.vrrp.mail->to, (std::vector<std::string>{"a@example.com", "b@example.com"}));
  EXPECT_EQ(all.config.vrrp.mail->from, "keepalived@localhost");
  EXPECT_EQ(all.config.vrrp.mail->connect_timeout_s, 9U);
  EXPECT_TRUE(all.config.vrrp.instances.at(0).notify.mail);
  EXPECT_FALSE(with_address("", mail + "}").notify.mail);
  EXPECT_TRUE(with_address("smtp_alert", mail + "}").notify.mail);
  EXPECT_FALSE(with_address("smtp_alert off", mail + "smtp_alert_vrrp on\n}").notify.mail);
  EXPECT_FALSE(with_address("smtp_alert").notify.mail);
  EXPECT_EQ(notes_with("smtp_alert"),
            "k.conf:4: smtp_alert: no mail is sent without notification_email and smtp_server\n");
}

TEST(KeepalivedVrrp, ScriptsFilesAndProcessesAreTrackedWithTheirWeights) {
  const auto conversion = converted(R"(
vrrp_script s {
  script "/bin/s"
  interval 2
  timeout 1.5
  weight -2
  rise 3
  fall 4
  user nobody
  init_fail
}
track_file f {
  file /run/f
  weight 10
}
vrrp_track_process p {
  process nginx
  quorum 2
  weight 20
  delay 0.5
}
vrrp_instance A {
  interface eth0
  virtual_router_id 1
  virtual_ipaddress {
    192.0.2.1
  }
  track_script {
    s
    none
  }
  track_file {
    f weight 3
  }
  track_process {
    p
  }
}
)");
  const Vrrp& vrrp = conversion.config.vrrp;
  const VrrpScript& script = vrrp.scripts.at(0);
  EXPECT_EQ(script.command, "/bin/s");
  EXPECT_EQ(script.interval_ms, 2000U);
  EXPECT_EQ(script.timeout_ms, 1500U);
  EXPECT_EQ(script.rise, 3U);
  EXPECT_EQ(script.fall, 4U);
  EXPECT_EQ(script.user, "nobody");
  EXPECT_EQ(script.start, ScriptStart::down);
  EXPECT_EQ(vrrp.files.at(0), (VrrpFile{.name = "f", .path = "/run/f"}));
  EXPECT_EQ(vrrp.processes.at(0),
            (VrrpProcess{.name = "p", .process = "nginx", .quorum = 2, .delay_ms = 500}));
  const VrrpInstance& instance = vrrp.instances.at(0);
  EXPECT_EQ(instance.scripts, (std::vector<VrrpTrack>{{"s", -2}}));
  EXPECT_EQ(instance.files, (std::vector<VrrpTrack>{{"f", 3}}));
  EXPECT_EQ(instance.processes, (std::vector<VrrpTrack>{{"p", 20}}));
}

TEST(KeepalivedVrrp, WithoutInitFailAScriptCountsAsUp) {
  EXPECT_EQ(converted("vrrp_script s {\nscript /bin/s\n}\n").config.vrrp.scripts.at(0).start,
            ScriptStart::up);
}

TEST(KeepalivedVrrp, AGroupHasItsMembersAndTheirTracks) {
  const auto conversion = converted(R"(
vrrp_sync_group G {
  group {
    A
    B
  }
  track_script {
    zero
  }
  track_interface {
    eth5
  }
  notify_master "/bin/g master"
  notify /bin/g
}
vrrp_script zero {
  script /bin/z
}
vrrp_script heavy {
  script /bin/h
  weight 5
}
vrrp_instance A {
  interface eth0
  virtual_router_id 1
  virtual_ipaddress {
    192.0.2.1
  }
  track_script {
    heavy
  }
  track_interface {
    eth1 weight 4
  }
}
vrrp_instance B {
  interface eth0
  virtual_router_id 2
  virtual_ipaddress {
    192.0.2.2
  }
}
)");
  const Vrrp& vrrp = conversion.config.vrrp;
  EXPECT_EQ(vrrp.sync_groups.at(0).instances, (std::vector<std::string>{"A", "B"}));
  EXPECT_EQ(vrrp.sync_groups.at(0).notify.master, "/bin/g master");
  EXPECT_EQ(vrrp.sync_groups.at(0).notify.any, "/bin/g");
  EXPECT_EQ(vrrp.instances.at(0).scripts, (std::vector<VrrpTrack>{{"zero", 0}}));
  EXPECT_EQ(vrrp.instances.at(0).interfaces, (std::vector<VrrpTrack>{{"eth1", 0}, {"eth5", 0}}));
  EXPECT_EQ(vrrp.instances.at(1).scripts, (std::vector<VrrpTrack>{{"zero", 0}}));
}

TEST(KeepalivedVrrp, NoPortMeansNoVirtualMac) {
  const auto conversion = keepalived::convert(
      "vrrp_instance A {\ninterface eth0\nvirtual_router_id "
      "1\nuse_vmac\nno_accept\nvirtual_ipaddress "
      "{\n192.0.2.1\n}\n}\n",
      "k.conf", {});
  ASSERT_TRUE(conversion.has_value()) << to_string(conversion.error());
  EXPECT_FALSE(conversion->config.vrrp.instances.at(0).virtual_mac);
  EXPECT_TRUE(conversion->config.vrrp.instances.at(0).accept);
  EXPECT_TRUE(conversion->config.ports.empty());
  ASSERT_EQ(conversion->notes.size(), 2U);
  EXPECT_EQ(conversion->notes[0].line, 4U);
  EXPECT_EQ(conversion->notes[1].keyword, "no_accept");
}

TEST(KeepalivedVrrp, WhatHasNoCounterpartIsNoted) {
  EXPECT_EQ(
      notes_with("virtual_routes {\n192.0.2.0/24 dev eth0\n}"),
      "k.conf:4: virtual_routes: routes and rules do not move with a virtual router: set them "
      "for good, or in notify_master\n");
  EXPECT_EQ(notes_with("debug 3"),
            "k.conf:4: debug: `log_level: debug` of a YAML file, or `headgated -v`: ignored\n");
  EXPECT_EQ(notes_with("prioritty 3"),
            "k.conf:4: prioritty: unknown keyword, ignored; did you mean priority? (mistake)\n");
  EXPECT_EQ(notes_with("native_ipv6 x"),
            "k.conf:4: native_ipv6: \"x\" is one word too many, and ignored (mistake)\n");
  EXPECT_EQ(
      notes_of("global_defs {\nenable_dbus\nlvs_sync_daemon eth0 VI_1\n}\nnothing {\n a\n}\n"),
      "k.conf:2: enable_dbus: there is no D-Bus here; see `headgate show`: ignored\n"
      "k.conf:3: lvs_sync_daemon: connections are not copied to another box: ignored\n"
      "k.conf:5: nothing: unknown keyword, ignored with its block (mistake)\n");
}

TEST(KeepalivedVrrp, EveryMistakeOfAFileIsToldInOneRun) {
  EXPECT_EQ(
      errors_with("virtual_router_id 300\npriority\nadvert_int x\nstate MASTR\nversion 4\n"
                  "virtual_ipaddress {\nbanana\n192.0.2.1/33\n}\nlower_prio_no_advert maybe"),
      "k.conf:3: virtual_router_id: \"300\" is not a whole number from 1 to 255\n"
      "k.conf:4: priority: a number is missing\n"
      "k.conf:5: advert_int: \"x\" is not a time from 0.01 to 255 seconds\n"
      "k.conf:6: state: \"MASTR\" is neither MASTER nor BACKUP\n"
      "k.conf:7: version: \"4\" is not a whole number from 2 to 3\n"
      "k.conf:9: banana: is not an address such as 192.0.2.1/24\n"
      "k.conf:10: 192.0.2.1/33: is not an address such as 192.0.2.1/24\n"
      "k.conf:12: lower_prio_no_advert: \"maybe\" is none of on, off, true, false, yes and no\n");
  EXPECT_EQ(errors_of("vrrp_instance {\n}\n"), "k.conf:1: vrrp_instance: a value is missing\n");
  EXPECT_EQ(errors_of("global_defs\n"),
            "k.conf:1: global_defs: is followed by a block in braces\n");
}

TEST(KeepalivedVrrp, WhatOnlyTheWholeShowsHasItsLine) {
  EXPECT_EQ(
      errors_of("vrrp_instance A {\n  interface eth0\n  virtual_ipaddress {\n    192.0.2.1\n  }\n"
                "}\n"),
      "k.conf:1: vrrp.instances[0].virtual_router_id: is missing: a number from 1 to 255 that its "
      "peers share\n");
  EXPECT_EQ(
      errors_of("vrrp_sync_group G {\n  group {\n    A\n    B\n  }\n}\n"),
      "k.conf:3: vrrp.sync_groups[0].instances[0]: A is no virtual router of vrrp.instances\n"
      "k.conf:4: vrrp.sync_groups[0].instances[1]: B is no virtual router of vrrp.instances\n");
}

TEST(KeepalivedVrrp, NamesAreMadeFit) {
  const auto conversion = converted(
      "vrrp_instance \"VI 1/a\" {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress "
      "{\n192.0.2.1\n}"
      "\n}\n");
  EXPECT_EQ(conversion.config.vrrp.instances.at(0).name, "VI_1_a");
  ASSERT_EQ(conversion.notes.size(), 2U);
}

}  // namespace
}  // namespace headgate::config
