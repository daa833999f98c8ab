// A worker's timer wheel over the connections that it owns: finds those whose time is over without
// any timer work per packet. When an entry's slot comes up the caller looks at it: if it was seen
// since, it is armed again from last_seen, else it is expired.
//
// The lists are doubly linked through timer_next and timer_prev of the entries, so they may be
// walked and changed by the owner only. Others ask by request_rearm(), through a bounded ring: for
// a transition to a shorter time-out and for an entry that they unlinked. A full ring means that
// the owner notices late, at the entry's old time, and is counted.
//
// The wheel itself is private memory of the process; rebuild() makes it anew from the table after a
// restart or a hand-over.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "dataplane/conn.h"
#include "dataplane/conn_table.h"
#include "dataplane/limits.h"

namespace headgate::dataplane {

class TimerWheel {
 public:
  TimerWheel(ConnTable& table, uint32_t worker, Tick now);

  // ---- Owner only ----
  // To be looked at in the tick `at`, or in the next one if that is past, or on the way if that is
  // farther than the wheel sees. The entry must not be armed.
  void arm(ConnRef ref, Tick at) noexcept;
  // Nothing happens if it is not armed.
  void disarm(ConnRef ref) noexcept;
  [[nodiscard]] bool is_armed(ConnRef ref) const noexcept;

  // Looks at requested entries and then at those whose tick is not after `now`, `budget` of them at
  // most; returns how many it looked at. look(ConnRef) is called with the entry disarmed and
  // returns the tick to arm it at again, or nothing when the entry is done with (retired). A budget
  // that does not suffice makes the rest late, see late_ticks().
  template <class Look>
  uint32_t advance(Tick now, uint32_t budget, Look&& look);
  // Ticks by which the wheel is behind `now`.
  [[nodiscard]] uint32_t late_ticks(Tick now) const noexcept {
    return static_cast<int32_t>(now - current_) > 0 ? now - current_ : 0;
  }

  // Arms every entry of this worker that is published and not retired, to be looked at within a
  // second (spread over its ticks); dying ones too. The wheel must be new.
  void rebuild();

  // ---- Any thread ----
  // Asks the owner to look at the entry when it next advances. False (counted) if the ring is full.
  bool request_rearm(ConnRef ref) noexcept;
  [[nodiscard]] uint64_t refused_requests() const noexcept {
    return refused_.load(std::memory_order_relaxed);
  }

 private:
  struct Request {
    std::atomic<uint32_t> turn;
    std::atomic<uint32_t> ref;
  };
  // timer_prev of a list's first entry: this and the list's number.
  static constexpr uint32_t list_tag = 0xffff0000;
  // The lists of one tick. They are gone through in turn, so that the next entry of each is on its
  // way from memory while those of the others are looked at.
  static constexpr uint32_t lanes = 8;

  [[nodiscard]] static uint32_t list_of(ConnRef ref, Tick tick) noexcept {
    return tick % wheel_slots * lanes + ref.index() % lanes;
  }

  [[nodiscard]] std::optional<ConnRef> next_request() noexcept;
  [[nodiscard]] bool owns(ConnRef ref) const noexcept;

  ConnTable* table_;
  uint32_t worker_;
  Tick current_;                      // the tick whose slot is looked at next
  bool in_slot_ = false;              // and it is being looked at now: nothing is added to it
  std::unique_ptr<ConnRef[]> lists_;  // by list_of()

  // The ring: Vyukov's bounded queue with one consumer.
  std::unique_ptr<Request[]> requests_;
  uint32_t taken_ = 0;
  std::atomic<uint32_t> put_{0};
  std::atomic<uint64_t> refused_{0};
};

template <class Look>
uint32_t TimerWheel::advance(Tick now, uint32_t budget, Look&& look) {
  uint32_t looked = 0;
  const auto look_at = [&](ConnRef ref) {
    disarm(ref);
    ++looked;
    if (const std::optional<Tick> at = look(ref)) arm(ref, *at);
  };
  while (looked < budget) {
    const std::optional<ConnRef> request = next_request();
    if (!request) break;
    // The entry may have been looked at, even reused, since: then the look is early, no more.
    if (owns(*request) && is_armed(*request)) look_at(*request);
  }
  while (static_cast<int32_t>(now - current_) >= 0) {
    const ConnRef* const first = &lists_[size_t{current_ % wheel_slots} * lanes];
    in_slot_ = true;
    const auto has_more = [first] {
      return std::any_of(first, first + lanes, [](ConnRef ref) { return !ref.is_none(); });
    };
    while (has_more() && looked < budget) {
      for (uint32_t lane = 0; lane < lanes; ++lane) {
        if (!first[lane].is_none()) table_->prefetch_keys(first[lane]);
      }
      for (uint32_t lane = 0; lane < lanes && looked < budget; ++lane) {
        if (first[lane].is_none()) continue;
        look_at(first[lane]);
        if (!first[lane].is_none()) __builtin_prefetch(&table_->common(first[lane]));
      }
    }
    in_slot_ = false;
    if (has_more()) break;
    ++current_;
  }
  return looked;
}

}  // namespace headgate::dataplane
