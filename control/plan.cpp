#include "control/plan.h"

#include <algorithm>
#include <map>
#include <utility>

namespace headgate::control {

namespace {

using config::Backend;
using config::BackendKey;
using config::Service;
using config::ServiceKey;

// The longest of deadlines, of which none ends connections later than any.
class Longest {
 public:
  void add(std::optional<uint32_t> deadline_s) {
    unlimited_ = unlimited_ || !deadline_s;
    longest_s_ = std::max(longest_s_, deadline_s.value_or(0));
  }
  [[nodiscard]] std::optional<uint32_t> take() const {
    return unlimited_ ? std::nullopt : std::optional(longest_s_);
  }

 private:
  bool unlimited_ = false;
  uint32_t longest_s_ = 0;
};

// What becomes of one service's connections, backend by backend.
class ServiceFate {
 public:
  // `after` is null for a service that goes; `live` is by its backends.
  ServiceFate(const Service& before, const Service* after, const std::vector<uint64_t>& live)
      : before_(before), after_(after), live_(live) {
    if (after == nullptr) return;
    for (const Backend& backend : after->backends)
      wanted_.emplace(config::key_of(backend), &backend);
  }

  void put(ServicePlan& plan) {
    // The builder takes both from the service as it will be, where it stays
    // (snapshot_services.cpp).
    plan.on_removed = after_ == nullptr ? before_.on_backend_removed : after_->on_backend_removed;
    for (size_t i = 0; i < before_.backends.size(); ++i) {
      plan.connections += live_[i];
      count(before_.backends[i], live_[i], plan.moved);
    }
    if (plan.moved.removed + plan.moved.disabled > 0) plan.ends_within_s = longest_.take();
  }

 private:
  void count(const Backend& backend, uint64_t live, MovedConnections& moved) {
    if (live == 0 || !backend.enabled) return;  // those of a disabled one are on their way already
    const auto found = wanted_.find(config::key_of(backend));
    if (found == wanted_.end()) {
      moved.removed += live;
      const Service& of = after_ == nullptr ? before_ : *after_;
      longest_.add(backend.drain_deadline_s ? backend.drain_deadline_s : of.drain_deadline_s);
      return;
    }
    const Backend& wanted = *found->second;
    if (!wanted.enabled) {
      moved.disabled += live;
      longest_.add(config::drain_deadline_of(*after_, wanted));
    } else if (config::mode_of(before_, backend) != config::mode_of(*after_, wanted)) {
      moved.mode += live;
    }
  }

  const Service& before_;
  const Service* after_;
  const std::vector<uint64_t>& live_;
  std::map<BackendKey, const Backend*> wanted_;
  Longest longest_;
};

void count_backends(const config::ServiceChange& change, ServicePlan& plan) {
  if (change.change == config::Change::added) plan.backends_added = change.backend_count;
  if (change.change == config::Change::removed) plan.backends_removed = change.backend_count;
  for (const config::BackendChange& backend : change.backends) {
    if (backend.change == config::Change::added) ++plan.backends_added;
    if (backend.change == config::Change::removed) ++plan.backends_removed;
    if (backend.change == config::Change::changed) ++plan.backends_changed;
  }
}

class Planner {
 public:
  Planner(const config::Config& running, const config::Config& wanted, Plan& plan)
      : running_(running), plan_(plan) {
    for (size_t i = 0; i < running.services.size(); ++i)
      before_.emplace(config::key_of(running.services[i]), i);
    for (const Service& service : wanted.services)
      after_.emplace(config::key_of(service), &service);
  }

  void add(const config::ServiceChange& change) {
    ServicePlan& plan = begin(change.key, change.change);
    count_backends(change, plan);
    put_fate(plan);
    plan_.moved.removed += plan.moved.removed;
    plan_.moved.disabled += plan.moved.disabled;
    plan_.moved.mode += plan.moved.mode;
    const uint64_t leave = plan.moved.removed + plan.moved.disabled;
    if (plan.on_removed == config::OnRemoved::drop) plan_.dropped += leave;
    if (plan.on_removed == config::OnRemoved::expire) plan_.expired += leave;
  }

  void add(const HashChange& change, const HashShare& share) {
    const auto found = places_.find(change.service);
    if (found != places_.end()) {
      plan_.services[found->second].hash = share;
    } else {
      ServicePlan& plan = begin(change.service, config::Change::changed);
      put_fate(plan);
      plan.hash = share;
    }
    plan_.hash_moved += share.value();
  }

 private:
  ServicePlan& begin(const ServiceKey& key, config::Change change) {
    places_.emplace(key, plan_.services.size());
    ServicePlan& plan = plan_.services.emplace_back();
    plan.key = key;
    plan.change = change;
    const auto after = after_.find(key);
    const auto before = before_.find(key);
    plan.name =
        after != after_.end() ? after->second->name : running_.services[before->second].name;
    return plan;
  }

  void put_fate(ServicePlan& plan) {
    const auto before = before_.find(plan.key);
    if (before == before_.end()) return;
    const auto after = after_.find(plan.key);
    ServiceFate fate(running_.services[before->second],
                     after == after_.end() ? nullptr : after->second,
                     plan_.live.of_backends[before->second]);
    fate.put(plan);
  }

  const config::Config& running_;
  Plan& plan_;
  std::map<ServiceKey, size_t> before_;
  std::map<ServiceKey, const Service*> after_;
  std::map<ServiceKey, size_t> places_;  // in the plan
};

// A count that was caught between two steps of a worker may be below zero.
uint64_t sum_of(const LiveCounts& counts) {
  const uint64_t sum = counts.active + counts.inactive;
  return static_cast<int64_t>(sum) < 0 ? 0 : sum;
}

}  // namespace

LiveConnections live_connections(const IdentityTable& identity, const CounterView& counters,
                                 const config::Config& running) {
  LiveConnections live;
  live.of_backends.reserve(running.services.size());
  for (const Service& service : running.services) {
    std::vector<uint64_t>& of = live.of_backends.emplace_back(service.backends.size());
    const auto id = identity.find_service(config::key_of(service));
    for (size_t i = 0; id && i < of.size(); ++i) {
      const auto index = identity.find_backend(*id, config::key_of(service.backends[i]));
      if (index) of[i] = sum_of(counters.live(*index));
      live.all += of[i];
    }
  }
  for (uint32_t index = 0; index < identity.backend_end(); ++index) {
    if (identity.backend(index).state != IdState::removed) continue;
    live.leaving += sum_of(counters.live(index));
  }
  live.all += live.leaving;
  return live;
}

Plan make_plan(const config::Config& running, const config::Config& wanted,
               const config::Diff& diff, LiveConnections live, const HashChanges& hash,
               const std::vector<HashShare>& shares) {
  Plan plan;
  plan.live = std::move(live);
  plan.tables = hash.tables;
  Planner planner(running, wanted, plan);
  for (const config::ServiceChange& change : diff.services)
    planner.add(change);
  for (size_t i = 0; i < hash.changed.size(); ++i)
    planner.add(hash.changed[i], shares[i]);
  if (plan.tables > 0) plan.hash_moved /= static_cast<double>(plan.tables);
  return plan;
}

}  // namespace headgate::control
