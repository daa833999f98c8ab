// The schedulers themselves: what each of them takes from its pool of backends.
#include "dataplane/scheduler_pool.h"

namespace headgate::dataplane {

// ---- rules --------------------------------------------------------------------------------------

// fo, and the order by which rr, wrr and the hashes find the next backend that may be used.
struct Scheduler::Pool::Heaviest {
  const Pool& pool;
  [[nodiscard]] bool plays(uint16_t p) const noexcept { return pool.usable(p); }
  [[nodiscard]] bool beats(uint16_t b, uint16_t a) const noexcept {
    return pool.at(b).weight > pool.at(a).weight;
  }
};

// ovf
struct Scheduler::Pool::Overflowing : Heaviest {
  [[nodiscard]] bool plays(uint16_t p) const noexcept {
    return pool.usable(p) && !pool.is_overfull(p);
  }
};

struct Scheduler::Pool::LeastConnections : Heaviest {
  [[nodiscard]] uint64_t load(uint16_t p) const noexcept {
    const BackendView& view = pool.view(p);
    return view.active_connections() * 255 + view.connections();  // 256 · active + inactive
  }
  [[nodiscard]] bool beats(uint16_t b, uint16_t a) const noexcept { return load(b) < load(a); }
};

// load / weight, compared without division. A weight is at most 65535 and a load below 2^40.
struct Scheduler::Pool::LeastWeightedConnections : LeastConnections {
  [[nodiscard]] bool beats(uint16_t b, uint16_t a) const noexcept {
    return load(b) * pool.at(a).weight < load(a) * pool.at(b).weight;
  }
};

struct Scheduler::Pool::ShortestDelay : Heaviest {
  [[nodiscard]] uint64_t active(uint16_t p) const noexcept {
    return pool.view(p).active_connections();
  }
  [[nodiscard]] bool beats(uint16_t b, uint16_t a) const noexcept {
    return (active(b) + 1) * pool.at(a).weight < (active(a) + 1) * pool.at(b).weight;
  }
};

struct Scheduler::Pool::NeverQueue : ShortestDelay {
  [[nodiscard]] bool beats(uint16_t b, uint16_t a) const noexcept {
    if (active(a) == 0) return false;  // the first idle one, whatever its weight
    return active(b) == 0 || ShortestDelay::beats(b, a);
  }
};

template <class Action>
auto Scheduler::Pool::with_rules(Action&& action) const noexcept {
  switch (service_.scheduler) {
    case SchedulerKind::lc:
      return action(LeastConnections{{*this}});
    case SchedulerKind::ovf:
      return action(Overflowing{{*this}});
    case SchedulerKind::wlc:
    case SchedulerKind::lblc:
    case SchedulerKind::lblcr:
      return action(LeastWeightedConnections{{{*this}}});
    case SchedulerKind::sed:
      return action(ShortestDelay{{*this}});
    case SchedulerKind::nq:
      return action(NeverQueue{{{*this}}});
    default:
      return action(Heaviest{*this});
  }
}

// ---- choices ------------------------------------------------------------------------------------

Scheduler::Pick Scheduler::Pool::select(const NewFlow& flow) const noexcept {
  switch (service_.scheduler) {
    case SchedulerKind::rr:
      return round_robin();
    case SchedulerKind::wrr:
      return weighted_round_robin();
    case SchedulerKind::sh:
    case SchedulerKind::dh:
    case SchedulerKind::mh:
      return hashed(flow);
    default:
      return {.position = best()};
  }
}

Scheduler::Pick Scheduler::Pool::round_robin() const noexcept {
  const uint32_t position = heavier_from(state_.next_position, 0);
  return {.position = position != none ? position : heavier_from(0, 0)};
}

// Laps over the list. In a lap at level l, whoever weighs more than l is chosen. The level goes
// down by the greatest common divisor each lap, from the highest weight minus that to 0 and up
// again, so a backend is chosen in (weight / divisor) of (highest weight / divisor) laps. As in LVS
// the very first lap is the one at 0: everybody once.
Scheduler::Pick Scheduler::Pool::weighted_round_robin() const noexcept {
  const uint32_t position = heavier_from(state_.next_position, state_.level);
  if (position != none) return {.position = position, .level = state_.level};

  const uint32_t heaviest = best();
  if (heaviest == none) return {};
  const uint32_t divisor = service_.weight_gcd;
  uint32_t level = state_.level >= divisor ? state_.level - divisor : service_.weight_max - divisor;
  // Laps in which nobody would be chosen, as the heaviest are overloaded, are left out.
  level = std::min(level, at(heaviest).weight - divisor);
  return {.position = heavier_from(0, level), .level = level};
}

namespace {

// Places in the table that a flow tries before it takes the next usable backend of the list.
constexpr uint32_t hash_tries = 32;

uint32_t flow_hash(const ServiceBlock& service, const NewFlow& flow) noexcept {
  const bool with_port = (service.flags & service_hash_with_port) != 0;
  uint64_t port = flow.source_port.raw();
  switch (service.scheduler) {
    case SchedulerKind::dh:
      return mix_hash(address_hash(flow.destination));
    case SchedulerKind::sh:
    case SchedulerKind::mh:
      if (!with_port) port = 0;
      break;
    default:  // the stateless choice of a service that does not schedule by hash
      break;
  }
  return mix_hash(address_hash(flow.source) | (port << 32));
}

uint32_t table_slot(uint32_t hash, uint32_t attempt, uint32_t size) noexcept {
  const uint32_t spread = attempt == 0 ? hash : mix_hash(hash | (uint64_t{attempt} << 32));
  return static_cast<uint32_t>((uint64_t{spread} * size) >> 32);
}

// The first backend on the flow's way through the table that `accepts` its index, or none.
template <class Accepts>
uint32_t first_hashed(const uint16_t* table, const ServiceBlock& service, uint32_t hash,
                      const Accepts& accepts) noexcept {
  const uint32_t size = service.maglev.count;
  const uint32_t tries = (service.flags & service_no_fallback) != 0 ? 1 : hash_tries;
  for (uint32_t attempt = 0; size != 0 && attempt < tries; ++attempt) {
    const uint16_t index = table[table_slot(hash, attempt, size)];
    if (index < service.backends.count && accepts(index)) return index;
  }
  return none;
}

}  // namespace

Scheduler::Pick Scheduler::Pool::hashed(const NewFlow& flow) const noexcept {
  const uint32_t hash = flow_hash(service_, flow);
  const uint32_t index = first_hashed(table_, service_, hash,
                                      [this](uint32_t i) noexcept { return usable(index_of(i)); });
  if (index != none) return {.position = index_of(index)};
  if ((service_.flags & service_no_fallback) != 0 || service_.maglev.count == 0) return {};
  const uint32_t position = heavier_from(hash % count_, 0);
  return {.position = position != none ? position : heavier_from(0, 0)};
}

uint32_t stateless_backend(RegionView region, const ServiceBlock& service,
                           const NewFlow& flow) noexcept {
  const ServiceBackend* backends = region.at(service.backends.first);
  return first_hashed(region.at(service.maglev.first), service, flow_hash(service, flow),
                      [=](uint32_t i) noexcept { return backends[i].weight != 0; });
}

bool Scheduler::Pool::is_less_loaded(uint32_t b, uint32_t a) const noexcept {
  return LeastWeightedConnections{{{*this}}}.beats(static_cast<uint16_t>(b),
                                                   static_cast<uint16_t>(a));
}

// The least loaded one has it, mostly; inactive connections may hide another.
bool Scheduler::Pool::has_half_idle() const noexcept {
  const uint32_t least = best();
  if (least != none && is_half_idle(least)) return true;
  for (uint32_t p = 0; p < count_; ++p) {
    if (is_half_idle(p)) return true;
  }
  return false;
}

// ---- searches -----------------------------------------------------------------------------------

// The winner by the scheduler's rules, or none.
uint32_t Scheduler::Pool::best() const noexcept {
  if (tree_) return tree_->winner() == TournamentTree::nobody ? none : tree_->winner();
  return with_rules([this](const auto& rules) noexcept {
    uint32_t result = none;
    for (uint32_t p = 0; p < count_; ++p) {
      const auto player = static_cast<uint16_t>(p);
      if (!rules.plays(player)) continue;
      if (result == none || rules.beats(player, static_cast<uint16_t>(result))) result = p;
    }
    return result;
  });
}

// The first usable backend from `position` on that weighs more than `weight`, or none.
uint32_t Scheduler::Pool::heavier_from(uint32_t position, uint32_t weight) const noexcept {
  if (tree_) {
    const uint16_t found = tree_->first_from(
        position, Heaviest{*this}, [&](uint16_t p) noexcept { return at(p).weight > weight; });
    return found == TournamentTree::nobody ? none : found;
  }
  for (uint32_t p = position; p < count_; ++p) {
    if (at(p).weight > weight && usable(p)) return p;
  }
  return none;
}

void Scheduler::Pool::build() noexcept {
  if (!tree_) return;
  with_rules([this](const auto& rules) noexcept { tree_->build(rules); });
}

void Scheduler::Pool::replay(uint32_t position) noexcept {
  if (!tree_) return;
  with_rules([&](const auto& rules) noexcept { tree_->replay(position, rules); });
}

}  // namespace headgate::dataplane
