// virtual_server, its groups and its real_servers.
#include <gtest/gtest.h>

#include "config/model.h"
#include "config/names.h"
#include "tests/unit/config/support_keepalived.h"

namespace headgate::config {
namespace {

std::string service_notes(const std::string& lines) {
  return notes_of("virtual_server 192.0.2.1 80 {\nprotocol TCP\n" + lines + "\n}\n");
}
std::string service_errors(const std::string& lines) {
  return errors_of("virtual_server 192.0.2.1 80 {\n" + lines + "\n}\n");
}

TEST(KeepalivedServers, DefaultsAreKeepalivedsAndNotHeadgates) {
  const Service service = service_of("real_server 10.0.0.1 80 {\nTCP_CHECK {\n}\n}");
  EXPECT_EQ(to_string(key_of(service)), "192.0.2.1:80/tcp");
  EXPECT_EQ(service.mode, Mode::nat);
  EXPECT_EQ(service.scheduler, Scheduler::wlc);
  EXPECT_FALSE(service.persistence);
  EXPECT_EQ(service.quorum, 1U);
  ASSERT_EQ(service.backends.size(), 1U);
  EXPECT_EQ(service.backends[0].weight, 1);
  ASSERT_EQ(service.checks.size(), 1U);
  const Check& check = service.checks[0];
  EXPECT_EQ(check.interval_ms, 60000U);
  EXPECT_EQ(check.timeout_ms, 5000U);
  EXPECT_EQ(check.retries, 1U);
  EXPECT_EQ(check.retry_delay_ms, 1000U);
  EXPECT_EQ(check.start, CheckStart::up);
  EXPECT_TRUE(check.first_failure_decides);
}

TEST(KeepalivedServers, WithoutAProtocolItIsUdp) {
  const auto conversion =
      converted("virtual_server 192.0.2.1 53 {\nlb_algo rr\nreal_server 10.0.0.1 53 {\n}\n}\n");
  EXPECT_EQ(conversion.config.services.at(0).protocol, Protocol::udp);
  EXPECT_EQ(
      notes_of("virtual_server 192.0.2.1 53 {\nlb_algo rr\nreal_server 10.0.0.1 53 {\n}\n}\n"),
      "k.conf:1: virtual_server: no protocol: it is UDP, as keepalived 2 takes it\n");
}

TEST(KeepalivedServers, OldAndNewNamesAreTheSame) {
  for (const char* name : {"lb_algo", "lvs_sched"}) {
    EXPECT_EQ(service_of(std::string(name) + " sed").scheduler, Scheduler::sed);
  }
  for (const char* name : {"lb_kind", "lvs_method"}) {
    EXPECT_EQ(service_of(std::string(name) + " DR").mode, Mode::dr);
    EXPECT_EQ(service_of(std::string(name) + " TUN type ipip").mode, Mode::ipip);
    EXPECT_EQ(service_of(std::string(name) + " nat").mode, Mode::nat);
  }
  EXPECT_EQ(service_of("protocol udp\nlb_algo rr").protocol, Protocol::udp);
}

TEST(KeepalivedServers, EveryScheduler) {
  for (const char* word :
       {"rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "fo", "mh", "ovf", "lblc", "lblcr"}) {
    EXPECT_EQ(name_of(service_of(std::string("lvs_sched ") + word).scheduler), word);
  }
  EXPECT_EQ(service_notes("lvs_sched twos"),
            "k.conf:3: lvs_sched: there is no scheduler twos: wlc is used\n");
  EXPECT_NE(
      service_errors("lvs_sched xyz").find("k.conf:2: lvs_sched: \"xyz\" is no scheduler: rr, "),
      std::string::npos);
}

TEST(KeepalivedServers, PersistenceIsSixMinutesWhenBareAndOffWhenZero) {
  EXPECT_EQ(service_of("persistence_timeout").persistence->timeout_s, 360U);
  EXPECT_EQ(service_of("persistence_timeout 50").persistence->timeout_s, 50U);
  EXPECT_FALSE(service_of("persistence_timeout 0").persistence);
  const Service grouped =
      service_of("persistence_timeout 50\npersistence_granularity 255.255.255.0");
  EXPECT_EQ(grouped.persistence->netmask, 24);
  EXPECT_EQ(grouped.persistence->timeout_s, 50U);
  EXPECT_EQ(service_notes("persistence_timeout 2000000"),
            "k.conf:3: persistence_timeout: 604800 s is the longest there is, and used\n");
  EXPECT_EQ(
      service_errors("persistence_timeout 99999999"),
      "k.conf:2: persistence_timeout: \"99999999\" is not a whole number from 0 to 2678400\n");
}

TEST(KeepalivedServers, AServiceInFull) {
  const Service service = service_of(R"(
lb_algo mh
mh-port
mh-fallback
lb_kind DR
quorum 2
hysteresis 1
quorum_up "/bin/q up" nobody
quorum_down "/bin/q down" nobody
inhibit_on_failure
omega
sorry_server 10.0.0.9 80
sorry_server_lvs_method NAT
real_server 10.0.0.1 80 {
  weight 5
  lvs_method TUN
  uthreshold 100
  lthreshold 50
  inhibit_on_failure no
  notify_up "/bin/up a" nobody
  notify_down /bin/down nobody
}
real_server 10.0.0.2 80 { weight 0 }
)");
  EXPECT_EQ(service.scheduler, Scheduler::mh);
  EXPECT_TRUE(service.hash_port);
  EXPECT_EQ(service.mode, Mode::dr);
  EXPECT_EQ(service.quorum, 2U);
  EXPECT_EQ(service.quorum_hysteresis, 1U);
  EXPECT_EQ(service.notify.quorum_up, "/bin/q up");
  EXPECT_EQ(service.notify.quorum_down, "/bin/q down");
  EXPECT_EQ(service.notify.user, "nobody");
  EXPECT_TRUE(service.notify.at_stop);
  EXPECT_TRUE(service.inhibit_on_failure);
  EXPECT_EQ(net::to_string(service.sorry_server->address), "10.0.0.9");
  EXPECT_EQ(service.sorry_server->mode, Mode::nat);
  ASSERT_EQ(service.backends.size(), 2U);
  const Backend& first = service.backends[0];
  EXPECT_EQ(first.weight, 5);
  EXPECT_EQ(first.mode, Mode::ipip);
  EXPECT_EQ(first.upper_threshold, 100U);
  EXPECT_EQ(first.lower_threshold, 50U);
  EXPECT_EQ(first.inhibit_on_failure, false);
  EXPECT_EQ(first.notify->up, "/bin/up a");
  EXPECT_EQ(first.notify->down, "/bin/down");
  EXPECT_EQ(service.backends[1].weight, 0);
}

TEST(KeepalivedServers, OneUserForAllCommandsOfAService) {
  EXPECT_NE(service_notes("quorum_up /bin/a nobody\nquorum_down /bin/b")
                .find("k.conf:4: quorum_down: all commands of one block run as one user here: "
                      "\"nobody\"\n"),
            std::string::npos);
}

TEST(KeepalivedServers, DrAndTunnelsKeepThePort) {
  const Service service = service_of("lb_kind DR\nreal_server 10.0.0.1 8080 {\n}");
  EXPECT_EQ(service.backends.at(0).port, 80);
  EXPECT_NE(service_notes("lb_kind DR\nreal_server 10.0.0.1 8080 {\n}")
                .find("k.conf:4: real_server: 8080 cannot be had in dr mode"),
            std::string::npos);
}

TEST(KeepalivedServers, AllPortsNeedPersistence) {
  const auto conversion = converted(
      "virtual_server 192.0.2.1 {\nprotocol TCP\npersistence_timeout\nreal_server 10.0.0.1 "
      "{\n}\n}\n");
  EXPECT_EQ(conversion.config.services.at(0).port, 0);
  EXPECT_EQ(
      errors_of("virtual_server 192.0.2.1 {\nprotocol TCP\nreal_server 10.0.0.1 {\n}\n}\n"),
      "k.conf:1: services[0].port: is missing: write the port; a service of all ports (0) needs "
      "`persistence`\n");
}

TEST(KeepalivedServers, FirewallMarks) {
  const auto four = converted("virtual_server fwmark 3 {\nreal_server 10.0.0.1 80 {\n}\n}\n");
  EXPECT_EQ(to_string(key_of(four.config.services.at(0))), "mark:3/ipv4");
  const auto six = converted("virtual_server fwmark 3 {\nreal_server fd00::1 80 {\n}\n}\n");
  EXPECT_EQ(to_string(key_of(six.config.services.at(0))), "mark:3/ipv6");
  const auto told = converted(
      "virtual_server fwmark 3 {\nip_family inet6\nlb_kind TUN\nreal_server 10.0.0.1 {\n}\n}\n");
  EXPECT_EQ(to_string(key_of(told.config.services.at(0))), "mark:3/ipv6");
}

TEST(KeepalivedServers, Ipv6) {
  const auto conversion = converted(
      "virtual_server 2001:db8::1 443 {\nprotocol TCP\nreal_server fd00::1 443 {\n}\n}\n");
  EXPECT_EQ(to_string(key_of(conversion.config.services.at(0))), "[2001:db8::1]:443/tcp");
}

TEST(KeepalivedServers, AGroupIsAServiceForEachOfItsAddresses) {
  const auto conversion = converted(R"(
virtual_server group G {
  protocol TCP
  lb_kind DR
  real_server 10.0.0.1 80 {
    TCP_CHECK {
    }
  }
}
virtual_server_group G {
  192.0.2.1 80
  192.0.2.10-12 80
  192.0.2.254-192.0.3.1 81
  198.51.100.8/30 80
  fwmark 7
}
)");
  std::string keys;
  for (const Service& service : conversion.config.services) {
    keys += to_string(key_of(service)) + " ";
    EXPECT_EQ(service.checks.size(), 1U);
    EXPECT_EQ(service.backends.size(), 1U);
    EXPECT_EQ(service.checks.at(0).port,
              service.firewall_mark ? std::optional<uint16_t>(80) : std::nullopt);
  }
  EXPECT_EQ(keys,
            "192.0.2.1:80/tcp 192.0.2.10:80/tcp 192.0.2.11:80/tcp 192.0.2.12:80/tcp "
            "192.0.2.254:81/tcp 192.0.2.255:81/tcp 192.0.3.0:81/tcp 192.0.3.1:81/tcp "
            "198.51.100.8:80/tcp 198.51.100.9:80/tcp 198.51.100.10:80/tcp 198.51.100.11:80/tcp "
            "mark:7/ipv4 ");
}

TEST(KeepalivedServers, GroupsOfIpv6AndBadOnes) {
  const auto conversion = converted(
      "virtual_server_group G {\nfd00::1-3 80\n}\nvirtual_server group G {\nprotocol TCP\n}\n");
  EXPECT_EQ(conversion.config.services.size(), 3U);
  EXPECT_EQ(
      errors_of("virtual_server_group G {\n10.0.0.9-3 80\n10.0.0.1-x\n10.0.0.0/8 80\nfwmark x\n}\n"
                "virtual_server group H {\n}\n"),
      "k.conf:2: 10.0.0.9-3: is no address, range such as 10.0.0.1-5, or network such as "
      "10.0.0.0/28\n"
      "k.conf:3: 10.0.0.1-x: is no address, range such as 10.0.0.1-5, or network such as "
      "10.0.0.0/28\n"
      "k.conf:4: 10.0.0.0/8: stands for more than 4096 addresses\n"
      "k.conf:5: fwmark: \"x\" is not a whole number from 1 to 4294967295\n"
      "k.conf:7: virtual_server: \"H\" is no virtual_server_group\n");
}

TEST(KeepalivedServers, AGroupThatIsTooLargeIsRefused) {
  EXPECT_EQ(
      errors_of(
          "virtual_server_group G {\n10.0.0.0/20 80\n10.1.0.0/20 80\n10.2.0.0/20 80\n10.3.0.0/20 "
          "80\n10.4.0.0/20 80\n}\nvirtual_server group G {\nprotocol TCP\n}\n"),
      "k.conf:8: virtual_server: more than 16384 services or 65536 backends, each address of a "
      "group "
      "counted: `memory.max_services` and `max_backends` of a YAML file make room for more\n");
}

TEST(KeepalivedServers, FullnatHasItsLocalAddresses) {
  const auto conversion = converted(R"(
local_address_group L {
  10.0.0.200-202
  10.0.0.210
}
virtual_server 192.0.2.1 80 {
  protocol TCP
  lb_kind FNAT
  laddr_group_name L
  real_server 10.0.0.1 8080 {
  }
}
)");
  EXPECT_EQ(conversion.config.services.at(0).mode, Mode::fullnat);
  EXPECT_EQ(conversion.config.services.at(0).local_addresses.size(), 4U);
  EXPECT_EQ(conversion.config.services.at(0).backends.at(0).port, 8080);
  EXPECT_EQ(service_errors("protocol TCP\nlb_kind FULLNAT\nreal_server 10.0.0.1 80 {\n}"),
            "k.conf:1: services[0].local_addresses: no ipv4 address, which fullnat needs as source "
            "towards the backends: set them here or in forwarding.local_addresses\n");
  EXPECT_EQ(service_errors("laddr_group_name L"),
            "k.conf:2: laddr_group_name: \"L\" is no local_address_group\n");
}

TEST(KeepalivedServers, OnePacketScheduling) {
  EXPECT_TRUE(service_of("protocol UDP\nlb_algo rr\nops").one_packet);
  EXPECT_NE(
      service_errors("protocol TCP\nops").find("k.conf:3: services[0].one_packet: is for UDP"),
      std::string::npos);
}

TEST(KeepalivedServers, WhatCannotBeForwardedIsAnError) {
  EXPECT_EQ(
      service_errors("protocol SCTP"),
      "k.conf:2: protocol: SCTP is not forwarded by headgate: take the virtual_server out, or "
      "mark its lines with @^headgate\n");
  EXPECT_EQ(service_errors("lb_kind TUN type gue port 6080"),
            "k.conf:2: lb_kind: tunnels are IP in IP here, \"gue\" is not there\n");
  EXPECT_EQ(service_errors("lb_kind WAT"),
            "k.conf:2: lb_kind: \"WAT\" is none of NAT, DR, TUN and FNAT\n");
}

TEST(KeepalivedServers, ASorryServerOnThisBoxGetsThePacketsAsTheyCame) {
  const std::string note =
      "127.0.0.1 is this box itself: it gets the packets as they came, so the program there has to "
      "listen at the virtual address, or at all of them";
  EXPECT_EQ(service_of("lb_kind DR\nsorry_server 127.0.0.1 80").sorry_server->mode, std::nullopt);
  EXPECT_EQ(service_notes("lb_kind DR\nsorry_server 127.0.0.1 80"),
            "k.conf:4: sorry_server: " + note + "\n");
  EXPECT_EQ(service_of("lb_kind NAT\nsorry_server 127.0.0.1 80").sorry_server->mode, Mode::dr);
  EXPECT_EQ(service_notes("lb_kind NAT\nsorry_server 127.0.0.1 80"),
            "k.conf:4: sorry_server: " + note + "\n");
  const Service service = service_of("lb_kind DR\nsorry_server 10.0.0.9");
  EXPECT_EQ(service.sorry_server->port, 80);
}

TEST(KeepalivedServers, DifferencesAreNotedOnce) {
  const std::string text =
      "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlvs_sched sh\n}\n"
      "virtual_server 192.0.2.2 80 {\nprotocol TCP\nlvs_sched mh\n}\n"
      "virtual_server 192.0.2.3 80 {\nprotocol UDP\nlvs_sched wlc\n}\n"
      "virtual_server 192.0.2.4 80 {\nprotocol UDP\nlvs_sched sed\n}\n";
  EXPECT_EQ(
      notes_of(text),
      "k.conf:1: virtual_server: a client whose backend cannot take it goes to another one here, "
      "as with `sh-fallback`; `fallback: off` refuses it, as IPVS without that flag\n"
      "k.conf:9: virtual_server: UDP flows count as active connections here, so that they spread; "
      "`udp_counts_as_active: off` for the way of IPVS\n");
  EXPECT_EQ(service_notes("lvs_sched sh\nsh-fallback"), "");
}

TEST(KeepalivedServers, MailOfBackendsIsOnUnlessSomethingSaysOtherwise) {
  const std::string mail =
      "global_defs {\nnotification_email {\na@example.com\n}\nnotification_email_from "
      "b@example.com\n"
      "smtp_server 127.0.0.1\n";
  const auto mails = [&](const std::string& globals, const std::string& lines) {
    return converted(mail + globals + "}\nvirtual_server 192.0.2.1 80 {\nprotocol TCP\n" + lines +
                     "\n}\n")
        .config.services.at(0)
        .notify.mail;
  };
  EXPECT_TRUE(mails("", ""));
  EXPECT_FALSE(mails("smtp_alert off\n", ""));
  EXPECT_TRUE(mails("smtp_alert off\n", "smtp_alert"));
  EXPECT_TRUE(mails("smtp_alert_checker off\n", "real_server 10.0.0.1 80 {\nsmtp_alert\n}"));
  EXPECT_FALSE(mails("", "real_server 10.0.0.1 80 {\nsmtp_alert off\n}"));
  EXPECT_FALSE(service_of("").notify.mail);
}

TEST(KeepalivedServers, InitNotifies) {
  const auto conversion = converted(
      "virtual_server 192.0.2.1 80 {\nprotocol TCP\n}\nglobal_defs {\nrs_init_notifies\n}\n");
  EXPECT_TRUE(conversion.config.services.at(0).notify.at_start);
}

TEST(KeepalivedServers, WhatHasNoCounterpartIsNoted) {
  EXPECT_EQ(service_notes(
                "nat_mask 255.255.255.0\nha_suspend\nreal_server 10.0.0.1 80 {\nsnmp_name x\n}\n"
                "quorumm 2"),
            "k.conf:3: nat_mask: has had no effect in LVS since long: ignored\n"
            "k.conf:4: ha_suspend: checks go on while another router is master: ignored\n"
            "k.conf:6: snmp_name: there is no SNMP here: ignored\n"
            "k.conf:8: quorumm: unknown keyword, ignored; did you mean quorum? (mistake)\n");
}

TEST(KeepalivedServers, EveryMistakeOfAFileIsToldInOneRun) {
  EXPECT_EQ(service_errors("quorum x\nreal_server 10.0.0.1 99999 {\nweight 70000\nuthreshold\n}\n"
                           "real_server nowhere 80 {\n}\nsorry_server"),
            "k.conf:2: quorum: \"x\" is not a whole number from 1 to 4294770690\n"
            "k.conf:3: real_server: \"99999\" is not a whole number from 0 to 65535\n"
            "k.conf:4: weight: \"70000\" is not a whole number from 0 to 65535\n"
            "k.conf:5: uthreshold: a number is missing\n"
            "k.conf:7: real_server: \"nowhere\" is not an IPv4 or IPv6 address\n"
            "k.conf:9: sorry_server: an address is missing\n");
  EXPECT_EQ(
      errors_of("virtual_server {\n}\nvirtual_server 1.2.3 80 {\n}\nvirtual_server fwmark {\n}\n"
                "virtual_server group {\n}\n"),
      "k.conf:1: virtual_server: a value is missing\n"
      "k.conf:3: virtual_server: \"1.2.3\" is not an IPv4 or IPv6 address\n"
      "k.conf:5: virtual_server: a number is missing\n"
      "k.conf:7: virtual_server: a value is missing\n");
}

TEST(KeepalivedServers, WhatOnlyTheWholeShowsHasItsLine) {
  EXPECT_EQ(
      service_errors("protocol TCP\nreal_server 10.0.0.1 80 {\n}\nreal_server 10.0.0.1 80 {\n}"),
      "k.conf:5: services[0].backends[1].address: 10.0.0.1:80 is backends[0] already: keep one and "
      "set its weight\n");
  EXPECT_EQ(service_errors("protocol TCP\nreal_server 10.0.0.1 80 {\nlthreshold 5\n}"),
            "k.conf:4: services[0].backends[0].lower_threshold: has no meaning without "
            "`upper_threshold`\n");
}

}  // namespace
}  // namespace headgate::config
