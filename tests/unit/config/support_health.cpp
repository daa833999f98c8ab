// Random health checks that validate() has nothing against.
#include <fmt/format.h>

#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

using Random = std::mt19937;

uint32_t pick(Random& random, uint32_t low, uint32_t high) {
  return std::uniform_int_distribution<uint32_t>(low, high)(random);
}
bool half(Random& random) {
  return pick(random, 0, 1) == 1;
}

template <typename T>
void maybe(Random& random, T& out, auto value) {
  if (half(random)) out = value;
}
template <typename T>
void maybe_number(Random& random, T& out, uint32_t low, uint32_t high) {
  if (half(random)) out = static_cast<uint16_t>(pick(random, low, high));
}

CheckUrl random_url(Random& random) {
  CheckUrl url;
  maybe(random, url.path, "/a?b=c&d=%20#e");
  maybe(random, url.host, "[fd00::1]:8080");
  for (uint32_t i = pick(random, 0, 3); i > 0; --i) {
    const auto first = static_cast<uint16_t>(pick(random, 100, 599));
    url.status.push_back({first, static_cast<uint16_t>(pick(random, first, 599))});
  }
  if (half(random)) url.digest = std::string(half(random) ? 32 : 64, '7');
  if (half(random)) {
    url.regex = "^(a|\"b\")\\s: [#'x]{2,3}$";
    maybe(random, url.regex_absent, true);
  }
  return url;
}

void random_http(Random& random, Check& check) {
  for (uint32_t i = pick(random, 0, 3); i > 0; --i)
    check.http.urls.push_back(random_url(random));
  maybe(random, check.http.host, "www.example.com:81");
  maybe(random, check.http.version, HttpVersion::http_1_0);
  if (check.type == CheckType::http) return;
  maybe(random, check.http.server_name, "fd00::1");
  if (half(random)) {
    check.http.verify = true;
    maybe(random, check.http.ca_file, "/etc/ca: 1.pem");
  }
}

void random_times(Random& random, Check& check) {
  maybe_number(random, check.interval_ms, 100, 9000);
  maybe_number(random, check.timeout_ms, 10, 9000);
  maybe_number(random, check.retries, 0, 5);
  maybe_number(random, check.retry_delay_ms, 0, 5000);
  maybe_number(random, check.warmup_ms, 0, 5000);
  maybe_number(random, check.rise, 1, 5);
  maybe_number(random, check.fall, 1, 5);
  maybe(random, check.first_failure_decides, true);
  maybe(random, check.start, CheckStart::down);
}

void random_question(Random& random, Check& check) {
  switch (check.type) {
    case CheckType::http:
    case CheckType::https:
      return random_http(random, check);
    case CheckType::udp:
      maybe(random, check.udp.send, "a \"b\"\r\n\x01# c");
      maybe(random, check.udp.expect, "hex:00 XX fF");
      maybe(random, check.udp.require_reply, true);
      maybe_number(random, check.udp.min_reply_bytes, 0, 100);
      maybe_number(random, check.udp.max_reply_bytes, 100, 65535);
      return;
    case CheckType::dns:
      maybe(random, check.dns.name, "_sip._udp.example.com");
      maybe(random, check.dns.type, half(random) ? "257" : "MX");
      maybe(random, check.dns.answer, "10 mail.example.com");
      maybe(random, check.dns.rcode, "any");
      return;
    case CheckType::smtp:
      maybe(random, check.smtp.helo, "[IPv6:fd00::1]");
      return;
    case CheckType::script:
      check.script.command = "/bin/check 'a b' \"c\"";
      maybe(random, check.script.user, "nobody:nogroup");
      maybe(random, check.script.shell, true);
      return;
    case CheckType::tcp:
    case CheckType::ping:
      return;
  }
}

// `number` sets it apart from the other checks of its list.
Check random_check(Random& random, const Service& service, bool data_path, uint32_t number) {
  Check check;
  check.type = static_cast<CheckType>(pick(random, 0, 7));
  random_times(random, check);
  random_question(random, check);
  check.fall = number;
  if (check.type == CheckType::script) return check;
  if (half(random)) check.interface = "lo";
  maybe_number(random, check.mark, 1, 65535);
  if (check.type == CheckType::ping) return check;
  if (half(random) || service.port == 0) check.port = static_cast<uint16_t>(pick(random, 1, 65535));
  maybe_number(random, check.source_port, 1, 65535);
  if (data_path && half(random)) {
    check.data_path = true;
  } else if (half(random)) {
    check.address = *net::parse_ip(half(random) ? "10.5.0.1" : "fd05::1");
    check.source = *net::parse_ip(check.address->is_v4() ? "10.6.0.1" : "fd06::1");
  }
  return check;
}

