#include "dataplane/lifetime.h"

#include <algorithm>

#include "dataplane/persistence.h"
#include "dataplane/tcp_state.h"

namespace headgate::dataplane {
namespace {

// What a connection in this state adds to the live counts.
struct Live {
  int32_t active;
  int32_t inactive;
};
Live live(StateWord state) noexcept {
  return {state.has(ConnFlag::counted_active) ? 1 : 0,
          state.has(ConnFlag::counted_inactive) ? 1 : 0};
}

void add_live_at_service(Worker& worker, const ConnCommon& connection, int32_t active,
                         int32_t inactive) noexcept {
  TrafficRow& service = worker.counters.services[connection.service_id];
  service.active.add(static_cast<uint64_t>(int64_t{active}));
  service.inactive.add(static_cast<uint64_t>(int64_t{inactive}));
}

void add_live(Worker& worker, const ConnCommon& connection, int32_t active,
              int32_t inactive) noexcept {
  worker.scheduler.count(connection.backend_id.load(std::memory_order_relaxed), active, inactive);
  add_live_at_service(worker, connection, active, inactive);
}

void count_out(Worker& worker, const ConnCommon& connection, StateWord state) noexcept {
  const auto [active, inactive] = live(state);
  if (active != 0 || inactive != 0) add_live(worker, connection, -active, -inactive);
}

// Half-open connections give way sooner when there are many.
uint32_t timeout_ticks(const Worker& worker, StateWord state) noexcept {
  const Settings& settings = worker.root->settings;
  if (worker.embryonic_pressure && state.has(ConnFlag::embryonic)) {
    return settings.embryonic_timeout_pressure_ticks;
  }
  if (state.has(ConnFlag::one_packet)) return one_packet_reply_ticks;
  return settings.timeout_ticks[static_cast<uint32_t>(state.state())];
}

// The owner's wheel holds the entry for its former, longer time-out: have it looked at sooner.
void rearm_sooner(Worker& worker, ConnRef ref, StateWord state) noexcept {
  if (state.owner() == worker.options.id) {
    worker.wheel.disarm(ref);
    worker.wheel.arm(ref, expiry(worker, ref));
  } else {
    (void)worker.shared.workers[state.owner()]->wheel.request_rearm(ref);
  }
}

bool drain_is_over(const Worker& worker, const ConnCommon& connection) noexcept {
  const BackendRow* backend = find_backend(worker.region, *worker.root,
                                           connection.backend_id.load(std::memory_order_relaxed));
  return backend != nullptr && deadline_passed(worker, *backend);
}

// Its backend refuses it: a reset in answer to the SYN.
void count_refusal(Worker& worker, const ConnCommon& connection, StateWord before,
                   Direction direction, ConnState next) noexcept {
  const bool in_handshake =
      before.state() == ConnState::syn_recv || before.state() == ConnState::syn_sent;
  if (!in_handshake || direction != Direction::reply || next != ConnState::close) return;
  const uint32_t id = connection.backend_id.load(std::memory_order_relaxed);
  worker.counters.backends[backend_index(id)].refused.add(1);
}

void count_unanswered(Worker& worker, const ConnCommon& connection) noexcept {
  const uint32_t id = connection.backend_id.load(std::memory_order_relaxed);
  worker.counters.unanswered[backend_index(id)].add(1);
}

}  // namespace

StateWord with_counts(StateWord state, bool udp_inactive) noexcept {
  const bool active = counts_as_active(state.state(), udp_inactive);
  state = state.without(ConnFlag::counted_active)
              .without(ConnFlag::counted_inactive)
              .without(ConnFlag::embryonic)
              .without(ConnFlag::syn_repeated)
              .without(ConnFlag::syn_settled);
  if (state.state() == ConnState::syn_recv) state = state.with(ConnFlag::embryonic);
  return state.with(active ? ConnFlag::counted_active : ConnFlag::counted_inactive);
}

void count_in(Worker& worker, ConnRef ref, StateWord published) noexcept {
  const auto [active, inactive] = live(published);
  add_live(worker, worker.connections.common(ref), active, inactive);
}

void count_in_at_service(Worker& worker, ConnRef ref, StateWord published) noexcept {
  const auto [active, inactive] = live(published);
  add_live_at_service(worker, worker.connections.common(ref), active, inactive);
}

void change_state(Worker& worker, ConnRef ref, Direction direction, uint8_t tcp_flags) noexcept {
  static constexpr int tries = 4;  // two packets of one connection rarely race more than once
  ConnCommon& connection = worker.connections.common(ref);
  StateWord before = connection.state();
  for (int i = 0; i < tries; ++i) {
    const ConnState next =
        next_state(before.state(), direction, tcp_flags, before.has(ConnFlag::half_view));
    if (next == before.state() || !before.is_settled()) return;
    const StateWord after = with_counts(before.with_state(next), false);
    if (!worker.connections.transition(worker.options.id, ref, before, after)) continue;
    count_refusal(worker, connection, before, direction, next);
    if (const int32_t change = live(after).active - live(before).active; change != 0) {
      add_live(worker, connection, change, -change);
    }
    connection.touch(worker.now.tick);
    if (before.has(ConnFlag::embryonic) && next == ConnState::established) {
      confirm_template(worker, ref);
    }
    if (timeout_ticks(worker, after) < timeout_ticks(worker, before)) {
      rearm_sooner(worker, ref, after);
    }
    return;
  }
}

// What a backend answered before the client repeated its SYN does not matter, since it answers that
// one as well: so a handshake without repetitions costs nothing here.
void note_handshake(Worker& worker, ConnRef ref, Direction direction, StateWord state) noexcept {
  if (!state.has(ConnFlag::has_reply_key) || !state.is_settled()) return;
  if (state.has(ConnFlag::syn_settled)) return;
  const bool again = state.has(ConnFlag::syn_repeated);
  if (!again && direction == Direction::reply) return;
  const StateWord after = state.with(again ? ConnFlag::syn_settled : ConnFlag::syn_repeated);
  // Another worker may have been first: that one has counted, or the next repetition is.
  if (!worker.connections.transition(worker.options.id, ref, state, after)) return;
  if (again && direction == Direction::forward) {
    count_unanswered(worker, worker.connections.common(ref));
  }
}

void end_connection(Worker& worker, ConnRef ref) noexcept {
  ConnCommon& connection = worker.connections.common(ref);
  const UnlinkResult result = worker.connections.unlink(worker.options.id, ref);
  if (!result.won) return;
  count_out(worker, connection, result.before);
  rearm_sooner(worker, ref, connection.state());
}

Tick expiry(const Worker& worker, ConnRef ref) noexcept {
  const ConnCommon& connection = worker.connections.common(ref);
  const StateWord state = connection.state();
  const Tick seen = connection.last_seen.load(std::memory_order_relaxed);
  if (state.has(ConnFlag::dying)) return worker.now.tick;
  if (connection.kind == EntryKind::persistence) {
    const uint32_t ticks = template_timeout_ticks(worker, ref);
    const bool gives_way = worker.embryonic_pressure && state.has(ConnFlag::embryonic);
    return seen + (gives_way ? std::min(ticks, timeout_ticks(worker, state)) : ticks);
  }
  return seen + timeout_ticks(worker, state);
}

Tick next_look(Worker& worker, ConnRef ref) noexcept {
  const Tick end = keep_template(worker, ref, expiry(worker, ref));
  if (!worker.connections.common(ref).state().has(ConnFlag::embryonic)) return end;
  // Pressure may begin before this one's usual time-out is over.
  const Tick sooner = worker.now.tick + worker.root->settings.embryonic_timeout_pressure_ticks;
  return static_cast<int32_t>(end - sooner) < 0 ? end : sooner;
}

std::optional<Tick> look_at_connection(Worker& worker, ConnRef ref) noexcept {
  const ConnCommon& connection = worker.connections.common(ref);
  const Tick end = expiry(worker, ref);
  if (!is_past(end, worker.now.tick) && !drain_is_over(worker, connection)) {
    return next_look(worker, ref);
  }
  // Of an entry that another worker unlinked, too: that one may not have removed both keys yet.
  const UnlinkResult result = worker.connections.unlink(worker.options.id, ref);
  if (result.won) {
    count_out(worker, connection, result.before);
    const bool repeated = result.before.has(ConnFlag::syn_repeated);
    if (repeated && !result.before.has(ConnFlag::syn_settled)) {
      count_unanswered(worker, connection);
    }
  }
  worker.connections.retire(worker.options.id, ref);
  return std::nullopt;
}

}  // namespace headgate::dataplane
