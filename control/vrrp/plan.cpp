#include "control/vrrp/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace headgate::control {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The fractional parts of the multiples of this fill the unit interval evenly, however many.
constexpr double golden_ratio = 0.6180339887498949;

vrrp::Version version_of(const config::VrrpInstance& instance) {
  return instance.version == 2 ? vrrp::Version::v2 : vrrp::Version::v3;
}

vrrp::AnnounceSettings announce_settings(const config::VrrpGratuitous& gratuitous) {
  return {
      .repeat = static_cast<uint16_t>(gratuitous.repeat),
      .delay = seconds(gratuitous.delay_s),
      .refresh = seconds(gratuitous.refresh_s),
      .refresh_repeat = static_cast<uint16_t>(gratuitous.refresh_repeat),
      .lower_priority_repeat =
          static_cast<uint16_t>(gratuitous.lower_priority_repeat.value_or(gratuitous.repeat)),
      .lower_priority_delay =
          seconds(gratuitous.lower_priority_delay_s.value_or(gratuitous.delay_s)),
  };
}

// Adverts of virtual routers that become master together are spread over the interval.
vrrp::Duration phase_of(size_t number, uint16_t interval_cs) {
  double whole = 0;
  const double part = std::modf(static_cast<double>(number + 1) * golden_ratio, &whole);
  const milliseconds interval{interval_cs * 10};
  return std::max<vrrp::Duration>(
      std::chrono::duration_cast<vrrp::Duration>(part * vrrp::Duration(interval)), microseconds(1));
}

vrrp::Settings settings_of(const config::VrrpInstance& instance, size_t number) {
  const auto interval_cs = static_cast<uint16_t>(instance.advert_interval_ms / 10);
  vrrp::Settings settings;
  settings.version = version_of(instance);
  settings.vrid = instance.virtual_router_id;
  settings.priority = instance.priority;
  settings.interval_cs = interval_cs;
  if (instance.source) settings.source = *instance.source;
  settings.preempt = instance.preempt;
  settings.preempt_delay = seconds(instance.preempt_delay_s);
  settings.lower_priority_no_advert = instance.lower_priority_no_advert;
  settings.higher_priority_send_advert = instance.higher_priority_send_advert;
  settings.announce = announce_settings(instance.gratuitous);
  settings.phase = phase_of(number, interval_cs);
  return settings;
}

vrrp::ReceiveSettings receive_settings(const config::VrrpInstance& instance,
                                       const std::vector<net::IpAddress>& advertised) {
  vrrp::ReceiveSettings settings;
  settings.version = version_of(instance);
  settings.vrid = instance.virtual_router_id;
  settings.priority = instance.priority;
  settings.interval_cs = static_cast<uint16_t>(instance.advert_interval_ms / 10);
  settings.addresses = advertised;
  if (instance.auth_password) {
    settings.auth_type = vrrp::AuthType::simple_text;
    std::copy_n(instance.auth_password->begin(),
                std::min(instance.auth_password->size(), settings.auth_data.size()),
                settings.auth_data.begin());
  }
  settings.peers = instance.unicast_peers;
  settings.min_ttl = instance.unicast_peers.empty() ? vrrp::advert_ttl : instance.unicast_min_ttl;
  settings.strict = instance.strict;
  return settings;
}

VrrpInstancePlan plan_instance(const config::Vrrp& vrrp, const config::VrrpInstance& instance,
                               size_t number) {
  VrrpInstancePlan plan;
  plan.config = instance;
  for (const config::VrrpAddress& address : instance.addresses)
    plan.advertised.push_back(address.address.address);
  if (!plan.advertised.empty()) plan.family = plan.advertised.front().family;
  plan.settings = settings_of(instance, number);
  plan.receive = receive_settings(instance, plan.advertised);
  for (const auto* list : {&instance.addresses, &instance.excluded_addresses}) {
    for (const config::VrrpAddress& address : *list) {
      plan.held.push_back({.interface = address.interface.value_or(instance.interface),
                           .prefix = address.address,
                           .label = address.label.value_or(""),
                           .scope = address.scope});
    }
  }
  plan.group = plan.family == net::Family::ipv6 ? vrrp.multicast_group_v6 : vrrp.multicast_group_v4;
  return plan;
}

}  // namespace

VrrpPlan plan_vrrp(const config::Config& config) {
  VrrpPlan plan;
  plan.groups = config.vrrp.sync_groups;
  plan.startup_delay = seconds(config.vrrp.startup_delay_s);
  for (const config::VrrpInstance& instance : config.vrrp.instances) {
    plan.instances.push_back(plan_instance(config.vrrp, instance, plan.instances.size()));
  }
  return plan;
}

bool is_same_router(const VrrpInstancePlan& before, const VrrpInstancePlan& after) {
  return before.config.name == after.config.name && before.family == after.family &&
         before.config.interface == after.config.interface &&
         before.settings.vrid == after.settings.vrid &&
         before.settings.version == after.settings.version;
}

}  // namespace headgate::control
