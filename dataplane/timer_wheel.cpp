#include "dataplane/timer_wheel.h"

#include <algorithm>

namespace headgate::dataplane {

namespace {
// Bound on a producer's attempts to get a place in the ring while others get theirs.
constexpr uint32_t max_put_tries = 64;
}  // namespace

TimerWheel::TimerWheel(ConnTable& table, uint32_t worker, Tick now)
    : table_(&table),
      worker_(worker),
      current_(now),
      lists_(std::make_unique<ConnRef[]>(size_t{wheel_slots} * lanes)),
      requests_(std::make_unique<Request[]>(rearm_ring_entries)) {
  static_assert(wheel_slots * lanes <= ~list_tag);
  for (uint32_t i = 0; i < rearm_ring_entries; ++i)
    requests_[i].turn.store(i);
}

void TimerWheel::arm(ConnRef ref, Tick at) noexcept {
  const Tick earliest = current_ + (in_slot_ ? 1 : 0);
  const Tick latest = current_ + wheel_slots - 1;
  if (static_cast<int32_t>(at - earliest) < 0) at = earliest;
  if (static_cast<int32_t>(at - latest) > 0) at = latest;
  const uint32_t list = list_of(ref, at);
  ConnCommon& entry = table_->common(ref);
  const ConnRef next = lists_[list];
  entry.timer_next = next.value;
  entry.timer_prev = list_tag | list;
  if (!next.is_none()) table_->common(next).timer_prev = ref.value;
  lists_[list] = ref;
}

void TimerWheel::disarm(ConnRef ref) noexcept {
  ConnCommon& entry = table_->common(ref);
  const uint32_t prev = entry.timer_prev;
  if (prev == no_conn.value) return;
  const ConnRef next{entry.timer_next};
  if ((prev & list_tag) == list_tag) {
    lists_[prev & ~list_tag] = next;
  } else {
    table_->common(ConnRef{prev}).timer_next = next.value;
  }
  if (!next.is_none()) table_->common(next).timer_prev = prev;
  entry.timer_next = no_conn.value;
  entry.timer_prev = no_conn.value;
}

bool TimerWheel::is_armed(ConnRef ref) const noexcept {
  return table_->common(ref).timer_prev != no_conn.value;
}

bool TimerWheel::owns(ConnRef ref) const noexcept {
  const StateWord state = table_->common(ref).state();
  return state.has(ConnFlag::published) && state.owner() == worker_;
}

void TimerWheel::rebuild() {
  const auto scan = [this](bool v6, uint32_t capacity) {
    for (uint32_t index = 0; index < capacity; ++index) {
      const ConnRef ref = ConnRef::make(v6, index);
      if (owns(ref)) arm(ref, current_ + index % ticks_per_second);
    }
  };
  scan(false, table_->capacity(net::Family::ipv4));
  scan(true, table_->capacity(net::Family::ipv6));
}

bool TimerWheel::request_rearm(ConnRef ref) noexcept {
  uint32_t position = put_.load(std::memory_order_relaxed);
  for (uint32_t tries = 0; tries < max_put_tries; ++tries) {
    Request& request = requests_[position % rearm_ring_entries];
    const uint32_t turn = request.turn.load(std::memory_order_acquire);
    if (turn == position) {
      if (!put_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) continue;
      request.ref.store(ref.value, std::memory_order_relaxed);
      request.turn.store(position + 1, std::memory_order_release);
      return true;
    }
    if (static_cast<int32_t>(turn - position) < 0) break;  // not yet taken: the ring is full
    position = put_.load(std::memory_order_relaxed);
  }
  refused_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

std::optional<ConnRef> TimerWheel::next_request() noexcept {
  Request& request = requests_[taken_ % rearm_ring_entries];
  if (request.turn.load(std::memory_order_acquire) != taken_ + 1) return std::nullopt;
  const ConnRef ref{request.ref.load(std::memory_order_relaxed)};
  request.turn.store(taken_ + rearm_ring_entries, std::memory_order_release);
  ++taken_;
  return ref;
}

}  // namespace headgate::dataplane
