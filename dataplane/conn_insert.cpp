// Insertion and removal of keys: the protocol that conn_table.h describes. Every atomic operation
// here is sequentially consistent, which on x86 costs nothing for loads; the proof of uniqueness
// rests on their single order.
#include <bit>
#include <cstring>

#include <rte_pause.h>

#include "dataplane/conn_table.h"

namespace headgate::dataplane {

using faults::Fault;
using faults::fault;
using faults::Step;
using faults::step;

namespace {

void count_away(Bucket& home, bool up) noexcept {
  step(Step::count_away, &home.away);
  if (fault(Fault::away_not_counted)) return;
  if (up) {
    home.away.fetch_add(1);
  } else {
    home.away.fetch_sub(1);
  }
}

// Calls visit(slot) for the slots that may be `pattern` in the bits of `mask`, until it returns
// true. On x86 the hint is good enough for every step of the protocol: its loads come after the
// announcement's CAS, as no load passes a locked instruction.
template <class Visit>
bool visit_similar(Bucket& bucket, uint64_t pattern, uint64_t mask, Visit visit) noexcept {
  for (uint32_t similar = similar_slots(bucket, pattern, mask); similar != 0;
       similar &= similar - 1) {
    if (visit(bucket.slots[std::countr_zero(similar)])) return true;
  }
  return false;
}

constexpr uint64_t whole_word = ~uint64_t{0};

// Step 2: the announcement in the first empty slot; null if there is none.
std::atomic<uint64_t>* take_slot(Bucket& bucket, Slot word) noexcept {
  std::atomic<uint64_t>* taken = nullptr;
  visit_similar(bucket, 0, whole_word, [&](std::atomic<uint64_t>& slot) noexcept {
    step(Step::announce, &slot);
    uint64_t empty = 0;
    if (slot.load() == 0 && slot.compare_exchange_strong(empty, word.word())) taken = &slot;
    return taken != nullptr;
  });
  return taken;
}

// Test only: keeps what a faulty publish would fill in too late.
template <class Entry>
struct LateFill {
  static constexpr size_t body = sizeof(Entry) - sizeof(ConnCommon);
  std::byte saved[body];
  static std::byte* body_of(Entry& entry) noexcept {
    return reinterpret_cast<std::byte*>(&entry) + sizeof(ConnCommon);
  }
  void hide(Entry& entry) noexcept {
    std::memcpy(saved, body_of(entry), body);
    std::memset(body_of(entry), 0, body);
  }
  void show(Entry& entry) noexcept { std::memcpy(body_of(entry), saved, body); }
};

}  // namespace

PublishResult ConnTable::publish(uint32_t worker, ConnRef ref, Keys keys) noexcept {
  ConnCommon& entry = common(ref);
  WorkerRow& row = rows_[worker];
  const StateWord filled = entry.state();
  if (keys != Keys::forward_only) entry.set_state(filled.with(ConnFlag::has_reply_key));
  // Counted before anybody can see it and count it down.
  if (filled.has(ConnFlag::embryonic)) add_to(row.embryonic, 1);

  const PublishResult result =
      ref.is_v6() ? publish_entry(ref, v6(ref), keys) : publish_entry(ref, v4(ref), keys);
  if (result.status == PublishStatus::inserted) return result;

  if (filled.has(ConnFlag::embryonic)) add_to(row.embryonic, -1);
  if (result.status == PublishStatus::reply_taken) add_to(row.reply_taken, 1);
  if (result.status == PublishStatus::full) add_to(row.bucket_full, 1);
  if (result.status == PublishStatus::contended) add_to(row.contended, 1);
  return result;
}

template <class Entry>
PublishResult ConnTable::publish_entry(ConnRef ref, Entry& entry, Keys keys) noexcept {
  const auto forward_key = entry.key(Direction::forward);
  const bool has_reply = keys != Keys::forward_only;
  if (has_reply) {
    const InsertResult reply = insert(ref, Direction::reply, entry.key(Direction::reply));
    if (reply.status == PublishStatus::exists) {
      return {PublishStatus::reply_taken, reply.holder, reply.seen};
    }
    if (reply.status != PublishStatus::inserted) return {reply.status, {}, reply.seen};
  }
  if (keys == Keys::reply_only) return mark_published(ref, entry.common, has_reply);
  LateFill<Entry> late;
  if (fault(Fault::fill_after_publish)) late.hide(entry);
  const InsertResult forward = insert(ref, Direction::forward, forward_key);
  if (fault(Fault::fill_after_publish)) {
    step(Step::mark_published, &entry);
    late.show(entry);
  }
  if (forward.status != PublishStatus::inserted) {
    if (has_reply && !fault(Fault::lost_reply_rollback)) {
      remove_key(ref, Direction::reply, hash(entry.key(Direction::reply)));
    }
    return {forward.status, forward.holder, has_reply || forward.seen};
  }
  return mark_published(ref, entry.common, has_reply);
}

PublishResult ConnTable::mark_published(ConnRef ref, ConnCommon& entry, bool has_reply) noexcept {
  step(Step::mark_published, &entry);
  const uint32_t before = entry.state_bits.fetch_or(static_cast<uint32_t>(ConnFlag::published));
  // Who marked it dying before it was published may have looked for the forward key too early.
  // Either that actor's search finds the committed key or the mark is seen here.
  if (StateWord{before}.has(ConnFlag::dying) && !fault(Fault::dying_not_rechecked)) {
    remove_keys(ref, has_reply);
    return {PublishStatus::unlinked, {}, true};
  }
  return {};
}

template <class Key>
ConnTable::InsertResult ConnTable::insert(ConnRef ref, Direction direction,
                                          const Key& key) noexcept {
  const uint64_t hash_value = hash(key);
  const Slot word = Slot::make(hash_value, SlotState::tentative, direction, ref);
  InsertResult result;
  for (uint32_t tries = 0; tries < max_insert_tries; ++tries) {
    result.holder = find(hash_value, key);
    if (!result.holder.is_miss()) {
      result.status = PublishStatus::exists;
      return result;
    }
    const Announcement mine = announce(hash_value, word);
    if (mine.slot == nullptr) {
      result.status = PublishStatus::full;
      return result;
    }
    result.seen = true;
    const Outcome outcome = settle(mine, hash_value, key, result.holder);
    if (outcome == Outcome::alone) {
      step(Step::commit, mine.slot);
      const uint64_t live = word.with_state(SlotState::live).word();
      uint64_t expected = word.word();
      if (fault(Fault::commit_without_cas)) {
        mine.slot->store(live);
        return result;
      }
      if (mine.slot->compare_exchange_strong(expected, live) || fault(Fault::kill_ignored)) {
        return result;
      }
    }
    withdraw(mine);
    if (outcome == Outcome::exists) {
      result.status = PublishStatus::exists;
      return result;
    }
  }
  result.status = PublishStatus::contended;
  return result;
}

ConnTable::Announcement ConnTable::announce(uint64_t hash_value, Slot word) noexcept {
  Bucket& first = home(hash_value);
  Bucket& second = alternate(hash_value);
  Announcement mine{.slot = nullptr, .home = &first, .word = word, .away = false};
  const uint32_t crowd = occupied_slots(first);
  const bool prefer_second = crowd >= crowded_bucket_keys && occupied_slots(second) < crowd;
  if (!prefer_second) mine.slot = take_slot(first, word);
  if (mine.slot != nullptr) return mine;

  count_away(first, true);
  mine.away = true;
  mine.slot = take_slot(second, word);
  if (mine.slot != nullptr) return mine;
  count_away(first, false);
  mine.away = false;
  if (prefer_second) mine.slot = take_slot(first, word);
  return mine;
}

// Step 3: looks again at every slot that could hold this key.
template <class Key>
ConnTable::Outcome ConnTable::settle(const Announcement& mine, uint64_t hash_value, const Key& key,
                                     Hit& holder) noexcept {
  if (fault(Fault::no_rescan)) return Outcome::alone;
  const uint64_t pattern = Slot::pattern(hash_value, SlotState::empty, detail::is_v6_key<Key>);
  Outcome outcome = Outcome::alone;
  const auto settle_with = [&](std::atomic<uint64_t>& slot) noexcept {
    outcome = settle_slot(mine, slot, hash_value, key, holder);
    return outcome != Outcome::alone;
  };
  if (visit_similar(*mine.home, pattern, Slot::compared_in_any_state, settle_with)) return outcome;
  if (detail::load_away(*mine.home, std::memory_order_seq_cst) == 0) return Outcome::alone;
  visit_similar(alternate(hash_value), pattern, Slot::compared_in_any_state, settle_with);
  return outcome;
}

template <class Key>
ConnTable::Outcome ConnTable::settle_slot(const Announcement& mine, std::atomic<uint64_t>& other,
                                          uint64_t hash_value, const Key& key,
                                          Hit& holder) noexcept {
  constexpr bool v6 = detail::is_v6_key<Key>;
  if (&other == mine.slot) return Outcome::alone;
  for (uint32_t looks = 0; looks < 2 * faults::give_way_spins() + 2; ++looks) {
    Slot seen = detail::load_slot(other, std::memory_order_seq_cst);
    if (seen.matches(hash_value, SlotState::live, v6) && entry_has(seen, key)) {
      holder = {seen.ref(), seen.direction()};
      return Outcome::exists;
    }
    if (!seen.matches(hash_value, SlotState::tentative, v6) || !entry_has(seen, key) ||
        fault(Fault::rival_ignored)) {
      return Outcome::alone;
    }
    step(Step::meet_rival, &other);
    if (&other < mine.slot && looks < faults::give_way_spins()) {
      if (mine.slot->load() != mine.word.word()) return Outcome::lost;
      rte_pause();
      continue;
    }
    step(Step::kill_rival, &other);
    uint64_t expected = seen.word();
    // Whatever takes the slot after this was announced later than ours, and has to settle with us.
    if (other.compare_exchange_strong(expected, 0)) return Outcome::alone;
  }
  return Outcome::lost;  // rivals come and go: begin again
}

// Takes the announcement back, if it was not killed already.
void ConnTable::withdraw(const Announcement& mine) noexcept {
  if (mine.away && fault(Fault::away_counted_down_early)) count_away(*mine.home, false);
  step(Step::retract, mine.slot);
  uint64_t expected = mine.word.word();
  if (!fault(Fault::retract_forgotten)) mine.slot->compare_exchange_strong(expected, 0);
  if (mine.away && !fault(Fault::away_counted_down_early)) count_away(*mine.home, false);
}

UnlinkResult ConnTable::unlink(uint32_t actor, ConnRef ref) noexcept {
  ConnCommon& entry = common(ref);
  step(Step::mark_dying, &entry);
  uint32_t bits = entry.state_bits.load();
  UnlinkResult result;
  while (true) {
    const StateWord before{bits};
    result = {.won = before.is_settled(), .before = before};
    if (before.has(ConnFlag::dying)) break;
    StateWord after = before.with(ConnFlag::dying);
    // The counts of an entry that is not published yet are its owner's to take back.
    if (result.won) {
      after = after.without(ConnFlag::embryonic)
                  .without(ConnFlag::counted_active)
                  .without(ConnFlag::counted_inactive);
    }
    if (fault(Fault::two_unlink_winners)) {
      step(Step::mark_dying, &entry);
      entry.state_bits.store(after.bits());
      break;
    }
    if (entry.state_bits.compare_exchange_weak(bits, after.bits())) break;
  }
  if (result.won && result.before.has(ConnFlag::embryonic)) add_to(rows_[actor].embryonic, -1);
  remove_keys(ref, result.before.has(ConnFlag::has_reply_key));
  return result;
}

bool ConnTable::transition(uint32_t actor, ConnRef ref, StateWord& expected,
                           StateWord desired) noexcept {
  const StateWord before = expected;
  uint32_t bits = expected.bits();
  if (!common(ref).state_bits.compare_exchange_strong(bits, desired.bits())) {
    expected = StateWord{bits};
    return false;
  }
  const int64_t change = static_cast<int64_t>(desired.has(ConnFlag::embryonic)) -
                         static_cast<int64_t>(before.has(ConnFlag::embryonic));
  if (change != 0) add_to(rows_[actor].embryonic, change);
  return true;
}

void ConnTable::prefetch_keys(ConnRef ref) const noexcept {
  const bool reply = common(ref).state().has(ConnFlag::has_reply_key);
  if (ref.is_v6()) {
    prefetch_bucket(hash(v6(ref).key(Direction::forward)));
    if (reply) prefetch_bucket(hash(v6(ref).key(Direction::reply)));
  } else {
    prefetch_bucket(hash(v4(ref).key(Direction::forward)));
    if (reply) prefetch_bucket(hash(v4(ref).key(Direction::reply)));
  }
}

void ConnTable::remove_keys(ConnRef ref, bool reply) noexcept {
  const auto remove = [&](Direction direction) noexcept {
    const uint64_t hash_value =
        ref.is_v6() ? hash(v6(ref).key(direction)) : hash(v4(ref).key(direction));
    remove_key(ref, direction, hash_value);
  };
  remove(Direction::forward);
  if (reply && !fault(Fault::unlink_one_key)) remove(Direction::reply);
}

void ConnTable::remove_key(ConnRef ref, Direction direction, uint64_t hash_value) noexcept {
  const Slot word = Slot::make(hash_value, SlotState::live, direction, ref);
  Bucket& first = home(hash_value);
  if (clear_slot(first, word, nullptr)) return;
  if (detail::load_away(first, std::memory_order_seq_cst) == 0) return;
  clear_slot(alternate(hash_value), word, &first);
}

// Empties the slot with this word; of several actors that try, the one that does it counts it down
// at its home. Returns whether the word was there.
bool ConnTable::clear_slot(Bucket& bucket, Slot word, Bucket* away_from) noexcept {
  return visit_similar(bucket, word.word(), whole_word, [&](std::atomic<uint64_t>& slot) noexcept {
    uint64_t expected = detail::load_slot(slot, std::memory_order_seq_cst).word();
    if (expected != word.word()) return false;
    const bool early = away_from != nullptr && fault(Fault::away_counted_down_early);
    if (early) count_away(*away_from, false);
    step(Step::clear_slot, &slot);
    if (slot.compare_exchange_strong(expected, 0) && away_from != nullptr && !early) {
      count_away(*away_from, false);
    }
    return true;
  });
}

}  // namespace headgate::dataplane
