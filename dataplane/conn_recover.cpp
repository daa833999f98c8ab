// A table whose actors are gone: they may have stopped anywhere in the protocols. What they
// published and did not unlink lives on, everything else is taken back.
#include <cstring>

#include "dataplane/conn_table.h"

namespace headgate::dataplane {

namespace {

// Reads the key that a slot claims to hold.
uint64_t hash_of(const ConnTable& table, Slot slot) noexcept {
  const ConnRef ref = slot.ref();
  return ref.is_v6() ? table.hash(table.v6(ref).key(slot.direction()))
                     : table.hash(table.v4(ref).key(slot.direction()));
}

}  // namespace

void ConnTable::recover() noexcept {
  for (uint32_t actor = 0; actor < header_->actors; ++actor) {
    std::memset(static_cast<void*>(&rows_[actor]), 0, sizeof(WorkerRow));
  }
  for (uint32_t family = 0; family < 2; ++family)
    recover_entries(family);
  for (uint32_t i = 0; i < bucket_count_; ++i)
    buckets_[i].away.store(0);
  for (uint32_t i = 0; i < bucket_count_; ++i) {
    for (auto& word : buckets_[i].slots)
      recover_slot(buckets_[i], word);
  }
}

// Entries that were claimed and are not connections are free for any worker.
void ConnTable::recover_entries(uint32_t family) noexcept {
  PoolHeader& pool = header_->pools[family];
  pool.donated.store(no_conn.value);
  EntryList free{};
  for (uint32_t index = 0; index < pool.claimed.load(); ++index) {
    const ConnRef ref = ConnRef::make(family == 1, index);
    ConnCommon& entry = common(ref);
    StateWord state = entry.state();
    entry.timer_next = no_conn.value;
    entry.timer_prev = no_conn.value;
    if (state.is_settled() && state.owner() < header_->workers) {
      add_to(rows_[state.owner()].in_use[family], 1);
      if (state.has(ConnFlag::embryonic)) add_to(rows_[state.owner()].embryonic, 1);
      continue;
    }
    entry.set_state(StateWord{});
    poison(ref);
    push(free, ref);
    if (free.count == header_->chunk_entries) {
      donate(family, free);
      free = EntryList{};
    }
  }
  if (free.count > 0) donate(family, free);
}

// Keeps a live key of a connection, in a bucket where it belongs.
void ConnTable::recover_slot(Bucket& bucket, std::atomic<uint64_t>& word) noexcept {
  const Slot slot{word.load()};
  if (slot.is_none()) return;
  const ConnRef ref = slot.ref();
  if (ref.index() < header_->pools[ref.is_v6() ? 1 : 0].capacity &&
      common(ref).state().is_settled()) {
    const uint64_t hash_value = hash_of(*this, slot);
    if (slot == Slot::make(hash_value, SlotState::live, slot.direction(), ref)) {
      if (&bucket == &home(hash_value)) return;
      if (&bucket == &alternate(hash_value)) {
        home(hash_value).away.fetch_add(1);
        return;
      }
    }
  }
  word.store(0);
}

}  // namespace headgate::dataplane
