// How the connection table lies in its memory: offsets and indexes only, so that any process may
// map it at any address.
//
//   TableHeader | WorkerRow[actors] | Bucket[bucket_count] | Connection4[] | Connection6[]
//
// A bucket is one cache line: a control word and seven slots. A slot is a word of 64 bits:
//   0..31 ConnRef, 32 direction, 33..34 state, 35..63 signature; an empty slot is all zero.
// With two keys a connection and a bucket for every two connections a full table uses 4 of 7 slots.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "dataplane/conn.h"
#include "dataplane/limits.h"

namespace headgate::dataplane {

enum class SlotState : uint8_t { empty = 0, tentative = 1, live = 2 };

// The value of a slot. See conn_table.h for the protocol between the states.
class Slot {
 public:
  static constexpr unsigned direction_bit = 32;
  static constexpr unsigned state_shift = 33;
  static constexpr unsigned signature_shift = 35;

  constexpr Slot() noexcept = default;
  constexpr bool operator==(const Slot&) const noexcept = default;
  explicit constexpr Slot(uint64_t word) noexcept : word_(word) {}
  static constexpr Slot make(uint64_t hash, SlotState state, Direction direction,
                             ConnRef ref) noexcept {
    return Slot{signature(hash) | static_cast<uint64_t>(state) << state_shift |
                static_cast<uint64_t>(direction) << direction_bit | ref.value};
  }

  [[nodiscard]] constexpr uint64_t word() const noexcept { return word_; }
  [[nodiscard]] constexpr bool is_none() const noexcept { return word_ == 0; }
  [[nodiscard]] constexpr ConnRef ref() const noexcept {
    return ConnRef{static_cast<uint32_t>(word_)};
  }
  [[nodiscard]] constexpr Direction direction() const noexcept {
    return static_cast<Direction>((word_ >> direction_bit) & 1);
  }
  [[nodiscard]] constexpr SlotState state() const noexcept {
    return static_cast<SlotState>((word_ >> state_shift) & 3);
  }
  [[nodiscard]] constexpr Slot with_state(SlotState state) const noexcept {
    return Slot{(word_ & ~(uint64_t{3} << state_shift)) | static_cast<uint64_t>(state)
                                                              << state_shift};
  }
  // Could this slot, in this state, hold a key of this family with this hash?
  [[nodiscard]] constexpr bool matches(uint64_t hash, SlotState state, bool v6) const noexcept {
    return is_like(pattern(hash, state, v6));
  }
  // The same in two parts: the bits that are compared, and what they have to be.
  [[nodiscard]] constexpr bool is_like(uint64_t pattern) const noexcept {
    return (word_ & compared) == pattern;
  }
  static constexpr uint64_t compared = ~((uint64_t{1} << direction_bit) | 0x7fffffff);
  // Without the state.
  static constexpr uint64_t compared_in_any_state = compared & ~(uint64_t{3} << state_shift);
  [[nodiscard]] static constexpr uint64_t pattern(uint64_t hash, SlotState state,
                                                  bool v6) noexcept {
    return signature(hash) | static_cast<uint64_t>(state) << state_shift |
           (v6 ? uint64_t{0x80000000} : 0);
  }

 private:
  // The buckets of a key come from the upper bits of the two halves of its hash. A multiplication
  // brings all bits into the signature, so keys that share a bucket still differ in it.
  static constexpr uint64_t signature(uint64_t hash) noexcept {
    return (hash * 0x9e3779b97f4a7c15) >> signature_shift << signature_shift;
  }

