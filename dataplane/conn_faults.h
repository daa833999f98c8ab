// Test switches of the connection table. In builds without HEADGATE_FAULTS (all but the race tests'
// own copy of the library) everything here is an empty inline function and vanishes.
//
// step() marks each point of the protocols where a test may pause a thread or run another one;
// fault() turns one deliberate mistake on, to show that the tests catch it.
#pragma once

#include <cstdint>

#include "dataplane/limits.h"

#if defined(HEADGATE_FAULTS)
#include <atomic>
#endif

namespace headgate::dataplane::faults {

enum class Step : uint8_t {
  load_slot,       // before a slot is read, by a reader or an insert
  load_away,       // before the count of keys away from their home is read
  compare_key,     // before the entry behind a slot is read
  count_away,      // before that count is incremented or decremented
  announce,        // before an empty slot is made tentative
  meet_rival,      // a tentative slot with the same key was seen
  kill_rival,      // before it is emptied
  retract,         // before the own tentative slot is emptied
  commit,          // before the own tentative slot is made live
  mark_published,  // before the entry is marked published
  mark_dying,      // before the entry is marked dying
  clear_slot,      // before a live slot is emptied
  retire,          // before an entry is retired
  reuse,           // before an entry is taken from the free list
};
inline constexpr unsigned step_count = 14;

enum class Fault : uint8_t {
  none,
  relaxed_slot_load,        // readers see a slot without acquiring its entry
  fill_after_publish,       // the slot goes live before the entry is filled
  reuse_without_grace,      // a retired entry is free at once
  lost_reply_rollback,      // the loser of the forward key leaves its reply key behind
  no_rescan,                // an insert does not look again after it announced itself
  commit_without_cas,       // a killed announcement goes live all the same
  away_not_counted,         // a key in its alternate bucket is not counted at home
  away_counted_down_early,  // the count goes down before the slot is emptied
  retract_forgotten,        // the loser leaves its announcement
  signature_only_compare,   // the entry behind a matching signature is taken unread
  unlink_one_key,           // only the forward key is removed
  kill_ignored,             // a killed announcement is taken for a commit
  rival_ignored,            // an announcement of the same key is overlooked
  dying_not_rechecked,      // an entry unlinked while it is published leaves a key behind
  two_unlink_winners,       // both of two threads that unlink an entry are told that they did
};
inline constexpr unsigned fault_count = 16;

#if defined(HEADGATE_FAULTS)
// Looks at a rival before it is killed: few, where a test explores every interleaving.
inline std::atomic<uint32_t> give_way_limit{max_give_way_spins};
inline uint32_t give_way_spins() noexcept {
  return give_way_limit.load(std::memory_order_relaxed);
}

using StepHook = void (*)(Step step, const void* where);
inline thread_local StepHook step_hook = nullptr;
inline std::atomic<Fault> active_fault{Fault::none};

inline void step(Step where, const void* what = nullptr) noexcept {
  if (step_hook != nullptr) step_hook(where, what);
}
inline bool fault(Fault which) noexcept {
  return active_fault.load(std::memory_order_relaxed) == which;
}
#else
constexpr uint32_t give_way_spins() noexcept {
  return max_give_way_spins;
}
inline void step(Step, const void* = nullptr) noexcept {}
constexpr bool fault(Fault) noexcept {
  return false;
}
#endif

}  // namespace headgate::dataplane::faults
