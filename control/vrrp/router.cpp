#include "control/vrrp/router.h"

#include <algorithm>
#include <ranges>

#include <fmt/format.h>

#include "vrrp/group.h"

namespace headgate::control {

namespace {

std::string_view describe(const vrrp::Mismatch& mismatch) {
  if (mismatch.addresses && mismatch.interval) return "have other addresses and another interval";
  if (mismatch.addresses) return "have other addresses than configured";
  if (mismatch.interval) return "have another interval than configured";
  return "agree with the configuration again";
}

}  // namespace

// What is still told afterwards (addresses that go away, links) must not start anything again.
void VrrpRouter::stop(Time now) {
  for (const auto& router : routers_) {
    handle(*router, vrrp::Stopped{}, now);
    router->started = false;
    router->start_at.reset();
  }
  stopped_ = true;
  deadlines_.clear();
  flush();
}

std::vector<VrrpRouter::Endpoint> VrrpRouter::endpoints() const {
  std::set<Endpoint> set;
  for (const auto& router : routers_)
    set.insert({router->plan.config.interface, router->plan.family, router->plan.group});
  return {set.begin(), set.end()};
}

// ---- what happens

void VrrpRouter::packet(const std::string& interface, const vrrp::Received& packet, Time now) {
  const auto wire = wires_.find({interface, packet.source.family});
  if (wire == wires_.end() || packet.message.size() < 2 || stopped_) return;
  // Virtual routers of others share the wire; their adverts are none of ours to judge.
  const auto found = wire->second.find(packet.message[1]);
  if (found == wire->second.end()) return;
  VirtualRouter& router = *found->second;
  const auto accepted = vrrp::receive(router.plan.receive, packet);
  if (!accepted) return discarded(router, packet, accepted.error(), now);
  const vrrp::Advert& advert = accepted->advert;
  ++router.counters.adverts_received;
  if (advert.priority == vrrp::leaving_priority) ++router.counters.priority_zero_received;
  if (accepted->mismatch != router.mismatch) {
    tell_mismatch(router, packet, accepted->mismatch, now);
  }
  handle(router, vrrp::AdvertCame{advert.priority, advert.interval_cs, packet.source}, now);
  flush();
}

// Anybody on the wire can make these, as often as they like: one line in a while.
void VrrpRouter::discarded(VirtualRouter& router, const vrrp::Received& packet,
                           vrrp::Discard reason, Time now) {
  ++router.counters.discards[static_cast<size_t>(reason)];
  if (!router.discards_told.may_tell(now)) return;
  host_.log(LogLevel::debug,
            fmt::format("vrrp {}: advert of {} discarded: {}", router.plan.config.name,
                        net::to_string(packet.source), vrrp::name_of(reason)));
}

void VrrpRouter::tell_mismatch(VirtualRouter& router, const vrrp::Received& packet,
                               vrrp::Mismatch mismatch, Time now) {
  router.mismatch = mismatch;
  if (!router.mismatches_told.may_tell(now)) return;
  host_.log(LogLevel::warning, fmt::format("vrrp {}: adverts of {} {}", router.plan.config.name,
                                           net::to_string(packet.source), describe(mismatch)));
}

void VrrpRouter::link_changed(const std::string& interface, const RouterLink& link, Time now) {
  const auto [known, is_new] = links_.try_emplace(interface);
  if ((known->second == link && !is_new) || stopped_) return;
  known->second = link;
  std::string text = link.index == 0 ? "it is not there" : link.up ? "" : "no carrier";
  values_.set(TrackedKind::interface, interface, {link.index != 0 && link.up, std::move(text)});
  judge_all(now);
  flush();
}

void VrrpRouter::tracked(TrackedKind kind, const std::string& name, TrackedValue value, Time now) {
  if (!values_.set(kind, name, std::move(value)) || stopped_) return;
  judge_all(now);
  flush();
}

void VrrpRouter::worker_trouble(const std::string& text, Time now) {
  if (worker_trouble_ == text || stopped_) return;
  worker_trouble_ = text;
  judge_all(now);
  flush();
}

void VrrpRouter::ownership_visible(uint64_t serial, Time /*now*/) {
  visible_serial_ = std::max(visible_serial_, serial);
  for (const auto& router : routers_) {
    if (router->announce_repeat == 0 || router->announce_serial > visible_serial_) continue;
    announce_now(*router);
    requeue(*router);
  }
}

std::expected<std::string, Error> VrrpRouter::failover(const std::string& name, Time now) {
  VirtualRouter* router = find(name);
  const auto group = groups_.find(name);
  if (router == nullptr && group != groups_.end() && !group->second.members.empty()) {
    router = group->second.members.front();
  }
  if (router == nullptr) {
    return std::unexpected(Error{fmt::format("there is no virtual router {}", name)});
  }
  if (router->machine.state != vrrp::State::master) {
    return std::unexpected(
        Error{fmt::format("{} is in state {}: only a master can step down",
                          router->plan.config.name, vrrp::name_of(router->machine.state))});
  }
  // Its sync group follows.
  handle(*router, vrrp::StepDown{}, now);
  flush();
  return fmt::format("{} has stepped down", router->plan.config.name);
}

std::string VrrpRouter::maintenance(bool on, Time now) {
  if (stopped_) return "the daemon stops";
  if (maintenance_ == on) return fmt::format("maintenance is {} already", on ? "on" : "off");
  maintenance_ = on;
  judge_all(now);
  flush();
  return on ? "maintenance is on: no virtual router here is or becomes master"
            : "maintenance is off";
}

// ---- time

std::optional<vrrp::Time> VrrpRouter::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void VrrpRouter::tick(Time now) {
  std::vector<VirtualRouter*> due;
  for (const auto& [time, router] : deadlines_) {
    if (time > now) break;
    due.push_back(router);
  }
  for (VirtualRouter* router : due)
    tick(*router, now);
  flush();
}

void VrrpRouter::tick(VirtualRouter& router, Time now) {
  if (router.start_at && *router.start_at <= now) start(router, now);
  if (router.announce_by && *router.announce_by <= now) announce_now(router);
  const std::optional<Time> due = vrrp::next_deadline(router.machine);
  if (due && *due <= now) {
    if (router.machine.advert_at && *router.machine.advert_at <= now) {
      count_lateness(router, *router.machine.advert_at, now);
    }
    handle(router, vrrp::TimerCame{}, now);
  }
  requeue(router);
}

// In fault from the start where something is down: an owner would be master for a moment else.
void VrrpRouter::start(VirtualRouter& router, Time now) {
  router.start_at.reset();
  router.started = true;
  if (router.faults.empty()) {
    handle(router, vrrp::Started{}, now);
  } else {
    handle(router, vrrp::FaultBegan{}, now);
  }
}

void VrrpRouter::count_lateness(VirtualRouter& router, Time due, Time now) {
  const vrrp::Duration late = now - due;
  router.counters.worst_lateness = std::max(router.counters.worst_lateness, late);
  const std::chrono::milliseconds interval{router.plan.settings.interval_cs * 10};
  if (late <= interval / 2) return;
  ++router.counters.late_adverts;
  using Milliseconds = std::chrono::duration<double, std::milli>;
  host_.log(LogLevel::warning,
            fmt::format("vrrp {}: advert late by {:.0f} ms, its interval is {} ms: {}",
                        router.plan.config.name, Milliseconds(late).count(), interval.count(),
                        host_.lateness_cause(late)));
}

void VrrpRouter::requeue(VirtualRouter& router) {
  std::optional<Time> next = vrrp::next_deadline(router.machine);
  for (const std::optional<Time>& other : {router.start_at, router.announce_by}) {
    if (other && (!next || *other < *next)) next = other;
  }
  if (router.deadline == next) return;
  if (router.deadline) deadlines_.erase({*router.deadline, &router});
  if (next) deadlines_.insert({*next, &router});
  router.deadline = next;
}

// ---- what is tracked

void VrrpRouter::judge_all(Time now) {
  for (const auto& router : routers_)
    judge(*router);
  for (const auto& router : routers_)
    apply_faults(*router, now);
}

void VrrpRouter::judge(VirtualRouter& router) {
  const RouterLink& link = link_of(router);
  router.plan.settings.source = source_of(router.plan, link, virtual_addresses_);
  router.plan.receive.source = router.plan.settings.source;
  router.verdicts = judge_tracked(router.plan.config, values_);
  router.faults = own_faults(router, link, worker_trouble_, maintenance_);
  router.own_fault = !router.faults.empty();
}

void VrrpRouter::apply_faults(VirtualRouter& router, Time now) {
  std::ranges::copy(group_faults(router), std::back_inserter(router.faults));
  const uint8_t priority =
      vrrp::effective_priority(router.plan.settings.priority, router.verdicts.weights);
  if (priority != router.machine.priority) handle(router, vrrp::PriorityChanged{priority}, now);
  if (!router.started) return;
  const bool is_in_fault = router.machine.state == vrrp::State::fault;
  if (is_in_fault == !router.faults.empty()) return;
  if (is_in_fault) {
    handle(router, vrrp::FaultEnded{}, now);
  } else {
    std::string causes;
    for (const std::string& cause : router.faults)
      causes += (causes.empty() ? "" : "; ") + cause;
    host_.log(LogLevel::warning, fmt::format("vrrp {}: {}", router.plan.config.name, causes));
    handle(router, vrrp::FaultBegan{}, now);
  }
}

std::vector<std::string> VrrpRouter::group_faults(const VirtualRouter& router) const {
  std::vector<std::string> faults;
  const auto group = groups_.find(router.group);
  if (group == groups_.end()) return faults;
  for (const VirtualRouter* member : group->second.members) {
    if (member == &router || !member->own_fault) continue;
    faults.push_back(
        fmt::format("{} of sync group {} is in fault", member->plan.config.name, router.group));
  }
  return faults;
}

const RouterLink& VrrpRouter::link_of(const VirtualRouter& router) const {
  static const RouterLink absent;
  const auto found = links_.find(router.plan.config.interface);
  return found == links_.end() ? absent : found->second;
}

VirtualRouter* VrrpRouter::find(const std::string& name) const {
  const auto found = std::ranges::find_if(
      routers_, [&](const auto& router) { return router->plan.config.name == name; });
  return found == routers_.end() ? nullptr : found->get();
}

}  // namespace headgate::control
