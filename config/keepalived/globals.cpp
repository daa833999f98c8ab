// global_defs: defaults of virtual routers, mail, scripts' users, time-outs.
#include <algorithm>
#include <array>
#include <type_traits>

#include <fmt/format.h>

#include "config/keepalived/commands.h"
#include "config/keepalived/sections.h"
#include "config/keepalived/values.h"
#include "config/limits.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

constexpr std::string_view own_process = "headgate is one process with threads of its own: ignored";
constexpr std::string_view no_firewall = "headgate needs no firewall rules of its own: ignored";
constexpr std::string_view no_snmp = "there is no SNMP here; see `headgate show`: ignored";
constexpr std::string_view no_dbus = "there is no D-Bus here; see `headgate show`: ignored";
constexpr std::string_view own_buffers = "sockets have buffers of their own size here: ignored";
constexpr std::string_view no_reload_aid =
    "a reload here is checked first and is all or nothing: ignored";

struct GlobalSection {
  Draft& draft;
  std::string path = "vrrp";
};

Mail& mail_of(GlobalSection& section) {
  auto& mail = section.draft.config.vrrp.mail;
  return mail ? *mail : mail.emplace();
}

void read_recipients(GlobalSection& section, const Statement& statement) {
  Mail& mail = mail_of(section);
  for (const Statement& line : statement.children) {
    for (const Word& word : line.words) {
      section.draft.place(fmt::format("vrrp.mail.to[{}]", mail.to.size()), line);
      mail.to.push_back(word.text);
    }
  }
  section.draft.place("vrrp.mail.to", statement);
}

void read_smtp_server(GlobalSection& section, const Statement& statement) {
  const auto host = text(section.draft, statement);
  if (!host) return;
  section.draft.place("vrrp.mail.server", statement);
  Mail& mail = mail_of(section);
  const auto address = net::parse_ip(*host);
  mail.server = address && address->is_v6() ? "[" + *host + "]" : *host;
  if (statement.words.size() > 2) {
    if (const auto value = port(section.draft, statement, 2))
      mail.server += fmt::format(":{}", *value);
  }
  only(section.draft, statement, 3);
}

void read_timeouts(GlobalSection& section, const Statement& statement) {
  Timeouts& timeouts = section.draft.config.timeouts;
  section.draft.place("timeouts", statement);
  for (size_t i = 1; i + 1 < statement.words.size() + 1; i += 2) {
    const std::string& name = statement.words[i].text;
    const auto value = number(section.draft, statement, 1, max_timeout_s, i + 1);
    if (!value) return;
    if (name == "tcp") {
      timeouts.tcp_established_s = static_cast<uint32_t>(*value);
    } else if (name == "tcpfin") {
      timeouts.tcp_fin_wait_s = static_cast<uint32_t>(*value);
    } else if (name == "udp") {
      timeouts.udp_s = static_cast<uint32_t>(*value);
    } else {
      section.draft.error(statement,
                          fmt::format("{} is none of tcp, tcpfin and udp", in_quotes(name)));
    }
  }
}

template <bool vrrp, bool checks>
void read_fifo(GlobalSection& section, const Statement& statement) {
  const auto name = text(section.draft, statement);
  if (!name) return;
  if (statement.words.size() > 2) {
    section.draft.note(statement, "the pipe belongs to the user that headgated runs as");
  }
  if (vrrp) section.draft.config.vrrp.notify_fifo = *name;
  if (checks) section.draft.config.health.notify_fifo = *name;
  if (vrrp) section.draft.place("vrrp.notify_fifo", statement);
  if (checks) section.draft.place("health.notify_fifo", statement);
}

// A number of the announcements of all virtual routers.
template <auto Member>
void gratuitous(GlobalSection& section, const Statement& statement, uint32_t min, uint32_t max) {
  only(section.draft, statement, 2);
  const auto value = number(section.draft, statement, min, max);
  if (value) section.draft.globals.gratuitous.*Member = static_cast<uint32_t>(*value);
}