  uint64_t word_ = 0;
};

inline constexpr uint32_t slots_per_bucket = 7;

struct alignas(64) Bucket {
  // Keys whose home is this bucket while they sit (or are about to, or just did) in their
  // alternate.
  std::atomic<uint64_t> away;
  std::atomic<uint64_t> slots[slots_per_bucket];
};
static_assert(sizeof(Bucket) == 64);

// Bit i: slot i may be `pattern` in the bits of `mask`. A hint, from one load of each slot that is
// as atomic as any of 64 bits but orders nothing: each slot named is to be loaded again and
// compared. All slots at once where the processor can.
[[nodiscard]] inline uint32_t similar_slots(const Bucket& bucket, uint64_t pattern,
                                            uint64_t mask = Slot::compared) noexcept {
#if defined(__AVX2__) && !defined(HEADGATE_TSAN) && !defined(HEADGATE_FAULTS)
  const auto* lines = reinterpret_cast<const __m256i*>(&bucket);
  const __m256i compared = _mm256_set1_epi64x(static_cast<long long>(mask));
  const __m256i wanted = _mm256_set1_epi64x(static_cast<long long>(pattern));
  const auto equal = [&](const __m256i* words) noexcept {
    const __m256i same =
        _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_load_si256(words), compared), wanted);
    return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(same)));
  };
  return (equal(lines) | equal(lines + 1) << 4) >> 1;  // the first word is `away`
#else
  (void)bucket;
  (void)pattern;
  (void)mask;
  return (1U << slots_per_bucket) - 1;
#endif
}

// How many slots are not empty: a number that moves.
[[nodiscard]] inline uint32_t occupied_slots(const Bucket& bucket) noexcept {
#if defined(__AVX2__) && !defined(HEADGATE_TSAN) && !defined(HEADGATE_FAULTS)
  const uint32_t empty = similar_slots(bucket, 0, ~uint64_t{0});
  return slots_per_bucket - static_cast<uint32_t>(std::popcount(empty));
#else
  uint32_t count = 0;
  for (const auto& slot : bucket.slots)
    count += slot.load(std::memory_order_relaxed) != 0;
  return count;
#endif
}

// A singly linked list of free or retired entries, threaded through timer_next. Owner only.
struct EntryList {
  ConnRef head;
  ConnRef tail;
  uint32_t count;
};

// Entries of one family that a worker holds but does not use.
struct FreeEntries {
  EntryList free;
  uint32_t fresh;  // never used so far: indexes fresh..fresh_end-1 of the claimed chunk
  uint32_t fresh_end;
};

inline constexpr uint32_t retired_batches = 4;

// Retired entries that wait for one grace period together.
struct RetiredBatch {
  uint64_t token;
  EntryList entries[2];  // by family
};

// Of a counter with one writer: no locked instruction.
template <class T>
void add_to(std::atomic<T>& counter, std::type_identity_t<T> amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

// What one actor (worker or other thread) counts and holds. Counters have one writer, the actor,
// and any reader; `embryonic` may be negative, since the actor that ends that state need not be the
// one that began it: only the sum over the actors means something.
struct alignas(64) WorkerRow {
  std::atomic<int64_t> in_use[2];  // by family
  std::atomic<int64_t> embryonic;
  std::atomic<uint64_t> retired;  // waiting for a grace period
  std::atomic<uint64_t> no_entry;
  std::atomic<uint64_t> bucket_full;
  std::atomic<uint64_t> contended;
  std::atomic<uint64_t> reply_taken;

  FreeEntries families[2];
  EntryList retiring[2];  // not yet waiting: the batch still open
  uint32_t first_batch;   // ring of batches
  uint32_t batch_count;
  RetiredBatch batches[retired_batches];
};

// State shared by all actors of one pool.
struct alignas(64) PoolHeader {
  std::atomic<uint32_t> claimed;  // entries handed out as chunks so far
  uint32_t capacity;
  // Lists of free entries given back by workers that have plenty: a stack, {tag:32, ref:32}. A
  // list's first entry keeps the next list's ref in last_seen and its tail and length in
  // backend_id and change_serial, which are atomic words that a slow reader may look at any time.
  std::atomic<uint64_t> donated;
};

struct TableHeader {
  static constexpr uint64_t magic_value = 0x6865616467617465;  // "headgate"
  static constexpr uint32_t version_value = 1;

  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t total_bytes;
  uint32_t workers;
  uint32_t actors;
  uint32_t bucket_count;
  uint32_t chunk_entries;
  uint64_t rows_offset;
  uint64_t buckets_offset;
  uint64_t entries4_offset;
  uint64_t entries6_offset;
  HashSeed seed;
  PoolHeader pools[2];  // by family
};

}  // namespace headgate::dataplane
