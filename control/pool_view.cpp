#include "control/pool_view.h"

#include <algorithm>
#include <utility>

namespace headgate::control {

namespace {

uint64_t weight_of(const config::Backend& backend, const MemberHealth& health) {
  if (!config::takes_part(backend)) return 0;
  return health.weight.value_or(backend.weight);
}

struct Tally {
  uint64_t weight = 0;       // of all
  uint64_t live_weight = 0;  // of those that are up
  uint32_t members = 0;
  uint32_t live = 0;
};

Tally count(const config::Service& service, const std::vector<MemberHealth>& health) {
  Tally tally;
  for (size_t i = 0; i < service.backends.size(); ++i) {
    const config::Backend& backend = service.backends[i];
    if (!config::takes_part(backend)) continue;
    tally.weight += backend.weight;
    ++tally.members;
    if (!health[i].up) continue;
    tally.live_weight += weight_of(backend, health[i]);
    ++tally.live;
  }
  return tally;
}

uint64_t quorum_of(const config::Service& service, const Tally& tally) {
  return std::min<uint64_t>(service.quorum, std::max<uint64_t>(tally.weight, 1));
}

bool has_quorum(const config::Service& service, const Tally& tally,
                const std::optional<PoolState>& before) {
  if (tally.live_weight == 0) return false;
  const uint64_t quorum = quorum_of(service, tally);
  const uint64_t hysteresis = service.quorum_hysteresis;
  if (!before) return tally.live_weight >= quorum;
  if (before->quorum) return tally.live_weight + hysteresis >= quorum;
  return tally.live_weight >= std::min(quorum + hysteresis, tally.weight);
}

// The highest priority number that is needed for the quorum.
uint16_t last_pool(const config::Service& service, const std::vector<MemberHealth>& health,
                   uint64_t quorum) {
  std::vector<std::pair<uint16_t, uint64_t>> live;  // priority, weight
  for (size_t i = 0; i < service.backends.size(); ++i) {
    const uint64_t weight = weight_of(service.backends[i], health[i]);
    if (health[i].up && weight > 0) live.emplace_back(service.backends[i].priority, weight);
  }
  std::ranges::sort(live);
  uint64_t weight = 0;
  uint16_t last = UINT16_MAX;
  for (const auto& [priority, its_weight] : live) {
    if (weight >= quorum && priority != last) break;
    last = priority;
    weight += its_weight;
  }
  return last;
}

MemberUse use_of(const config::Service& service, const config::Backend& backend,
                 const MemberHealth& health) {
  if (health.up) return MemberUse::serve;
  return backend.inhibit_on_failure.value_or(service.inhibit_on_failure) ? MemberUse::quiescent
                                                                         : MemberUse::out;
}

void lay_over(config::Backend& backend, const MemberView& view, config::OnDown on_down) {
  if (!backend.enabled) return;
  switch (view.use) {
    case MemberUse::serve:
    case MemberUse::quiescent:
      backend.weight = weight_in_use(backend, view);
      return;
    case MemberUse::standby:
      if (backend.weight == 0) return;  // it drains, and has its deadline
      backend.enabled = false;
      backend.down = config::OnDown::keep;
      return;
    case MemberUse::out:
      if (backend.weight == 0 && on_down == config::OnDown::keep) return;
      backend.enabled = false;
      backend.down = on_down;
      return;
  }
}

}  // namespace

const MemberView* find_member(const PoolView& view, const config::BackendKey& key) {
  const auto member = std::ranges::lower_bound(view.members, key, {}, &MemberView::key);
  return member == view.members.end() || member->key != key ? nullptr : &*member;
}

uint16_t weight_in_use(const config::Backend& backend, const MemberView& member) {
  if (!config::takes_part(backend) || member.use != MemberUse::serve) return 0;
  const uint32_t weight = member.weight ? *member.weight : backend.weight;
  const uint32_t part = weight * member.permille / 1000;
  return static_cast<uint16_t>(weight == 0 ? 0 : std::max<uint32_t>(part, 1));
}

bool has_pool(const config::Service& service) {
  if (!service.checks.empty() || service.sorry_server) return true;
  return std::ranges::any_of(service.backends, [](const config::Backend& backend) {
    return backend.priority != 0 || !backend.checks.empty();
  });
}

MemberHealth health_at_start(const config::Service& service, const config::Backend& backend) {
  const auto starts_down = [](const config::Check& check) {
    return check.start == config::CheckStart::down;
  };
  return {.up = std::ranges::none_of(checks_of(service, backend), starts_down)};
}

PoolVerdict judge_pool(const config::Service& service, const std::vector<MemberHealth>& health,
                       const std::optional<PoolState>& before) {
  const Tally tally = count(service, health);
  PoolVerdict verdict;
  verdict.live_weight = tally.live_weight;
  verdict.state.quorum = has_quorum(service, tally, before);
  verdict.view.sorry = service.sorry_server && !verdict.state.quorum;
  verdict.state.panic =
      !verdict.view.sorry && tally.live < tally.members &&
      uint64_t{tally.live} * 100 < uint64_t{service.panic_percent} * tally.members;
  const uint16_t last = last_pool(service, health, quorum_of(service, tally));
  for (size_t i = 0; i < service.backends.size(); ++i) {
    const config::Backend& backend = service.backends[i];
    MemberView member{.key = config::key_of(backend),
                      .use = use_of(service, backend, health[i]),
                      .weight = health[i].weight,
                      .permille = health[i].permille};
    if (verdict.state.panic) {
      member.use = MemberUse::serve;
    } else if (member.use == MemberUse::serve && (verdict.view.sorry || backend.priority > last)) {
      member.use = MemberUse::standby;
    }
    verdict.view.members.push_back(member);
  }
  std::ranges::sort(verdict.view.members, {}, &MemberView::key);
  return verdict;
}

config::Backend sorry_backend(const config::SorryServer& sorry, bool serves) {
  config::Backend backend;
  backend.name = "sorry";
  backend.address = sorry.address;
  backend.port = sorry.port;
  backend.mode = sorry.mode;
  backend.enabled = serves;
  if (!serves) backend.down = config::OnDown::keep;
  return backend;
}

config::Service with_pool(const config::Service& service, const PoolView* view) {
  config::Service result = service;
  PoolView first;
  if (view == nullptr) {
    std::vector<MemberHealth> health;
    health.reserve(service.backends.size());
    for (const config::Backend& backend : service.backends)
      health.push_back(health_at_start(service, backend));
    first = judge_pool(service, health, std::nullopt).view;
    view = &first;
  }
  for (config::Backend& backend : result.backends) {
    const config::BackendKey key = config::key_of(backend);
    const MemberView* member = find_member(*view, key);
    MemberView its;
    its.key = key;
    if (member != nullptr) {
      its = *member;
    } else if (!health_at_start(service, backend).up) {
      its.use = MemberUse::out;
    } else if (view->sorry) {
      its.use = MemberUse::standby;
    }
    lay_over(backend, its, service.on_down);
  }
  if (service.sorry_server) {
    result.backends.push_back(sorry_backend(*service.sorry_server, view->sorry));
  }
  return result;
}

}  // namespace headgate::control
