// The keys of the section `vrrp`; schema.h says how such a list is read.
#pragma once

#include <string>

#include "config/limits.h"
#include "config/schema_base.h"
#include "config/vrrp_codecs.h"
#include "config/vrrp_model.h"

namespace headgate::config {

template <>
struct Schema<VrrpAddress> {
  static void fields(auto&& f) {
    f(Key{"address"}, &VrrpAddress::address, InterfaceAddress{});
    f(Key{"interface", "auto"}, &VrrpAddress::interface, holding_interface_text());
    f(Key{"label", "none"}, &VrrpAddress::label, address_label_text());
    f(Key{"scope"}, &VrrpAddress::scope, Word<Scope>{});
  }
  static std::string label(const VrrpAddress& address) { return net::to_string(address.address); }
};

template <>
struct Schema<VrrpNotify> {
  static void fields(auto&& f) {
    f(Key{"master", "none"}, &VrrpNotify::master, command_text());
    f(Key{"backup", "none"}, &VrrpNotify::backup, command_text());
    f(Key{"fault", "none"}, &VrrpNotify::fault, command_text());
    f(Key{"stop", "none"}, &VrrpNotify::stop, command_text());
    f(Key{"any", "none"}, &VrrpNotify::any, command_text());
    f(Key{"user", "auto"}, &VrrpNotify::user, user_text());
    f(Key{"timeout_s"}, &VrrpNotify::timeout_s, Number{1, max_timeout_s});
    f(Key{"shell"}, &VrrpNotify::shell, Switch{});
    f(Key{"mail"}, &VrrpNotify::mail, Switch{});
  }
};

template <>
struct Schema<VrrpTrack> {
  static void fields(auto&& f) {
    f(Key{"name"}, &VrrpTrack::name, tracked_text());
    f(Key{"weight"}, &VrrpTrack::weight, SignedNumber{-max_track_weight, max_track_weight});
  }
  static std::string label(const VrrpTrack& track) { return track.name; }
};

template <>
struct Schema<VrrpGratuitous> {
  static void fields(auto&& f) {
    constexpr Number delay{0, max_gratuitous_delay_s};
    constexpr Number at_least_one{1, max_gratuitous_repeat};
    f(Key{"repeat"}, &VrrpGratuitous::repeat, at_least_one);
    f(Key{"delay_s"}, &VrrpGratuitous::delay_s, delay);
    f(Key{"refresh_s"}, &VrrpGratuitous::refresh_s, Number{0, max_gratuitous_refresh_s});
    f(Key{"refresh_repeat"}, &VrrpGratuitous::refresh_repeat, at_least_one);
    f(Key{"lower_priority_repeat", "auto"}, &VrrpGratuitous::lower_priority_repeat,
      Number{0, max_gratuitous_repeat});
    f(Key{"lower_priority_delay_s", "auto"}, &VrrpGratuitous::lower_priority_delay_s, delay);
    f(Key{"interval_us"}, &VrrpGratuitous::interval_us, Number{0, max_gratuitous_interval_us});
  }
};

template <>
struct Schema<VrrpInstance> {
  static void fields(auto&& f) {
    constexpr Number ttl{1, UINT8_MAX};
    f(Key{"name"}, &VrrpInstance::name, label_text());
    f(Key{"interface"}, &VrrpInstance::interface, interface_text());
    f(Key{"virtual_router_id"}, &VrrpInstance::virtual_router_id, Number{1, max_virtual_router_id});
    f(Key{"version"}, &VrrpInstance::version, Number{2, 3});
    f(Key{"priority"}, &VrrpInstance::priority, Number{1, max_priority});
    f(Key{"advert_interval_ms"}, &VrrpInstance::advert_interval_ms,
      Number{min_advert_interval_ms, max_v2_advert_interval_ms});
    f(Key{"preempt"}, &VrrpInstance::preempt, Switch{});
    f(Key{"preempt_delay_s"}, &VrrpInstance::preempt_delay_s, Number{0, max_preempt_delay_s});
    f(Key{"auth_password", "none"}, &VrrpInstance::auth_password, auth_password_text());
    f(Key{"source", "auto"}, &VrrpInstance::source, Address{});
    f(Key{"unicast_peers"}, &VrrpInstance::unicast_peers, Address{});
    f(Key{"unicast_ttl"}, &VrrpInstance::unicast_ttl, ttl);
    f(Key{"unicast_min_ttl"}, &VrrpInstance::unicast_min_ttl, ttl);
    f(Key{"virtual_mac"}, &VrrpInstance::virtual_mac, Switch{});
    f(Key{"accept"}, &VrrpInstance::accept, Switch{});
    f(Key{"strict"}, &VrrpInstance::strict, Switch{});
    f(Key{"checksum_pseudo_header"}, &VrrpInstance::checksum_pseudo_header, Switch{});
    f(Key{"lower_priority_no_advert"}, &VrrpInstance::lower_priority_no_advert, Switch{});
    f(Key{"higher_priority_send_advert"}, &VrrpInstance::higher_priority_send_advert, Switch{});
    f(Key{"gratuitous"}, &VrrpInstance::gratuitous);
    f(Key{"addresses"}, &VrrpInstance::addresses);
    f(Key{"excluded_addresses"}, &VrrpInstance::excluded_addresses);
    f(Key{"track_interface"}, &VrrpInstance::track_interface, Switch{});
    f(Key{"track_workers"}, &VrrpInstance::track_workers, Switch{});
    f(Key{"interfaces"}, &VrrpInstance::interfaces);
    f(Key{"scripts"}, &VrrpInstance::scripts);
    f(Key{"files"}, &VrrpInstance::files);
    f(Key{"processes"}, &VrrpInstance::processes);
    f(Key{"services"}, &VrrpInstance::services);
    f(Key{"notify"}, &VrrpInstance::notify);
  }
  static std::string label(const VrrpInstance& instance) { return instance.name; }
};

template <>
struct Schema<VrrpSyncGroup> {
  static void fields(auto&& f) {
    f(Key{"name"}, &VrrpSyncGroup::name, label_text());
    f(Key{"instances"}, &VrrpSyncGroup::instances, label_text());
    f(Key{"notify"}, &VrrpSyncGroup::notify);
  }
  static std::string label(const VrrpSyncGroup& group) { return group.name; }
};

template <>
struct Schema<VrrpScript> {
  static void fields(auto&& f) {
    constexpr Number interval{min_script_interval_ms, max_script_interval_ms};
    f(Key{"name"}, &VrrpScript::name, label_text());
    f(Key{"command"}, &VrrpScript::command, command_text());
    f(Key{"interval_ms"}, &VrrpScript::interval_ms, interval);
    f(Key{"timeout_ms", "auto"}, &VrrpScript::timeout_ms, interval);
    f(Key{"rise"}, &VrrpScript::rise, Number{1, max_script_results});
    f(Key{"fall"}, &VrrpScript::fall, Number{1, max_script_results});
    f(Key{"start"}, &VrrpScript::start, Word<ScriptStart>{});
    f(Key{"user", "auto"}, &VrrpScript::user, user_text());
    f(Key{"shell"}, &VrrpScript::shell, Switch{});
  }
  static std::string label(const VrrpScript& script) { return script.name; }
};

template <>
struct Schema<VrrpFile> {
  static void fields(auto&& f) {
    f(Key{"name"}, &VrrpFile::name, label_text());
    f(Key{"path"}, &VrrpFile::path, path_text());
  }
  static std::string label(const VrrpFile& file) { return file.name; }
};

template <>
struct Schema<VrrpProcess> {
  static void fields(auto&& f) {
    f(Key{"name"}, &VrrpProcess::name, label_text());
    f(Key{"process"}, &VrrpProcess::process, program_text());
    f(Key{"quorum"}, &VrrpProcess::quorum, Number{1, max_processes});
    f(Key{"delay_ms"}, &VrrpProcess::delay_ms, Number{0, max_process_delay_ms});
  }
  static std::string label(const VrrpProcess& process) { return process.name; }
};

template <>
struct Schema<Mail> {
  static void fields(auto&& f) {
    f(Key{"server"}, &Mail::server, host_port_text());
    f(Key{"from"}, &Mail::from, mail_address_text());
    f(Key{"to"}, &Mail::to, mail_address_text());
    f(Key{"connect_timeout_s"}, &Mail::connect_timeout_s, Number{1, max_mail_timeout_s});
  }
};

template <>
struct Schema<Vrrp> {
  static void fields(auto&& f) {
    f(Key{"router_id", "auto"}, &Vrrp::router_id, router_id_text());
    f(Key{"script_user", "auto"}, &Vrrp::script_user, user_text());
    f(Key{"notify_fifo", "none"}, &Vrrp::notify_fifo, path_text());
    f(Key{"startup_delay_s"}, &Vrrp::startup_delay_s, Number{0, max_startup_delay_s});
    f(Key{"multicast_group_v4"}, &Vrrp::multicast_group_v4, MulticastGroup{net::Family::ipv4});
    f(Key{"multicast_group_v6"}, &Vrrp::multicast_group_v6, MulticastGroup{net::Family::ipv6});
    f(Key{"mail", "none"}, &Vrrp::mail);
    f(Key{"scripts"}, &Vrrp::scripts);
    f(Key{"files"}, &Vrrp::files);
    f(Key{"processes"}, &Vrrp::processes);
    f(Key{"instances"}, &Vrrp::instances);
    f(Key{"sync_groups"}, &Vrrp::sync_groups);
  }
};

}  // namespace headgate::config
