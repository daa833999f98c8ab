// The virtual routers as a configuration has them: at the start, and what a reload changes while
// they run.
#include <algorithm>
#include <iterator>
#include <set>

#include "control/vrrp/router.h"

namespace headgate::control {

void VrrpRouter::configure(VrrpPlan plan, Time now) {
  if (stopped_) return;
  if (!first_configured_) first_configured_ = now;
  std::vector<config::VrrpSyncGroup> groups = std::move(plan.groups);
  const std::vector<std::unique_ptr<VirtualRouter>> gone = take_over(plan, now);
  // Those that go leave while their sync group is the former one.
  for (const auto& router : gone) {
    handle(*router, vrrp::Stopped{}, now);
    deadlines_.erase({router->deadline.value_or(Time{}), router.get()});
  }
  index_all(std::move(groups));
  ownership_dirty_ = true;
  judge_all(now);
  unite_groups(now);
  flush();
}

// Makes `routers_` what the plan says; returns those that it has no longer.
std::vector<std::unique_ptr<VirtualRouter>> VrrpRouter::take_over(VrrpPlan& plan, Time now) {
  std::vector<std::unique_ptr<VirtualRouter>> before = std::move(routers_);
  routers_.clear();
  for (VrrpInstancePlan& wanted : plan.instances) {
    const auto same = std::ranges::find_if(before, [&](const auto& router) {
      return router != nullptr && is_same_router(router->plan, wanted);
    });
    if (same != before.end()) {
      adopt(**same, std::move(wanted), now);
      routers_.push_back(std::move(*same));
      continue;
    }
    auto router = std::make_unique<VirtualRouter>();
    router->plan = std::move(wanted);
    router->machine = vrrp::initial_machine(router->plan.settings);
    router->start_at = std::max(now, *first_configured_ + plan.startup_delay);
    routers_.push_back(std::move(router));
  }
  std::erase(before, nullptr);
  return before;
}

// A virtual router that was there before goes on in its state.
void VrrpRouter::adopt(VirtualRouter& router, VrrpInstancePlan plan, Time now) {
  const VrrpInstancePlan before = std::exchange(router.plan, std::move(plan));
  router.plan.settings.source = before.settings.source;
  router.plan.receive.source = before.receive.source;
  if (before == router.plan) return;
  if (router.owns) exchange_addresses(router, before, now);
  if (before.settings != router.plan.settings) handle(router, vrrp::Reconfigured{}, now);
}

// A master keeps its addresses, gets the new ones and drops the others.
void VrrpRouter::exchange_addresses(VirtualRouter& router, const VrrpInstancePlan& before,
                                    Time now) {
  const VrrpInstancePlan& after = router.plan;
  const auto difference = [](const std::vector<InterfaceAddress>& of,
                             const std::vector<InterfaceAddress>& without) {
    std::vector<InterfaceAddress> result;
    std::ranges::copy_if(of, std::back_inserter(result), [&](const InterfaceAddress& address) {
      return std::ranges::find(without, address) == without.end();
    });
    return result;
  };
  if (before.config.accept == after.config.accept) {
    let_go(difference(before.held, after.held));
    take(after, difference(after.held, before.held));
  } else {
    let_go(before.held);
    take(after, after.held);
  }
  ownership_dirty_ = true;
  if (before.held == after.held && before.config.virtual_mac == after.config.virtual_mac) return;
  host_.cancel_announcements(after.held);  // with what may be the former MAC
  perform(router, vrrp::Announce{after.settings.announce.repeat}, now);
}

void VrrpRouter::index_all(std::vector<config::VrrpSyncGroup> groups) {
  std::map<std::string, Group> before = std::exchange(groups_, {});
  for (config::VrrpSyncGroup& group : groups) {
    Group& entry = groups_[group.name];
    if (const auto known = before.find(group.name); known != before.end()) {
      entry.announced = known->second.announced;
    }
    entry.config = std::move(group);
  }
  wires_.clear();
  deadlines_.clear();
  virtual_addresses_.clear();
  for (const auto& router : routers_) {
    const VrrpInstancePlan& plan = router->plan;
    wires_[{plan.config.interface, plan.family}][plan.settings.vrid] = router.get();
    for (const InterfaceAddress& held : plan.held)
      virtual_addresses_.insert(held.prefix.address);
    router->group.clear();
    router->deadline.reset();
    requeue(*router);
  }
  for (auto& [name, group] : groups_) {
    for (const std::string& member : group.config.instances) {
      VirtualRouter* router = find(member);
      if (router == nullptr) continue;
      router->group = name;
      group.members.push_back(router);
    }
  }
}

// Members that a reload brought together move together from now on: with a master, which keeps what
// it has. If another box has a better claim to one of them, the whole group yields at its advert.
void VrrpRouter::unite_groups(Time now) {
  for (const auto& [name, group] : groups_) {
    const auto is_master = [](const VirtualRouter* member) {
      return member->machine.state == vrrp::State::master;
    };
    if (std::ranges::none_of(group.members, is_master)) continue;
    for (VirtualRouter* member : group.members) {
      if (member->machine.state == vrrp::State::backup) {
        handle(*member, vrrp::GroupMoved{vrrp::State::master}, now);
      }
    }
  }
}

}  // namespace headgate::control