std::vector<Check> random_checks(Random& random, const Service& service, bool data_path) {
  std::vector<Check> checks;
  for (uint32_t i = pick(random, 0, 3); i > 0; --i)
    checks.push_back(random_check(random, service, data_path, i));
  for (Check& check : checks) {
    if (check.type != CheckType::script) continue;
    maybe(random, check.script.dynamic_weight, true);
    break;
  }
  return checks;
}

ServiceNotify random_notify(Random& random, bool mail) {
  ServiceNotify notify;
  maybe(random, notify.backend_up, "/bin/u \"a b\"");
  maybe(random, notify.backend_down, "/bin/d: e");
  maybe(random, notify.quorum_up, "/bin/q");
  maybe(random, notify.quorum_down, "/bin/p --x=\"#\"");
  maybe(random, notify.any, "/bin/any");
  maybe(random, notify.user, "nobody");
  maybe_number(random, notify.timeout_s, 1, 100);
  maybe(random, notify.shell, true);
  if (mail) maybe(random, notify.mail, true);
  maybe(random, notify.at_start, true);
  maybe(random, notify.at_stop, true);
  return notify;
}

bool leaves_packets(Mode mode) {
  return mode == Mode::dr || mode == Mode::ipip;
}

void random_backend_health(Random& random, const Service& service, Backend& backend) {
  maybe_number(random, backend.priority, 0, 65535);
  const bool data_path = leaves_packets(mode_of(service, backend)) && !service.firewall_mark;
  if (half(random)) backend.checks = random_checks(random, service, data_path);
  if (half(random)) backend.inhibit_on_failure = half(random);
  if (half(random)) {
    backend.notify.emplace();
    maybe(random, backend.notify->up, "/bin/up");
    maybe(random, backend.notify->down, "/bin/down 'x'");
  }
}

void random_service_health(Random& random, bool mail, Service& service) {
  bool data_path = leaves_packets(service.mode) && !service.firewall_mark;
  for (const Backend& backend : service.backends)
    data_path = data_path && leaves_packets(mode_of(service, backend));
  if (half(random)) service.checks = random_checks(random, service, data_path);
  maybe(random, service.inhibit_on_failure, true);
  maybe(random, service.on_down, static_cast<OnDown>(pick(random, 0, 2)));
  maybe_number(random, service.slow_start_s, 0, 600);
  maybe_number(random, service.panic_percent, 0, 100);
  maybe_number(random, service.quorum, 1, 1000);
  if (half(random)) service.quorum_hysteresis = pick(random, 0, service.quorum - 1);
  if (half(random)) {
    SorryServer& sorry = service.sorry_server.emplace();
    const bool v4 = family_of(service) == net::Family::ipv4;
    sorry.address = *net::parse_ip(v4 ? "10.4.0.1" : "fd04::1");
    maybe_number(random, sorry.port, 1, 65535);
    if (half(random)) sorry.mode = static_cast<Mode>(pick(random, 0, 3));
  }
  if (half(random)) {
    service.passive.emplace();
    maybe_number(random, service.passive->failures, 1, 100);
    maybe_number(random, service.passive->window_ms, 100, 9000);
  }
  if (half(random)) service.notify = random_notify(random, mail);
  for (Backend& backend : service.backends)
    random_backend_health(random, service, backend);
}

}  // namespace

void random_health(std::mt19937& random, Config& config) {
  maybe(random, config.health.state_file, "/var/lib/a b");
  maybe(random, config.health.notify_fifo, "/run/fifo");
  maybe_number(random, config.health.scripts_at_once, 1, 1024);
  if (half(random)) config.health.probe_network_v4 = *net::parse_prefix("100.64.0.0/16");
  if (half(random)) config.health.probe_network_v6 = *net::parse_prefix("fd01::/64");
  for (Service& service : config.services)
    random_service_health(random, config.vrrp.mail.has_value(), service);
}

}  // namespace headgate::config
