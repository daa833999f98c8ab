// Random virtual routers that validate() has nothing against.
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

VrrpNotify random_notify(Random& random, bool mail) {
  VrrpNotify notify;
  maybe(random, notify.master, "/bin/m \"a b\" 'c'");
  maybe(random, notify.backup, "/bin/b");
  maybe(random, notify.fault, "/bin/f --x=\"#\"");
  maybe(random, notify.stop, "/bin/s: y");
  maybe(random, notify.any, "/bin/any");
  maybe(random, notify.user, "nobody:nogroup");
  maybe(random, notify.timeout_s, pick(random, 1, 100));
  maybe(random, notify.shell, true);
  if (mail) maybe(random, notify.mail, true);
  return notify;
}

VrrpTrack random_track(Random& random, const VrrpInstance& instance, std::string name) {
  VrrpTrack track{std::move(name), 0};
  if (instance.priority != 255) {
    track.weight = static_cast<int32_t>(pick(random, 0, 506)) - 253;
  }
  return track;
}

void random_tracks(Random& random, const Config& config, VrrpInstance& instance) {
  maybe(random, instance.track_interface, false);
  maybe(random, instance.track_workers, false);
  if (half(random)) instance.interfaces.push_back(random_track(random, instance, "uplink"));
  if (half(random)) instance.scripts.push_back(random_track(random, instance, "chk"));
  if (half(random)) instance.files.push_back(random_track(random, instance, "file"));
  if (half(random)) instance.processes.push_back(random_track(random, instance, "proc"));
  if (half(random) && !config.services.empty()) {
    instance.services.push_back(random_track(random, instance, name_of(config.services[0])));
  }
}

void random_times(Random& random, VrrpInstance& instance) {
  VrrpGratuitous& gratuitous = instance.gratuitous;
  maybe(random, gratuitous.repeat, pick(random, 1, 100));
  maybe(random, gratuitous.delay_s, pick(random, 0, 100));
  maybe(random, gratuitous.refresh_s, pick(random, 0, 100));
  maybe(random, gratuitous.refresh_repeat, pick(random, 1, 100));
  maybe(random, gratuitous.lower_priority_repeat, pick(random, 0, 100));
  maybe(random, gratuitous.lower_priority_delay_s, pick(random, 0, 100));
  maybe(random, gratuitous.interval_us, pick(random, 0, 1000));
  if (instance.version == 2) {
    maybe(random, instance.advert_interval_ms, pick(random, 1, 255) * 1000);
    maybe(random, instance.auth_password, "a: b#'\"");
  } else {
    maybe(random, instance.advert_interval_ms, pick(random, 1, 4095) * 10);
  }
  if (half(random)) {
    instance.priority = static_cast<uint8_t>(pick(random, 1, 255));
  }
  if (instance.priority != 255) {
    maybe(random, instance.preempt, false);
    if (instance.preempt) maybe(random, instance.preempt_delay_s, pick(random, 0, 1000));
  }
}

void random_addresses(Random& random, VrrpInstance& instance, uint32_t number, bool v4) {
  for (uint32_t i = pick(random, 1, 3); i > 0; --i) {
    VrrpAddress& address = instance.addresses.emplace_back();
    const char* form = v4 ? "198.51.{}.{}/24" : "fe80::{}:{}/64";
    address.address = *net::parse_prefix(fmt::format(fmt::runtime(form), number, i));
    maybe(random, address.interface, "lo");
    if (v4) maybe(random, address.label, interface_of(instance, address) + ":7");
    maybe(random, address.scope, static_cast<Scope>(pick(random, 0, 3)));
  }
  if (half(random)) {
    VrrpAddress& more = instance.excluded_addresses.emplace_back();
    more.address = *net::parse_prefix(fmt::format("fd77::{}/128", number));
  }
  if (half(random)) instance.source = *net::parse_ip(v4 ? "198.18.0.9" : "fe80::9:9:9");
  if (half(random)) {
    instance.unicast_peers.push_back(*net::parse_ip(v4 ? "198.18.0.8" : "fe80::8:8:8"));
    maybe(random, instance.unicast_ttl, static_cast<uint8_t>(pick(random, 1, 255)));
    maybe(random, instance.unicast_min_ttl, static_cast<uint8_t>(pick(random, 1, 255)));
  }
}

VrrpInstance random_instance(Random& random, const Config& config, uint32_t number) {
  VrrpInstance instance;
  instance.name = fmt::format("VI_{}", number);
  const bool on_port = !config.ports.empty() && config.ports[0].twin.enabled && half(random);
  instance.interface = on_port ? config.ports[0].twin_name() : fmt::format("br{}", number);
  instance.virtual_router_id = static_cast<uint8_t>(number);
  const bool v4 = half(random);
  if (v4) maybe(random, instance.version, 2);
  random_times(random, instance);
  random_addresses(random, instance, number, v4);
  if (on_port) {
    maybe(random, instance.virtual_mac, true);
    maybe(random, instance.accept, false);
  }
  maybe(random, instance.strict, true);
  maybe(random, instance.checksum_pseudo_header, false);
  maybe(random, instance.lower_priority_no_advert, true);
  maybe(random, instance.higher_priority_send_advert, true);
  random_tracks(random, config, instance);
  instance.notify = random_notify(random, config.vrrp.mail.has_value());
  return instance;
}

void random_sources(Random& random, Vrrp& vrrp) {
  VrrpScript script;
  script.name = "chk";
  script.command = "/bin/true --a \"b c\"";
  maybe(random, script.interval_ms, pick(random, 10, 5000));
  maybe(random, script.timeout_ms, pick(random, 10, 5000));
  maybe(random, script.rise, pick(random, 1, 5));
  maybe(random, script.fall, pick(random, 1, 5));
  maybe(random, script.start, ScriptStart::up);
  maybe(random, script.user, "www-data");
  maybe(random, script.shell, true);
  vrrp.scripts.push_back(script);
  vrrp.files.push_back({"file", "/run/x y"});
  VrrpProcess process{.name = "proc", .process = "nginx"};
  maybe(random, process.quorum, pick(random, 1, 9));
  maybe(random, process.delay_ms, pick(random, 0, 900));
  vrrp.processes.push_back(process);
}

}  // namespace

void random_vrrp(std::mt19937& random, Config& config) {
  Vrrp& vrrp = config.vrrp;
  maybe(random, vrrp.router_id, "edge 1: \"left\"");
  maybe(random, vrrp.script_user, "nobody");
  maybe(random, vrrp.notify_fifo, "/run/fifo");
  maybe(random, vrrp.startup_delay_s, pick(random, 0, 100));
  maybe(random, vrrp.multicast_group_v4, *net::parse_ip("224.0.0.99"));
  maybe(random, vrrp.multicast_group_v6, *net::parse_ip("ff02::99"));
  if (half(random)) {
    vrrp.mail = Mail{.server = "[fd00::25]:587", .from = "a@b.example", .to = {"c@d.example"}};
    maybe(random, vrrp.mail->connect_timeout_s, pick(random, 1, 100));
  }
  random_sources(random, vrrp);
  for (uint32_t i = pick(random, 0, 4); i > 0; --i)
    vrrp.instances.push_back(random_instance(random, config, i));
  if (vrrp.instances.size() >= 2) {
    VrrpSyncGroup& group = vrrp.sync_groups.emplace_back();
    group.name = "VG_1";
    group.instances = {vrrp.instances[1].name, vrrp.instances[0].name};
    group.notify = random_notify(random, vrrp.mail.has_value());
  }
}

}  // namespace headgate::config