// The pause between two announcements, seconds with a fraction.
void read_interval(GlobalSection& section, const Statement& statement) {
  only(section.draft, statement, 2);
  const auto value = seconds(section.draft, statement, 1'000'000, 0, max_gratuitous_interval_us);
  if (!value) return;
  uint32_t& interval = section.draft.globals.gratuitous.interval_us;
  if (interval != 0 && interval != *value) {
    section.draft.note(statement, "ARP and ND share one interval here: the longer is used");
  }
  interval = std::max(interval, static_cast<uint32_t>(*value));
}

template <auto Member>
void flag(GlobalSection& section, const Statement& statement) {
  const auto value = boolean(section.draft, statement);
  auto& member = section.draft.globals.*Member;
  if constexpr (std::is_same_v<decltype(member), bool&>) {
    member = value.value_or(member);
  } else {
    member = value;
  }
}

template <auto Member>
void group(GlobalSection& section, const Statement& statement) {
  only(section.draft, statement, 2);
  if (const auto value = address(section.draft, statement)) {
    section.draft.config.vrrp.*Member = *value;
  }
}

using Global = Keyword<GlobalSection>;
constexpr auto globals = std::to_array<Global>({
    {"router_id",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.draft.config.vrrp.router_id = text(s.draft, st);
       s.draft.place("vrrp.router_id", st);
     }},
    {"notification_email", read_recipients},
    {"notification_email_from",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       mail_of(s).from = text(s.draft, st).value_or("");
       s.draft.place("vrrp.mail.from", st);
     }},
    {"smtp_server", read_smtp_server},
    {"smtp_connect_timeout",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto value = number(s.draft, st, 1, max_mail_timeout_s);
       if (value) mail_of(s).connect_timeout_s = static_cast<uint32_t>(*value);
     }},
    {"smtp_connection_timeout",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto value = number(s.draft, st, 1, max_mail_timeout_s);
       if (value) mail_of(s).connect_timeout_s = static_cast<uint32_t>(*value);
     }},
    {"smtp_alert", flag<&Globals::mail>},
    {"smtp_alert_vrrp", flag<&Globals::vrrp_mail>},
    {"smtp_alert_checker", flag<&Globals::checker_mail>},
    {"script_user",
     [](GlobalSection& s, const Statement& st) {
       if (!text(s.draft, st)) return;
       s.draft.config.vrrp.script_user = user(s.draft, st, 1);
       s.draft.place("vrrp.script_user", st);
     }},
    {"enable_script_security",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.draft.note(st, "scripts run as script_user says; who may write to them is not looked at");
     }},
    {"vrrp_version",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto version = number(s.draft, st, 2, 3);
       if (version) s.draft.globals.version = static_cast<uint8_t>(*version);
     }},
    {"vrrp_garp_master_delay",
     [](GlobalSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::delay_s>(s, st, 0, max_gratuitous_delay_s);
     }},
    {"vrrp_garp_master_repeat",
     [](GlobalSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::repeat>(s, st, 1, max_gratuitous_repeat);
     }},
    {"vrrp_garp_master_refresh",
     [](GlobalSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::refresh_s>(s, st, 0, max_gratuitous_refresh_s);
     }},
    {"vrrp_garp_master_refresh_repeat",
     [](GlobalSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::refresh_repeat>(s, st, 1, max_gratuitous_repeat);
     }},
    {"vrrp_garp_lower_prio_delay",
     [](GlobalSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::lower_priority_delay_s>(s, st, 0, max_gratuitous_delay_s);
     }},
    {"vrrp_garp_lower_prio_repeat",
     [](GlobalSection& s, const Statement& st) {
       gratuitous<&VrrpGratuitous::lower_priority_repeat>(s, st, 0, max_gratuitous_repeat);
     }},
    {"vrrp_garp_interval", read_interval},
    {"vrrp_gna_interval", read_interval},
    {"vrrp_min_garp",
     [](GlobalSection& s, const Statement& st) {
       if (!boolean(s.draft, st).value_or(false)) return;
       s.draft.globals.gratuitous.repeat = 1;
       s.draft.globals.gratuitous.delay_s = 0;
     }},
    {"vrrp_lower_prio_no_advert", flag<&Globals::lower_priority_no_advert>},
    {"vrrp_higher_prio_send_advert", flag<&Globals::higher_priority_send_advert>},
    {"vrrp_strict", flag<&Globals::strict>},
    {"vrrp_skip_check_adv_addr",
     [](GlobalSection& s, const Statement& st) {
       if (!boolean(s.draft, st).value_or(true)) return;
       s.draft.note(st, "adverts with other addresses count here anyway; `vrrp_strict` drops them");
     }},
    {"vrrp_check_unicast_src",  // what is done always
     [](GlobalSection& s, const Statement& st) { only(s.draft, st, 1); }},
    {"vrrp_mcast_group4", group<&Vrrp::multicast_group_v4>},
    {"vrrp_mcast_group6", group<&Vrrp::multicast_group_v6>},
    {"vrrp_startup_delay",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto value = whole_seconds(s.draft, st, max_startup_delay_s);
       if (value) s.draft.config.vrrp.startup_delay_s = *value;
     }},
    {"notify_fifo", read_fifo<true, true>},
    {"vrrp_notify_fifo", read_fifo<true, false>},
    {"lvs_notify_fifo", read_fifo<false, true>},
    {"lvs_timeouts", read_timeouts},
    {"rs_init_notifies",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.draft.globals.init_notifies = true;
     }},
    {"default_interface",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto name = text(s.draft, st)) s.draft.globals.default_interface = *name;
     }},
    {"lvs_flush", [](GlobalSection& s, const Statement& st) { only(s.draft, st, 1); }},
    {"lvs_flush_on_stop", [](GlobalSection& s, const Statement& st) { only(s.draft, st, 2); }},
    {"instance",
     [](GlobalSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto name = text(s.draft, st)) s.draft.config.daemon.name = *name;
       s.draft.place("daemon.name", st);
     }},
});

