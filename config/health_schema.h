// The keys of health checks, of who is told, and of the section `health`; schema.h says how such a
// list is read.
#pragma once

#include <string>

#include <fmt/format.h>

#include "config/health_codecs.h"
#include "config/health_model.h"
#include "config/limits.h"
#include "config/schema_base.h"
#include "config/vrrp_codecs.h"

namespace headgate::config {

template <>
struct Schema<CheckUrl> {
  static void fields(auto&& f) {
    f(Key{"path"}, &CheckUrl::path, http_path_text());
    f(Key{"host", "auto"}, &CheckUrl::host, http_host_text());
    f(Key{"status"}, &CheckUrl::status, StatusCodes{});
    f(Key{"digest", "none"}, &CheckUrl::digest, digest_text());
    f(Key{"regex", "none"}, &CheckUrl::regex, regex_text());
    f(Key{"regex_absent"}, &CheckUrl::regex_absent, Switch{});
  }
  static std::string label(const CheckUrl& url) { return url.path; }
};

template <>
struct Schema<CheckHttp> {
  static void fields(auto&& f) {
    f(Key{"urls"}, &CheckHttp::urls);
    f(Key{"host", "auto"}, &CheckHttp::host, http_host_text());
    f(Key{"version"}, &CheckHttp::version, Word<HttpVersion>{});
    f(Key{"server_name", "auto"}, &CheckHttp::server_name, server_name_text());
    f(Key{"verify"}, &CheckHttp::verify, Switch{});
    f(Key{"ca_file", "auto"}, &CheckHttp::ca_file, path_text());
  }
};

template <>
struct Schema<CheckUdp> {
  static void fields(auto&& f) {
    constexpr Number bytes{0, max_reply_bytes};
    f(Key{"send", "none"}, &CheckUdp::send, payload_text());
    f(Key{"expect", "none"}, &CheckUdp::expect, payload_pattern_text());
    f(Key{"require_reply"}, &CheckUdp::require_reply, Switch{});
    f(Key{"min_reply_bytes"}, &CheckUdp::min_reply_bytes, bytes);
    f(Key{"max_reply_bytes"}, &CheckUdp::max_reply_bytes, bytes);
  }
};

template <>
struct Schema<CheckDns> {
  static void fields(auto&& f) {
    f(Key{"name"}, &CheckDns::name, dns_name_text());
    f(Key{"type"}, &CheckDns::type, dns_type_text());
    f(Key{"rcode"}, &CheckDns::rcode, dns_rcode_text());
    f(Key{"answer", "none"}, &CheckDns::answer, dns_answer_text());
  }
};

template <>
struct Schema<CheckSmtp> {
  static void fields(auto&& f) { f(Key{"helo"}, &CheckSmtp::helo, helo_text()); }
};

template <>
struct Schema<CheckScript> {
  static void fields(auto&& f) {
    f(Key{"command", "none"}, &CheckScript::command, command_text());
    f(Key{"user", "auto"}, &CheckScript::user, user_text());
    f(Key{"shell"}, &CheckScript::shell, Switch{});
    f(Key{"dynamic_weight"}, &CheckScript::dynamic_weight, Switch{});
  }
};

template <>
struct Schema<Check> {
  static void fields(auto&& f) {
    constexpr Number port{1, UINT16_MAX};
    constexpr Number time{0, max_check_interval_ms};
    constexpr Number results{1, max_check_results};
    f(Key{"type"}, &Check::type, Word<CheckType>{});
    f(Key{"address", "auto"}, &Check::address, Address{});
    f(Key{"port", "auto"}, &Check::port, port);
    f(Key{"source", "auto"}, &Check::source, Address{});
    f(Key{"source_port", "auto"}, &Check::source_port, port);
    f(Key{"interface", "auto"}, &Check::interface, holding_interface_text());
    f(Key{"mark", "none"}, &Check::mark, Number{1, UINT32_MAX});
    f(Key{"data_path"}, &Check::data_path, Switch{});
    f(Key{"interval_ms"}, &Check::interval_ms,
      Number{min_check_interval_ms, max_check_interval_ms});
    f(Key{"timeout_ms"}, &Check::timeout_ms, Number{min_check_timeout_ms, max_check_interval_ms});
    f(Key{"retries"}, &Check::retries, Number{0, max_check_retries});
    f(Key{"retry_delay_ms"}, &Check::retry_delay_ms, time);
    f(Key{"warmup_ms", "auto"}, &Check::warmup_ms, time);
    f(Key{"rise"}, &Check::rise, results);
    f(Key{"fall"}, &Check::fall, results);
    f(Key{"first_failure_decides"}, &Check::first_failure_decides, Switch{});
    f(Key{"start"}, &Check::start, Word<CheckStart>{});
    f(Key{"http"}, &Check::http);
    f(Key{"udp"}, &Check::udp);
    f(Key{"dns"}, &Check::dns);
    f(Key{"smtp"}, &Check::smtp);
    f(Key{"script"}, &Check::script);
  }
  static std::string label(const Check& check) {
    const std::string_view type = name_of(check.type);
    return check.port ? fmt::format("{}:{}", type, *check.port) : std::string(type);
  }
};

template <>
struct Schema<Passive> {
  static void fields(auto&& f) {
    f(Key{"failures"}, &Passive::failures, Number{1, max_passive_failures});
    f(Key{"window_ms"}, &Passive::window_ms, Number{min_check_interval_ms, max_check_interval_ms});
  }
};

template <>
struct Schema<ServiceNotify> {
  static void fields(auto&& f) {
    f(Key{"backend_up", "none"}, &ServiceNotify::backend_up, command_text());
    f(Key{"backend_down", "none"}, &ServiceNotify::backend_down, command_text());
    f(Key{"quorum_up", "none"}, &ServiceNotify::quorum_up, command_text());
    f(Key{"quorum_down", "none"}, &ServiceNotify::quorum_down, command_text());
    f(Key{"any", "none"}, &ServiceNotify::any, command_text());
    f(Key{"user", "auto"}, &ServiceNotify::user, user_text());
    f(Key{"timeout_s"}, &ServiceNotify::timeout_s, Number{1, max_timeout_s});
    f(Key{"shell"}, &ServiceNotify::shell, Switch{});
    f(Key{"mail"}, &ServiceNotify::mail, Switch{});
    f(Key{"at_start"}, &ServiceNotify::at_start, Switch{});
    f(Key{"at_stop"}, &ServiceNotify::at_stop, Switch{});
  }
};

template <>
struct Schema<BackendNotify> {
  static void fields(auto&& f) {
    f(Key{"up", "none"}, &BackendNotify::up, command_text());
    f(Key{"down", "none"}, &BackendNotify::down, command_text());
  }
};

template <>
struct Schema<Health> {
  static void fields(auto&& f) {
    f(Key{"state_file", "auto"}, &Health::state_file, path_text());
    f(Key{"notify_fifo", "none"}, &Health::notify_fifo, path_text());
    f(Key{"scripts_at_once"}, &Health::scripts_at_once, Number{1, max_scripts_at_once});
    f(Key{"probe_network_v4", {}, Takes::restart}, &Health::probe_network_v4,
      ProbeNetwork{net::Family::ipv4});
    f(Key{"probe_network_v6", {}, Takes::restart}, &Health::probe_network_v6,
      ProbeNetwork{net::Family::ipv6});
  }
};

}  // namespace headgate::config
