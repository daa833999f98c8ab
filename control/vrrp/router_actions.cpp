// What the state machines ask for, done.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "control/vrrp/router.h"
#include "vrrp/group.h"

namespace headgate::control {
namespace {

// How long announcements wait for the data plane. Without it they would draw traffic that is not
// taken yet; but a data plane that is busy must not keep the network from learning of the new
// master.
constexpr std::chrono::milliseconds announce_patience{250};

NotifyState notify_state(vrrp::State state) {
  switch (state) {
    case vrrp::State::init:
      return NotifyState::stop;
    case vrrp::State::fault:
      return NotifyState::fault;
    case vrrp::State::backup:
      return NotifyState::backup;
    case vrrp::State::master:
      return NotifyState::master;
  }
  return NotifyState::stop;
}

}  // namespace

VrrpRouter::ClaimKey VrrpRouter::claim_key(const InterfaceAddress& address) {
  return {address.interface, address.prefix};
}

void VrrpRouter::handle(VirtualRouter& router, const vrrp::Event& event, Time now) {
  vrrp::Step step = vrrp::step(router.plan.settings, router.machine, event, now);
  router.machine = step.machine;
  for (const vrrp::Action& action : step.actions)
    std::visit([&](const auto& what) { perform(router, what, now); }, action);
  requeue(router);
}

void VrrpRouter::perform(VirtualRouter& router, const vrrp::SendAdvert& action, Time /*now*/) {
  const VrrpInstancePlan& plan = router.plan;
  vrrp::Advert advert;
  advert.version = plan.settings.version;
  advert.vrid = plan.settings.vrid;
  advert.priority = action.priority;
  advert.interval_cs = plan.settings.interval_cs;
  advert.auth_type = plan.receive.auth_type;
  advert.auth_data = plan.receive.auth_data;
  advert.addresses = plan.advertised;
  const auto checksum = plan.config.checksum_pseudo_header ? vrrp::Checksum::with_pseudo_header
                                                           : vrrp::Checksum::message_only;
  const net::IpAddress source = plan.settings.source;
  if (action.priority == vrrp::leaving_priority) ++router.counters.priority_zero_sent;
  const auto to = [&](const net::IpAddress& destination) {
    send(router, vrrp::encode(advert, source, destination, checksum), source, destination);
  };
  if (!plan.is_unicast()) return to(plan.group);
  for (const net::IpAddress& peer : plan.config.unicast_peers)
    to(peer);
}

void VrrpRouter::send(VirtualRouter& router, const std::vector<uint8_t>& message,
                      const net::IpAddress& source, const net::IpAddress& destination) {
  const VrrpInstancePlan& plan = router.plan;
  const net::MacAddress mac = net::virtual_mac(plan.family, plan.settings.vrid);
  const bool sent = host_.send_advert(
      {.interface = plan.config.interface,
       .family = plan.family,
       .message = message,
       .source = source,
       .destination = destination,
       .ttl = plan.is_unicast() ? plan.config.unicast_ttl : vrrp::advert_ttl,
       .virtual_mac = plan.config.virtual_mac && !plan.is_unicast() ? &mac : nullptr});
  ++(sent ? router.counters.adverts_sent : router.counters.send_errors);
}

void VrrpRouter::perform(VirtualRouter& router, const vrrp::Claim& /*action*/, Time /*now*/) {
  router.owns = true;
  ownership_dirty_ = true;
  take(router.plan, router.plan.held);
}

void VrrpRouter::perform(VirtualRouter& router, const vrrp::Release& /*action*/, Time /*now*/) {
  router.owns = false;
  router.announce_repeat = 0;
  router.announce_by.reset();
  ownership_dirty_ = true;
  let_go(router.plan.held);
}

// Two virtual routers may have an address in common, or a reload moves it from one to the other:
// what one lets go another may still need.
void VrrpRouter::let_go(const std::vector<InterfaceAddress>& addresses) {
  std::vector<InterfaceAddress> gone;
  for (const InterfaceAddress& address : addresses) {
    const auto claim = claims_.find(claim_key(address));
    if (claim == claims_.end() || --claim->second > 0) continue;
    claims_.erase(claim);
    gone.push_back(address);
  }
  if (gone.empty()) return;
  host_.cancel_announcements(gone);
  host_.hold(gone, false);
}

void VrrpRouter::take(const VrrpInstancePlan& plan,
                      const std::vector<InterfaceAddress>& addresses) {
  if (addresses.empty()) return;
  for (const InterfaceAddress& address : addresses)
    ++claims_[claim_key(address)];
  if (plan.config.accept) host_.hold(addresses, true);
}

void VrrpRouter::perform(VirtualRouter& router, const vrrp::Announce& action, Time now) {
  if (action.repeat == 0) return;
  router.announce_repeat = std::max(router.announce_repeat, action.repeat);
  router.announce_serial = ownership_serial_ + (ownership_dirty_ ? 1 : 0);
  if (router.announce_serial <= visible_serial_) return announce_now(router);
  router.announce_by = now + announce_patience;
}

void VrrpRouter::announce_now(VirtualRouter& router) {
  const config::VrrpInstance& config = router.plan.config;
  std::map<std::string, std::vector<net::IpAddress>> by_interface;
  for (const InterfaceAddress& address : router.plan.held)
    by_interface[address.interface].push_back(address.prefix.address);
  for (auto& [interface, addresses] : by_interface) {
    const auto link = links_.find(interface);
    if (link == links_.end() || link->second.index == 0) continue;
    host_.announce({.interface = interface,
                    .mac = config.virtual_mac
                               ? net::virtual_mac(router.plan.family, router.plan.settings.vrid)
                               : link->second.mac,
                    .addresses = std::move(addresses),
                    .repeat = router.announce_repeat,
                    .interval_us = config.gratuitous.interval_us});
  }
  router.announce_repeat = 0;
  router.announce_by.reset();
}

void VrrpRouter::perform(VirtualRouter& router, const vrrp::Transition& action, Time now) {
  ++router.counters.transitions;
  if (action.to == vrrp::State::master) ++router.counters.became_master;
  const config::VrrpInstance& config = router.plan.config;
  host_.log(LogLevel::info, fmt::format("vrrp {}: {} -> {} ({}), priority {}", config.name,
                                        vrrp::name_of(action.from), vrrp::name_of(action.to),
                                        vrrp::name_of(action.reason), router.machine.priority));
  host_.notify({.kind = NotifyKind::instance,
                .name = config.name,
                .state = notify_state(action.to),
                .priority = router.machine.priority,
                .settings = config.notify});
  move_group(router, action, now);
}

// The others of a sync group follow the member that moved first.
void VrrpRouter::move_group(VirtualRouter& router, const vrrp::Transition& transition, Time now) {
  const auto found = groups_.find(router.group);
  if (found == groups_.end()) return;
  Group& group = found->second;
  if (!moving_group_) {
    moving_group_ = true;
    const std::vector<vrrp::Member> members = group.states();
    const auto self = std::ranges::find(group.members, &router);
    const auto index = static_cast<size_t>(self - group.members.begin());
    for (const vrrp::MemberEvent& event : vrrp::follow(members, index, transition))
      handle(*group.members[event.member], event.event, now);
    moving_group_ = false;
  }
  notify_group(group);
}

std::vector<vrrp::Member> VrrpRouter::Group::states() const {
  std::vector<vrrp::Member> states;
  states.reserve(members.size());
  for (const VirtualRouter* member : members)
    states.push_back({member->machine.state, member->own_fault});
  return states;
}

void VrrpRouter::notify_group(Group& group) {
  if (group.members.empty()) return;
  const vrrp::State state = group.members.front()->machine.state;
  const bool together = std::ranges::all_of(
      group.members, [&](const VirtualRouter* member) { return member->machine.state == state; });
  if (!together || state == group.announced) return;
  group.announced = state;
  host_.notify({.kind = NotifyKind::group,
                .name = group.config.name,
                .state = notify_state(state),
                .priority = 0,  // a group has none
                .settings = group.config.notify});
}

// ---- ownership

void VrrpRouter::flush() {
  if (!ownership_dirty_) return;
  ownership_dirty_ = false;
  host_.set_ownership(ownership(), ++ownership_serial_);
}

VrrpOwnership VrrpRouter::ownership() const {
  VrrpOwnership result;
  std::set<net::IpAddress> owned;
  std::set<net::IpAddress> others;
  for (const auto& router : routers_) {
    std::vector<net::IpAddress> addresses;
    for (const InterfaceAddress& held : router->plan.held)
      addresses.push_back(held.prefix.address);
    (router->owns ? owned : others).insert(addresses.begin(), addresses.end());
    if (!router->owns || !router->plan.config.virtual_mac) continue;
    result.virtual_macs.push_back({.interface = router->plan.config.interface,
                                   .family = router->plan.family,
                                   .vrid = router->plan.settings.vrid,
                                   .addresses = std::move(addresses)});
  }
  std::ranges::set_difference(others, owned, std::back_inserter(result.inactive));
  return result;
}

}  // namespace headgate::control
