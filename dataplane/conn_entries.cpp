// Where the connection table's entries come from and go to.
//
//   chunk of the pool ─> fresh ─> in use ─> retiring ─> waiting for a grace period ─> free ─> in
//   use
//                                    └─ (never seen by others) ───────────────────────┘
// All of these belong to one worker and need no atomics. A worker that has plenty of free entries
// donates a list of them to the pool, whence any worker takes it: so a pool is not full for one
// worker while another sits on free entries after traffic has moved.
#include <algorithm>

#include "dataplane/conn_table.h"

#if defined(HEADGATE_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace headgate::dataplane {

namespace {

// Batches are closed one at a time unless they grow: each costs a write that all workers read.
constexpr uint32_t large_batch = 64;

constexpr uint32_t family_of(ConnRef ref) noexcept {
  return ref.is_v6() ? 1 : 0;
}

}  // namespace

ConnRef ConnTable::allocate(uint32_t worker, net::Family family) noexcept {
  faults::step(faults::Step::reuse);
  const uint32_t pool = family == net::Family::ipv6 ? 1 : 0;
  WorkerRow& row = rows_[worker];
  const ConnRef ref = take_free(worker, pool);
  if (ref.is_none()) {
    add_to(row.no_entry, 1);
    return ref;
  }
  add_to(row.in_use[pool], 1);
  unpoison(ref);
  // A stale reader of the entry may still look at the atomic words (a request to the wheel, a
  // donated list): they are stored one by one, the rest is this worker's alone.
  ConnCommon& entry = common(ref);
  entry.protocol = 0;
  entry.kind = EntryKind::flow;
  entry.mode = 0;
  entry.origin = 0;
  entry.backend_id.store(0, std::memory_order_relaxed);
  entry.service_id = 0;
  entry.last_seen.store(0, std::memory_order_relaxed);
  entry.timer_next = no_conn.value;
  entry.timer_prev = no_conn.value;
  entry.change_serial.store(0, std::memory_order_relaxed);
  auto* bytes = reinterpret_cast<std::byte*>(&entry);
  const size_t size = ref.is_v6() ? sizeof(Connection6) : sizeof(Connection4);
  std::memset(bytes + sizeof(ConnCommon), 0, size - sizeof(ConnCommon));
  entry.state_bits.store(StateWord::of_owner(worker).bits(), std::memory_order_release);
  return ref;
}

void ConnTable::discard(uint32_t worker, ConnRef ref, bool seen) noexcept {
  if (seen) {
    common(ref).state_bits.fetch_or(static_cast<uint32_t>(ConnFlag::dying));
    retire(worker, ref);
    return;
  }
  add_to(rows_[worker].in_use[family_of(ref)], -1);
  EntryList list{};
  push(list, ref);
  give_back(worker, family_of(ref), list);
}

void ConnTable::retire(uint32_t worker, ConnRef ref) noexcept {
  faults::step(faults::Step::retire);
  WorkerRow& row = rows_[worker];
  // Not published any more, but dying still: scans and rebuilt wheels leave it alone.
  common(ref).state_bits.fetch_and(~static_cast<uint32_t>(ConnFlag::published));
  add_to(row.in_use[family_of(ref)], -1);
  if (faults::fault(faults::Fault::reuse_without_grace)) {
    EntryList list{};
    push(list, ref);
    give_back(worker, family_of(ref), list);
    return;
  }
  add_to(row.retired, 1);
  push(row.retiring[family_of(ref)], ref);
}

void ConnTable::reclaim(uint32_t worker) noexcept {
  WorkerRow& row = rows_[worker];
  while (row.batch_count > 0) {
    RetiredBatch& batch = row.batches[row.first_batch];
    if (!grace_->passed(batch.token)) break;
    for (uint32_t family = 0; family < 2; ++family) {
      if (batch.entries[family].count == 0) continue;
      add_to(row.retired, -uint64_t{batch.entries[family].count});
      give_back(worker, family, batch.entries[family]);
    }
    row.first_batch = (row.first_batch + 1) % retired_batches;
    --row.batch_count;
  }
  const uint32_t waiting = row.retiring[0].count + row.retiring[1].count;
  if (waiting == 0 || row.batch_count == retired_batches) return;
  if (row.batch_count > 0 && waiting < large_batch) return;
  RetiredBatch& batch = row.batches[(row.first_batch + row.batch_count) % retired_batches];
  for (uint32_t family = 0; family < 2; ++family) {
    batch.entries[family] = row.retiring[family];
    row.retiring[family] = EntryList{};
  }
  batch.token = grace_->start();
  ++row.batch_count;
}