constexpr auto unsupported = std::to_array<Unsupported>({
    {"startup_script", "not run: start it before headgated, with systemd's ExecStartPre for one"},
    {"startup_script_timeout", "there is no startup script here: ignored"},
    {"shutdown_script", "not run: start it after headgated, with systemd's ExecStopPost for one"},
    {"shutdown_script_timeout", "there is no shutdown script here: ignored"},
    {"notify_fifo_script", "not run: start it beside headgated, reading from the pipe"},
    {"vrrp_notify_fifo_script", "not run: start it beside headgated, reading from the pipe"},
    {"lvs_notify_fifo_script", "not run: start it beside headgated, reading from the pipe"},
    {"fifo_write_vrrp_states_on_reload", "a reload writes changes only: ignored"},
    {"lvs_sync_daemon", "connections are not copied to another box: ignored"},
    {"smtp_helo_name", "mails say the host's own name: ignored"},
    {"no_email_faults", "mails of FAULT are sent as well: ignored"},
    {"no_checker_emails", "mails tell of backends and quorums, never of single checks: ignored"},
    {"checker_log_all_failures", "`headgate show checks` has every failure: ignored"},
    {"vrrp_notify_priority_changes", "priorities are seen by `headgate show vrrp`: ignored"},
    {"vrrp_down_timer_adverts", "three intervals always, as the RFC says: ignored"},
    {"vrrp_garp_extra_if", "interfaces of addresses get all announcements anyway: ignored"},
    {"vrrp_iptables", no_firewall},
    {"vrrp_ipsets", no_firewall},
    {"nftables", no_firewall},
    {"nftables_priority", no_firewall},
    {"nftables_counters", no_firewall},
    {"nftables_ifindex", no_firewall},
    {"nftables_ipvs", "groups need no marks here, each address is a service: ignored"},
    {"nftables_ipvs_priority", no_firewall},
    {"nftables_ipvs_start_fwmark", no_firewall},
    {"disable_local_igmp", "the kernel's settings are left as they are: ignored"},
    {"vmac_prefix", "a virtual MAC needs no interface of its own here: ignored"},
    {"vmac_addr_prefix", "a virtual MAC needs no interface of its own here: ignored"},
    {"log_unknown_vrids", "`headgate show vrrp` counts what was discarded: ignored"},
    {"dynamic_interfaces", "interfaces may come and go here at any time: ignored"},
    {"net_namespace", "start headgated in the namespace: `ip netns exec`: ignored"},
    {"net_namespace_ipvs", "start headgated in the namespace: `ip netns exec`: ignored"},
    {"namespace_with_ipsets", no_firewall},
    {"use_pid_dir", own_process},
    {"linkbeat_use_polling", "the kernel's own state of a link counts: ignored"},
    {"child_wait_time", own_process},
    {"tmp_config_directory", own_process},
    {"config_save_dir", "`headgate show config` has what runs: ignored"},
    {"process_names", own_process},
    {"process_name", own_process},
    {"vrrp_process_name", own_process},
    {"checker_process_name", own_process},
    {"bfd_process_name", own_process},
    {"max_auto_priority", own_process},
    {"min_auto_priority_delay", own_process},
    {"vrrp_priority", own_process},
    {"checker_priority", own_process},
    {"bfd_priority", own_process},
    {"vrrp_no_swap", own_process},
    {"checker_no_swap", own_process},
    {"bfd_no_swap", own_process},
    {"vrrp_cpu_affinity", "cores are chosen by `workers.cores` of a YAML file: ignored"},
    {"checker_cpu_affinity", "cores are chosen by `workers.cores` of a YAML file: ignored"},
    {"bfd_cpu_affinity", own_process},
    {"vrrp_rt_priority", "VRRP's thread takes real-time priority by itself: ignored"},
    {"checker_rt_priority", own_process},
    {"bfd_rt_priority", own_process},
    {"vrrp_rlimit_rttime", own_process},
    {"vrrp_rlimit_rtime", own_process},
    {"checker_rlimit_rttime", own_process},
    {"bfd_rlimit_rttime", own_process},
    {"snmp_socket", no_snmp},
    {"enable_snmp_vrrp", no_snmp},
    {"enable_snmp_keepalived", no_snmp},
    {"enable_snmp_checker", no_snmp},
    {"enable_snmp_rfc", no_snmp},
    {"enable_snmp_rfcv2", no_snmp},
    {"enable_snmp_rfcv3", no_snmp},
    {"enable_traps", no_snmp},
    {"enable_dbus", no_dbus},
    {"dbus_service_name", no_dbus},
    {"vrrp_netlink_cmd_rcv_bufs", own_buffers},
    {"vrrp_netlink_cmd_rcv_bufs_force", own_buffers},
    {"vrrp_netlink_monitor_rcv_bufs", own_buffers},
    {"vrrp_netlink_monitor_rcv_bufs_force", own_buffers},
    {"lvs_netlink_cmd_rcv_bufs", own_buffers},
    {"lvs_netlink_cmd_rcv_bufs_force", own_buffers},
    {"lvs_netlink_monitor_rcv_bufs", own_buffers},
    {"lvs_netlink_monitor_rcv_bufs_force", own_buffers},
    {"process_monitor_rcv_bufs", own_buffers},
    {"process_monitor_rcv_bufs_force", own_buffers},
    {"vrrp_rx_bufs_policy", own_buffers},
    {"vrrp_rx_bufs_multiplier", own_buffers},
    {"umask", "files have modes of their own here, see `daemon.socket_mode`: ignored"},
    {"random_seed", "there is no ${_RANDOM} here: ignored"},
    {"reload_check_config", no_reload_aid},
    {"reload_time_file", "reload at a time with at(1) and `headgate reload`: ignored"},
    {"reload_repeat", "reload at a time with cron and `headgate reload`: ignored"},
    {"reload_file", no_reload_aid},
    {"include_check", "`includer`, `includem` and so on fail for what is missing: ignored"},
    {"data_use_instance", "`headgate show` has what keepalived writes to .data files: ignored"},
});

}  // namespace

void read_globals(Draft& draft, const Statement& block) {
  GlobalSection section{.draft = draft};
  only(draft, Statement{block.place, block.words, false, {}}, 1);
  draft.place("vrrp.mail", block);
  read_section<GlobalSection>(section, block.children, globals, unsupported);
}

void complete_mail(Draft& draft, const Statement& block) {
  auto& mail = draft.config.vrrp.mail;
  if (!mail) return;
  if (mail->to.empty() || mail->server.empty()) {
    draft.note(block,
               fmt::format("no mail is sent without {}",
                           mail->to.empty() ? "notification_email" : "smtp_server"),
               "vrrp");
    mail.reset();
  } else if (mail->from.empty()) {
    mail->from = "keepalived@localhost";
    draft.note(block, "no notification_email_from: mails come from keepalived@localhost",
               "vrrp.mail");
  }
}

}  // namespace headgate::config::keepalived
