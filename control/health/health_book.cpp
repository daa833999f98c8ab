#include "control/health/health_book.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

namespace headgate::control {

using config::BackendKey;
using config::ServiceKey;

namespace {

// What differs between nearly all probes; the rest is compared.
uint64_t hash_of(const ProbeSpec& spec) {
  const std::string_view bytes(reinterpret_cast<const char*>(spec.target.address.bytes.data()),
                               spec.target.address.bytes.size());
  const uint64_t rest = uint64_t{spec.target.port} << 32 |
                        uint64_t{static_cast<uint8_t>(spec.check.type)} << 24 |
                        (spec.check.interval_ms & 0xffffff);
  return std::hash<std::string_view>{}(bytes) ^ rest * 0x9e3779b97f4a7c15ULL;
}

ProbeSpec spec_of(const config::Service& service, const config::Backend& backend,
                  const config::Check& check) {
  ProbeSpec spec{.check = check,
                 .target = {.address = check.address.value_or(backend.address),
                            .port = check.port.value_or(backend.port)},
                 .data_path = std::nullopt};
  if (check.data_path) {
    spec.data_path = DataPath{config::key_of(service), config::key_of(backend)};
  }
  return spec;
}

// `connection refused (3 of 3)`: how often it had to say so.
std::string fall_reason(const config::Check& check, const std::string& reason) {
  const uint32_t attempts = attempts_to_fall(check);
  return attempts > 1 ? fmt::format("{} ({} of {})", reason, attempts, attempts) : reason;
}

void restore_life(const SavedService& saved, const BackendKey& key, BackendLife& life) {
  const auto found = std::ranges::find(saved.backends, key, &SavedBackend::key);
  if (found != saved.backends.end()) life = found->life;
}

}  // namespace

HealthBook::HealthBook() = default;
HealthBook::~HealthBook() = default;

void HealthBook::restore(std::vector<SavedService> saved) {
  for (SavedService& service : saved) {
    const ServiceKey key = service.key;
    saved_.insert_or_assign(key, std::move(service));
  }
}

void HealthBook::put_service(const config::Service& service, Moment now, Update& update) {
  const ServiceKey key = config::key_of(service);
  std::unique_ptr<Watched>& place = services_[key];
  if (!place) place = std::make_unique<Watched>();
  const auto restored = saved_.find(key);
  if (restored != saved_.end()) place->pool = PoolState{.quorum = restored->second.quorum};
  put_members(*place, service, now, update);
  if (restored != saved_.end()) saved_.erase(restored);
  judge(*place, now, update);
}

void HealthBook::put_members(Watched& watched, const config::Service& service, Moment now,
                             Update& update) {
  const config::Service service_before = std::exchange(watched.service, service);
  std::vector<Member> members_before = std::exchange(watched.members, {});
  const auto index_before = std::exchange(watched.index, {});
  const bool same_checks = service_before.checks == service.checks;
  const auto restored = saved_.find(config::key_of(service));
  watched.members.resize(service.backends.size());
  for (size_t i = 0; i < service.backends.size(); ++i) {
    const config::Backend& backend = service.backends[i];
    Member& member = watched.members[i];
    const BackendKey key = config::key_of(backend);
    watched.index.emplace(key, i);
    const auto known = index_before.find(key);
    if (known != index_before.end()) {
      member = std::exchange(members_before[known->second], {});
      if (same_checks && service_before.backends[known->second] == backend) continue;
    } else {
      member.key = key;
      member.life.since = now.wall_ms;
      member.life.up = health_at_start(service, backend).up;
      if (restored != saved_.end()) restore_life(restored->second, member.key, member.life);
    }
    put_member(watched, i, member, update);
  }
  for (const Member& gone : members_before) {
    for (const ProbeId id : gone.probes)
      leave_probe(id, watched, gone.key, update);
  }
}

void HealthBook::put_member(Watched& watched, size_t index, Member& member, Update& update) {
  const config::Backend& backend = watched.service.backends[index];
  put_probes(watched, backend, member, update);
  BackendLife& life = member.life;
  if (member.probes.empty()) {
    // Nobody says anything of it any more.
    life.up = true;
    life.known = false;
    life.weight.reset();
    life.rise_ms.reset();
    life.reason.clear();
  } else if (!life.known) {
    life.up = std::ranges::all_of(member.probes, [&](ProbeId id) {
      return counts_as_up(probes_.at(id).spec.check, probes_.at(id).machine);
    });
  }
}

// A disabled backend is not asked.
void HealthBook::put_probes(Watched& watched, const config::Backend& backend, Member& member,
                            Update& update) {
  std::vector<ProbeId> wanted;
  if (backend.enabled) {
    for (const config::Check& check : checks_of(watched.service, backend)) {
      wanted.push_back(
          use_probe(spec_of(watched.service, backend, check), watched, member, update));
    }
  }
  for (const ProbeId id : std::exchange(member.probes, std::move(wanted)))
    leave_probe(id, watched, member.key, update);
}

ProbeId HealthBook::use_probe(ProbeSpec spec, Watched& watched, const Member& member,
                              Update& update) {
  const uint64_t hash = hash_of(spec);
  const auto [begin, end] = probe_ids_.equal_range(hash);
  const auto same = std::find_if(
      begin, end, [&](const auto& entry) { return probes_.at(entry.second).spec == spec; });
  ProbeId id = same == end ? next_id_ : same->second;
  if (same == end) {
    while (probes_.contains(next_id_))
      ++next_id_;
    id = next_id_++;
    Probe& probe = probes_[id];
    probe.spec = std::move(spec);
    // A check that was changed goes on from what was known of its backend.
    if (member.life.known) {
      probe.machine.verdict = member.life.up ? CheckVerdict::up : CheckVerdict::down;
      probe.reason = member.life.reason;
    }
    probe_ids_.emplace(hash, id);
    update.started.push_back(id);
  }
  probes_.at(id).users.emplace_back(&watched, member.key);
  return id;
}

void HealthBook::leave_probe(ProbeId id, const Watched& watched, const BackendKey& key,
                             Update& update) {
  Probe& probe = probes_.at(id);
  const auto user = std::ranges::find_if(probe.users, [&](const auto& entry) {
    return entry.first == &watched && entry.second == key;
  });
  if (user != probe.users.end()) probe.users.erase(user);
  if (!probe.users.empty()) return;
  const auto [begin, end] = probe_ids_.equal_range(hash_of(probe.spec));
  probe_ids_.erase(
      std::find_if(begin, end, [id](const auto& entry) { return entry.second == id; }));
  probes_.erase(id);
  // One that was begun by the same update never ran.
  if (std::erase(update.started, id) == 0) update.ended.push_back(id);
}

void HealthBook::remove_service(const ServiceKey& key, Update& update) {
  const auto found = services_.find(key);
  if (found == services_.end()) return;
  for (const Member& member : found->second->members) {
    for (const ProbeId id : member.probes)
      leave_probe(id, *found->second, member.key, update);
  }
  if (found->second->view) update.pools.push_back(key);
  ramping_.erase(key);
  unsettled_.erase(key);
  services_.erase(found);
}

std::vector<ServiceKey> HealthBook::services() const {
  std::vector<ServiceKey> keys;
  keys.reserve(services_.size());
  for (const auto& [key, watched] : services_)
    keys.push_back(key);
  return keys;
}

std::chrono::milliseconds HealthBook::result(ProbeId id, const ProbeOutcome& outcome, Moment now,
                                             Update& update) {
  const auto found = probes_.find(id);
  if (found == probes_.end()) return {};
  Probe& probe = found->second;
  const CheckStep step = after_attempt(probe.spec.check, probe.machine, outcome.up);
  const bool differs = step.decided || outcome.weight != probe.weight;
  const bool was_up = counts_as_up(probe.spec.check, probe.machine);
  probe.machine = step.machine;
  probe.last = now.wall_ms;
  probe.weight = outcome.weight;
  probe.reason = outcome.reason;
  if (!differs) return step.next;
  const bool falls = was_up && probe.machine.verdict == CheckVerdict::down;
  if (falls && !probe.spec.check.first_failure_decides) {
    probe.reason = fall_reason(probe.spec.check, outcome.reason);
  }
  for (const auto& [watched, key] : std::vector(probe.users))
    member_changed(*watched, key, probe, now, update);
  return step.next;
}

void HealthBook::member_changed(Watched& watched, const BackendKey& key, const Probe& cause,
                                Moment now, Update& update) {
  const auto place = watched.index.find(key);
  if (place == watched.index.end()) return;
  Member* const member = &watched.members[place->second];
  bool up = true;
  bool known = true;
  std::optional<uint16_t> weight;
  for (const ProbeId id : member->probes) {
    const Probe& probe = probes_.at(id);
    up &= counts_as_up(probe.spec.check, probe.machine);
    known &= probe.machine.verdict != CheckVerdict::unknown;
    if (probe.weight) weight = probe.weight;
  }
  const bool weight_differs = std::exchange(member->life.weight, weight) != weight;
  bool changed = false;
  if (known || !up) {
    const bool had_been_so = !member->life.known && member->life.up == up;
    changed = set_up(member->life, up, cause.reason, now);
    if (watched.service.slow_start_s == 0) member->life.rise_ms.reset();
    if (changed) {
      update.events.push_back({.service = config::key_of(watched.service),
                               .backend = key,
                               .up = up,
                               .first = had_been_so && up,
                               .reason = cause.reason,
                               .at = now.wall_ms});
    }
  }
  if (changed || weight_differs) unsettled_.insert(config::key_of(watched.service));
}

void HealthBook::settle(Moment now, Update& update) {
  for (const ServiceKey& key : std::exchange(unsettled_, {}))
    judge(*services_.at(key), now, update);
}

void HealthBook::judge(Watched& watched, Moment now, Update& update) {
  const config::Service& service = watched.service;
  const ServiceKey key = config::key_of(service);
  if (!has_pool(service)) {
    if (std::exchange(watched.view, nullptr)) update.pools.push_back(key);
    watched.pool.reset();
    ramping_.erase(key);
    return;
  }
  PoolVerdict verdict = judge_pool(service, health_of(watched, now), watched.pool);
  const auto before = std::exchange(watched.pool, verdict.state);
  if (before && before->quorum != verdict.state.quorum) {
    tell_quorum(service, verdict, now, update);
  }
  if (watched.view && *watched.view == verdict.view) return;
  watched.view = std::make_shared<const PoolView>(std::move(verdict.view));
  if (std::ranges::find(update.pools, key) == update.pools.end()) update.pools.push_back(key);
}

std::vector<MemberHealth> HealthBook::health_of(Watched& watched, Moment now) {
  const config::Service& service = watched.service;
  std::vector<MemberHealth> health;
  health.reserve(watched.members.size());
  bool ramps = false;
  for (Member& member : watched.members) {
    BackendLife& life = member.life;
    const uint16_t permille = slow_start_permille(life, service.slow_start_s, now.steady_ms);
    if (permille == 1000) life.rise_ms.reset();
    ramps |= life.rise_ms.has_value();
    health.push_back({.up = life.up, .weight = life.weight, .permille = permille});
  }
  if (ramps) {
    ramping_.insert(config::key_of(service));
  } else {
    ramping_.erase(config::key_of(service));
  }
  return health;
}

void HealthBook::tell_quorum(const config::Service& service, const PoolVerdict& verdict, Moment now,
                             Update& update) {
  update.events.push_back({.service = config::key_of(service),
                           .backend = std::nullopt,
                           .up = verdict.state.quorum,
                           .first = false,
                           .reason = fmt::format("weight {} is up, the quorum is {}",
                                                 verdict.live_weight, service.quorum),
                           .at = now.wall_ms});
}

void HealthBook::ramp(Moment now, Update& update) {
  for (const ServiceKey& key : std::vector(ramping_.begin(), ramping_.end()))
    judge(*services_.at(key), now, update);
}

const ProbeSpec& HealthBook::probe(ProbeId id) const {
  return probes_.at(id).spec;
}

const HealthBook::Watched* HealthBook::find(const ServiceKey& key) const {
  const auto found = services_.find(key);
  return found == services_.end() ? nullptr : found->second.get();
}

const HealthBook::Member* HealthBook::find(const ServiceKey& service,
                                           const BackendKey& backend) const {
  const Watched* watched = find(service);
  if (watched == nullptr) return nullptr;
  const auto place = watched->index.find(backend);
  return place == watched->index.end() ? nullptr : &watched->members[place->second];
}

std::shared_ptr<const PoolView> HealthBook::view(const ServiceKey& key) const {
  const Watched* watched = find(key);
  return watched == nullptr ? nullptr : watched->view;
}

std::optional<PoolState> HealthBook::pool_state(const ServiceKey& key) const {
  const Watched* watched = find(key);
  return watched == nullptr ? std::nullopt : watched->pool;
}

const BackendLife* HealthBook::life(const ServiceKey& service, const BackendKey& backend) const {
  const Member* member = find(service, backend);
  return member == nullptr ? nullptr : &member->life;
}

std::vector<CheckStatus> HealthBook::checks(const ServiceKey& service,
                                            const BackendKey& backend) const {
  std::vector<CheckStatus> list;
  const Member* member = find(service, backend);
  if (member == nullptr) return list;
  for (const ProbeId id : member->probes) {
    const Probe& probe = probes_.at(id);
    list.push_back({&probe.spec, &probe.machine, &probe.reason, probe.last});
  }
  return list;
}

std::vector<ProbeId> HealthBook::probes_of(const ServiceKey& service,
                                           const BackendKey& backend) const {
  const Member* member = find(service, backend);
  return member == nullptr ? std::vector<ProbeId>{} : member->probes;
}

std::optional<SavedService> HealthBook::saved(const ServiceKey& key) const {
  const Watched* watched = find(key);
  if (watched == nullptr || !watched->view) return std::nullopt;
  SavedService saved{.key = key, .quorum = watched->pool->quorum, .backends = {}};
  for (size_t i = 0; i < watched->members.size(); ++i) {
    const Member& member = watched->members[i];
    const bool as_at_start = health_at_start(watched->service, watched->service.backends[i]).up;
    const bool quiet = member.life.up == as_at_start && member.life.history.size() <= 1;
    if (member.life.known && !quiet) saved.backends.push_back({member.key, member.life});
  }
  if (saved.quorum && saved.backends.empty()) return std::nullopt;
  return saved;
}

const config::Service* HealthBook::service(const ServiceKey& key) const {
  const Watched* watched = find(key);
  return watched == nullptr ? nullptr : &watched->service;
}

}  // namespace headgate::control