ConnRef ConnTable::take_free(uint32_t worker, uint32_t family) noexcept {
  FreeEntries& mine = rows_[worker].families[family];
  if (mine.free.count > 0) return pop(mine.free);
  if (mine.fresh < mine.fresh_end) return ConnRef::make(family == 1, mine.fresh++);
  mine.free = take_donated(family);
  if (mine.free.count > 0) return pop(mine.free);

  PoolHeader& pool = header_->pools[family];
  uint32_t claimed = pool.claimed.load(std::memory_order_relaxed);
  uint32_t end = 0;
  do {
    if (claimed == pool.capacity) return no_conn;
    end = std::min(claimed + header_->chunk_entries, pool.capacity);
  } while (!pool.claimed.compare_exchange_weak(claimed, end, std::memory_order_relaxed));
  mine.fresh = claimed + 1;
  mine.fresh_end = end;
  return ConnRef::make(family == 1, claimed);
}

void ConnTable::give_back(uint32_t worker, uint32_t family, const EntryList& list) noexcept {
#if defined(HEADGATE_ASAN)
  ConnRef ref = list.head;
  for (uint32_t i = 0; i < list.count; ++i, ref = ConnRef{common(ref).timer_next})
    poison(ref);
#endif
  EntryList& mine = rows_[worker].families[family].free;
  if (mine.count >= 2 * header_->chunk_entries && header_->workers > 1) {
    donate(family, list);
  } else {
    append(mine, list);
  }
}

void ConnTable::push(EntryList& list, ConnRef ref) noexcept {
  common(ref).timer_next = list.head.value;
  if (list.count == 0) list.tail = ref;
  list.head = ref;
  ++list.count;
}

ConnRef ConnTable::pop(EntryList& list) noexcept {
  const ConnRef ref = list.head;
  list.head = ConnRef{common(ref).timer_next};
  if (--list.count != 0) __builtin_prefetch(&common(list.head));  // the next one to be taken
  return ref;
}

void ConnTable::append(EntryList& list, const EntryList& more) noexcept {
  if (list.count == 0) {
    list = more;
    return;
  }
  common(more.tail).timer_next = list.head.value;
  list.head = more.head;
  list.count += more.count;
}

// The tag changes with every push and pop, so that a list that was taken and given back meanwhile
// is not mistaken for the one that was seen.
void ConnTable::donate(uint32_t family, const EntryList& list) noexcept {
  ConnCommon& head = common(list.head);
  head.backend_id.store(list.tail.value, std::memory_order_relaxed);
  head.change_serial.store(list.count, std::memory_order_relaxed);
  std::atomic<uint64_t>& top = header_->pools[family].donated;
  uint64_t old = top.load(std::memory_order_relaxed);
  uint64_t wanted = 0;
  do {
    head.last_seen.store(static_cast<uint32_t>(old), std::memory_order_relaxed);
    wanted = ((old >> 32) + 1) << 32 | list.head.value;
  } while (!top.compare_exchange_weak(old, wanted, std::memory_order_acq_rel,
                                      std::memory_order_relaxed));
}

EntryList ConnTable::take_donated(uint32_t family) noexcept {
  std::atomic<uint64_t>& top = header_->pools[family].donated;
  uint64_t old = top.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(old) != no_conn.value) {
    const ConnRef ref{static_cast<uint32_t>(old)};
    const ConnCommon& head = common(ref);
    const uint64_t next = head.last_seen.load(std::memory_order_relaxed);
    if (top.compare_exchange_weak(old, ((old >> 32) + 1) << 32 | next, std::memory_order_acq_rel,
                                  std::memory_order_acquire)) {
      return {.head = ref,
              .tail = ConnRef{head.backend_id.load(std::memory_order_relaxed)},
              .count = head.change_serial.load(std::memory_order_relaxed)};
    }
  }
  return {};
}

// The common part stays readable: scans and late requests to a wheel look at the state word.
void ConnTable::poison([[maybe_unused]] ConnRef ref) noexcept {
#if defined(HEADGATE_ASAN)
  auto* bytes = reinterpret_cast<std::byte*>(&common(ref));
  const size_t size = ref.is_v6() ? sizeof(Connection6) : sizeof(Connection4);
  ASAN_POISON_MEMORY_REGION(bytes + sizeof(ConnCommon), size - sizeof(ConnCommon));
#endif
}

void ConnTable::unpoison([[maybe_unused]] ConnRef ref) noexcept {
#if defined(HEADGATE_ASAN)
  auto* bytes = reinterpret_cast<std::byte*>(&common(ref));
  const size_t size = ref.is_v6() ? sizeof(Connection6) : sizeof(Connection4);
  ASAN_UNPOISON_MEMORY_REGION(bytes + sizeof(ConnCommon), size - sizeof(ConnCommon));
#endif
}

}  // namespace headgate::dataplane
