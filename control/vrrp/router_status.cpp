// The router as `show vrrp` tells of it.
#include <algorithm>

#include "control/vrrp/router.h"
#include "vrrp/group.h"

namespace headgate::control {
namespace {

std::optional<net::IpAddress> master_of(const VirtualRouter& router) {
  if (router.machine.state == vrrp::State::master) return router.plan.settings.source;
  if (router.machine.master.family == net::Family::none) return std::nullopt;
  return router.machine.master;
}

// Of v3 the interval is the master's, once one was heard.
uint32_t interval_ms_of(const VirtualRouter& router) {
  const bool learned = router.machine.state == vrrp::State::backup &&
                       router.plan.settings.version == vrrp::Version::v3 &&
                       router.machine.master_interval_cs != 0;
  return 10U * (learned ? router.machine.master_interval_cs : router.plan.settings.interval_cs);
}

std::vector<VrrpAddressStatus> addresses_of(const VirtualRouter& router) {
  std::vector<VrrpAddressStatus> list;
  const size_t advertised = router.plan.advertised.size();
  list.reserve(router.plan.held.size());
  for (const InterfaceAddress& held : router.plan.held) {
    list.push_back({.address = held.prefix,
                    .interface = held.interface,
                    .advertised = list.size() < advertised,
                    .held = router.owns});
  }
  return list;
}

void put_counters(VrrpInstanceStatus& status, const VirtualRouterCounters& counters) {
  status.became_master = counters.became_master;
  status.transitions = counters.transitions;
  status.adverts_sent = counters.adverts_sent;
  status.adverts_received = counters.adverts_received;
  status.priority_zero_sent = counters.priority_zero_sent;
  status.priority_zero_received = counters.priority_zero_received;
  status.send_errors = counters.send_errors;
  status.late_adverts = counters.late_adverts;
  status.worst_lateness_us = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(counters.worst_lateness).count());
  for (size_t i = 0; i < counters.discards.size(); ++i) {
    if (counters.discards[i] == 0) continue;
    status.discards.push_back({.reason = std::string(name_of(static_cast<vrrp::Discard>(i))),
                               .count = counters.discards[i]});
  }
}

VrrpInstanceStatus status_of(const VirtualRouter& router, vrrp::Time now) {
  const config::VrrpInstance& config = router.plan.config;
  VrrpInstanceStatus status;
  status.name = config.name;
  status.interface = config.interface;
  status.family = router.plan.family;
  status.virtual_router_id = config.virtual_router_id;
  status.version = config.version;
  status.state = name_of(router.machine.state);
  status.reason = name_of(router.machine.reason);
  status.base_priority = config.priority;
  status.priority = router.machine.priority;
  status.master = master_of(router);
  status.master_priority = router.machine.state == vrrp::State::master
                               ? router.machine.priority
                               : router.machine.master_priority;
  status.in_state_s = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now - router.machine.since).count());
  put_counters(status, router.counters);
  status.addresses_mismatch = router.mismatch.addresses;
  status.interval_mismatch = router.mismatch.interval;
  status.faults = router.faults;
  status.interval_ms = interval_ms_of(router);
  status.addresses = addresses_of(router);
  status.peers = config.unicast_peers;
  status.group = router.group;
  return status;
}

}  // namespace

VrrpStatus VrrpRouter::status(Time now) const {
  VrrpStatus status;
  status.maintenance = maintenance_;
  for (const auto& router : routers_)
    status.instances.push_back(status_of(*router, now));
  for (const auto& [name, group] : groups_) {
    status.groups.push_back({.name = name,
                             .state = std::string(name_of(vrrp::state_of(group.states()))),
                             .members = group.config.instances});
  }
  return status;
}

}  // namespace headgate::control
