// What a worker keeps between flows: the state of its services and its view of live connections.
#include "dataplane/scheduler.h"

#include <algorithm>
#include <memory>

#include "dataplane/scheduler_pool.h"

namespace headgate::dataplane {

namespace {

constexpr uint64_t view_age_ns = 10'000'000;
constexpr uint32_t max_swept_at_once = 1024;
// How often a choice is repeated because the view of the chosen backend was old.
constexpr uint32_t max_choices = 64;

constexpr size_t cache_line = 64;
constexpr size_t rounded_up(size_t bytes) noexcept {
  return (bytes + cache_line - 1) / cache_line * cache_line;
}

}  // namespace

size_t scheduler_scratch_bytes(uint32_t backends) noexcept {
  if (backends <= scheduler_linear_backends) return 0;
  return rounded_up(TournamentTree::bytes_needed(std::min(backends, TournamentTree::max_players)));
}

size_t Scheduler::bytes_needed(const SchedulerLimits& limits) noexcept {
  static_assert(sizeof(ServiceState) == 48 && sizeof(BackendView) == 32);
  return rounded_up(limits.services * sizeof(ServiceState)) +
         rounded_up(limits.backends * sizeof(BackendView));
}

Scheduler::Scheduler(const SchedulerLimits& limits, std::span<std::byte> memory,
                     std::span<const CounterRows> workers, uint32_t self,
                     LocalityTable* locality) noexcept
    : workers_(workers), own_rows_(workers[self].backends), locality_(locality), self_(self) {
  const size_t service_bytes = rounded_up(limits.services * sizeof(ServiceState));
  auto* services = reinterpret_cast<ServiceState*>(memory.data());
  auto* backends = reinterpret_cast<BackendView*>(memory.data() + service_bytes);
  services_ = {services, limits.services};
  backends_ = {backends, limits.backends};
  std::uninitialized_fill(services_.begin(), services_.end(), ServiceState{});
  std::uninitialized_fill(backends_.begin(), backends_.end(), BackendView{});
  for (uint32_t index = 0; index < limits.backends; ++index)
    (void)refresh(index);
}

uint32_t Scheduler::schedule(RegionView region, const ServiceBlock& service, const NewFlow& flow,
                             uint64_t now_ns) noexcept {
  if (service.backends.count == 0) return none;
  Pool pool(region, service, services_[service.id], backends_, self_);
  follow_block(pool);
  apply_counts(pool);
  sweep(pool, now_ns);

  const bool by_locality = locality_ != nullptr && pool.remembers_destinations();
  const Pick pick = by_locality ? choose_by_locality(pool, flow, now_ns) : choose(pool, flow);
  if (pick.position == none || !pool.usable(pick.position)) return none;
  pool.remember(pick);
  return pool.index_of(pick.position);
}

Scheduler::Pick Scheduler::choose(Pool& pool, const NewFlow& flow) noexcept {
  Pick pick = pool.select(flow);
  for (uint32_t choices = 1; pick.position != none && !is_certain(pool, pick.position); ++choices) {
    pool.replay(pick.position);
    if (choices == max_choices) break;
    pick = pool.select(flow);
  }
  return pick;
}

// Whether the view of a backend that was chosen for its live connections, or has a threshold, holds
// what the workers' rows say; if not, it does now.
bool Scheduler::is_certain(const Pool& pool, uint32_t position) noexcept {
  const ServiceBackend& backend = pool.at(position);
  if (workers_.size() == 1) return true;
  if (!pool.looks_at_connections() && backend.upper_threshold == 0) return true;
  return !refresh(backend_index(backend.backend_id));
}

void Scheduler::count(uint32_t backend_id, int32_t active, int32_t inactive) noexcept {
  const uint32_t index = backend_index(backend_id);
  TrafficRow& row = own_rows_[index];
  if (active != 0) row.active.add(static_cast<uint64_t>(int64_t{active}));
  if (inactive != 0) row.inactive.add(static_cast<uint64_t>(int64_t{inactive}));

  BackendView& view = backends_[index];
  view.active += static_cast<uint32_t>(active);
  view.inactive += static_cast<uint32_t>(inactive);
  view.judge_overload();
  if (view.tracked && !view.changed) {
    ServiceState& state = services_[view.service];
    view.changed = true;
    view.next_changed = state.first_changed;
    state.first_changed = index;
    ++state.changed_count;
  }
}

// Takes the sums of all workers into the view. Whether they differed from what it held.
bool Scheduler::refresh(uint32_t index) noexcept {
  uint64_t active = 0;
  uint64_t inactive = 0;
  for (const CounterRows& worker : workers_) {
    active += worker.backends[index].active.get();
    inactive += worker.backends[index].inactive.get();
  }
  BackendView& view = backends_[index];
  if (view.active == static_cast<uint32_t>(active) &&
      view.inactive == static_cast<uint32_t>(inactive)) {
    return false;
  }
  view.active = static_cast<uint32_t>(active);
  view.inactive = static_cast<uint32_t>(inactive);
  view.judge_overload();
  return true;
}

// ---- a new block --------------------------------------------------------------------------------

void Scheduler::follow_block(Pool& pool) noexcept {
  ServiceState& state = pool.state();
  const ServiceBlock& service = pool.service();
  const uint64_t scratch = service.scheduler_scratch.first.value;
  if (state.followed && state.serial == service.serial && state.scratch == scratch) return;

  place_cursor(pool);
  place_backends(pool);
  forget_changes(state);
  pool.build();
  state.serial = service.serial;
  state.scratch = scratch;
  state.followed = true;
  state.sweep_position = 0;
  state.swept_at_ns = 0;  // nobody may have looked at these backends lately
}

// rr and wrr go on behind the backend chosen last, wherever that is now; if it is gone, the one
// that followed it has taken its place. LVS begins wrr's lap anew at each change.
void Scheduler::place_cursor(Pool& pool) noexcept {
  ServiceState& state = pool.state();
  const ServiceBlock& service = pool.service();
  if (service.scheduler != SchedulerKind::rr && service.scheduler != SchedulerKind::wrr) return;

  uint32_t next = state.next_position == 0 ? 0 : state.next_position - 1;
  for (uint32_t p = 0; p < pool.count(); ++p) {
    if (pool.at(p).backend_id == state.last_id) next = p + 1;
  }
  const bool lvs_order = (service.flags & service_newest_first) != 0;
  state.next_position = lvs_order && service.scheduler == SchedulerKind::wrr ? 0 : next;

  const uint32_t divisor = service.weight_gcd;
  if (state.level >= service.weight_max) {
    state.level = service.weight_max - divisor;
  } else {
    state.level = state.level / divisor * divisor;
  }
}

void Scheduler::place_backends(Pool& pool) noexcept {
  ServiceState& state = pool.state();
  const uint32_t service_id = pool.service().id;
  state.follows_live = pool.looks_at_connections();
  for (uint32_t p = 0; p < pool.count(); ++p) {
    const ServiceBackend& backend = pool.at(p);
    BackendView& view = pool.view(p);
    if (view.changed && view.service != service_id) {
      // The index belonged to a backend of another service, whose list this takes apart.
      ServiceState& former = services_[view.service];
      forget_changes(former);
      former.followed = false;
    }
    view.id = backend.backend_id;
    view.service = service_id;
    view.position = static_cast<uint16_t>(p);
    view.upper_threshold = backend.upper_threshold;
    view.lower_threshold = backend.lower_threshold;
    view.judge_overload();
    view.tracked = pool.has_tree() && (pool.looks_at_connections() || backend.upper_threshold != 0);
    state.follows_live |= backend.upper_threshold != 0;
  }
}

// ---- live connections ---------------------------------------------------------------------------

void Scheduler::forget_changes(ServiceState& state) noexcept {
  for (uint32_t index = state.first_changed; index != none;) {
    BackendView& view = backends_[index];
    view.changed = false;
    index = view.next_changed;
  }
  state.first_changed = none;
  state.changed_count = 0;
}

// Brings the tree up to date with what count() changed since the last flow.
void Scheduler::apply_counts(Pool& pool) noexcept {
  ServiceState& state = pool.state();
  if (state.first_changed == none) return;
  // A match costs the same either way; a replay plays about log2(count) of them.
  if (state.changed_count > pool.count() / 8) {
    forget_changes(state);
    pool.build();
    return;
  }
  for (uint32_t index = state.first_changed; index != none;) {
    BackendView& view = backends_[index];
    const bool is_here =
        view.position < pool.count() && pool.at(view.position).backend_id == view.id;
    if (is_here) pool.replay(view.position);  // else it left the service with connections open
    view.changed = false;
    index = view.next_changed;
  }
  state.first_changed = none;
  state.changed_count = 0;
}

// Looks at what other workers counted, at a pace that goes round all backends in view_age_ns.
void Scheduler::sweep(Pool& pool, uint64_t now_ns) noexcept {
  ServiceState& state = pool.state();
  if (workers_.size() == 1 || !state.follows_live) return;
  const uint64_t age_ns = std::min(now_ns - state.swept_at_ns, view_age_ns);
  const uint64_t due = (pool.count() * age_ns + view_age_ns - 1) / view_age_ns;
  state.swept_at_ns = now_ns;
  for (uint64_t i = 0; i < std::min<uint64_t>(due, max_swept_at_once); ++i) {
    if (state.sweep_position >= pool.count()) state.sweep_position = 0;
    const uint32_t position = state.sweep_position++;
    if (refresh(backend_index(pool.at(position).backend_id))) pool.replay(position);
  }
}

}  // namespace headgate::dataplane
