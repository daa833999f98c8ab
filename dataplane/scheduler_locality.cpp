// lblc and lblcr: who serves a destination goes on to do so, unless it has too much to do and
// another has room.
#include <array>

#include "dataplane/scheduler.h"
#include "dataplane/scheduler_pool.h"

namespace headgate::dataplane {
namespace {

constexpr uint64_t ns_per_tick = 1'000'000'000 / ticks_per_second;

}  // namespace

// The backends that a destination is remembered with, by the places of its memory.
struct Scheduler::Serving {
  std::array<uint32_t, locality_servers> positions{};  // none: nobody, or none of the service's
  uint32_t places = 1;                                 // that the scheduler makes use of
  uint32_t count = 0;

  // The place for one more: a free one, or else that of the most loaded.
  uint32_t place_for_another = 0;
  uint32_t most_loaded = none;   // place
  uint32_t least_loaded = none;  // position of one that may be used
};

uint32_t Scheduler::position_of(const Pool& pool, uint32_t backend_id) const noexcept {
  if (backend_id == none) return none;
  const uint32_t index = backend_index(backend_id);
  if (index >= backends_.size()) return none;
  const BackendView& view = backends_[index];
  const bool is_here = view.id == backend_id && view.position < pool.count() &&
                       pool.at(view.position).backend_id == backend_id;
  return is_here ? view.position : none;
}

// With their connections as they are now: few backends serve one destination.
Scheduler::Serving Scheduler::serving(Pool& pool, const Locality& known) noexcept {
  Serving result;
  if (pool.service().scheduler == SchedulerKind::lblcr) result.places = locality_servers;
  uint32_t free = none;
  for (uint32_t place = 0; place < result.places; ++place) {
    const uint32_t position = position_of(pool, known.server(place));
    result.positions[place] = position;
    if (position == none) {
      if (free == none) free = place;
      continue;
    }
    ++result.count;
    if (workers_.size() > 1 && refresh(backend_index(pool.at(position).backend_id))) {
      pool.replay(position);
    }
    if (pool.at(position).weight == 0) continue;
    // Of equals the first is the least loaded one and the last the most.
    if (result.most_loaded == none ||
        !pool.is_less_loaded(position, result.positions[result.most_loaded])) {
      result.most_loaded = place;
    }
    if (pool.usable(position) &&
        (result.least_loaded == none || pool.is_less_loaded(position, result.least_loaded))) {
      result.least_loaded = position;
    }
  }
  if (free != none) {
    result.place_for_another = free;
  } else if (result.most_loaded != none) {
    result.place_for_another = result.most_loaded;
  }
  return result;
}

// Whether one of several has to go, other than the one that may be chosen.
bool Scheduler::shrinks(const Serving& who, const Locality& known, Tick now) noexcept {
  return who.count > 1 && who.most_loaded != none &&
         who.positions[who.most_loaded] != who.least_loaded &&
         is_past(known.changed() + locality_shrink_ticks, now);
}

// The position of who serves the destination from now on: the given one, or that of a worker who
// was first.
uint32_t Scheduler::remember_server(const Pool& pool, Locality& known, const Serving& serving,
                                    uint32_t position, Tick now) noexcept {
  for (uint32_t place = 0; place < serving.places; ++place) {
    if (serving.positions[place] == position) return position;
  }
  const uint32_t id =
      locality_->put(known, serving.place_for_another, pool.at(position).backend_id, now);
  const uint32_t adopted = position_of(pool, id);
  return adopted != none && pool.usable(adopted) ? adopted : position;
}

Scheduler::Pick Scheduler::choose_by_locality(Pool& pool, const NewFlow& flow,
                                              uint64_t now_ns) noexcept {
  const Tick now = static_cast<Tick>(now_ns / ns_per_tick);
  Locality known = locality_->find(pool.service().id, flow.destination, now);
  Serving who = serving(pool, known);
  const uint32_t least = who.least_loaded;
  if (shrinks(who, known, now) && locality_->remove(known, who.most_loaded, now)) {
    who.positions[who.most_loaded] = none;
    who.place_for_another = who.most_loaded;
  }
  if (least != none && !(pool.is_overfull(least) && pool.has_half_idle())) {
    return {.position = least};
  }
  const Pick pick = choose(pool, flow);
  if (pick.position == none || !pool.usable(pick.position)) return pick;
  return {.position = remember_server(pool, known, who, pick.position, now)};
}

}  // namespace headgate::dataplane
