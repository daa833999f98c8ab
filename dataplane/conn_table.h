// The connection table: one for all workers, without locks. Any actor finds, inserts and removes.
//
// ## Keys and buckets
// A key has two buckets, its home and its alternate, both computed from its hash. It goes to its
// home unless that is crowded and the alternate is less so, and never moves. The home counts the
// keys that are away (`Bucket::away`): a reader looks at the alternate only if that is not zero.
//
// ## Unique insert
// A slot is empty, tentative (announced) or live. Readers see live slots only. To insert a key:
//   1. Scan both buckets: a live slot with an equal key is the answer.
//   2. Announce: CAS an empty slot to tentative, in the home, or in the alternate after counting
//      up `away` of the home.
//   3. Settle: scan both again. Live and equal: retract (CAS the own slot to empty), that is the
//      answer. Tentative and equal: a rival. A rival in a higher place is killed (CAS to empty) at
//      once; to one in a lower place we give way for a bounded number of looks, then kill it too.
//   4. Commit: CAS the own slot from tentative to live. If that fails we were killed: begin again,
//      a bounded number of times (then `contended`).
// Whoever counted `away` up counts it down, after its slot is empty; for a live slot that is
// whoever emptied it. All these operations are sequentially consistent.
//
// *Unique.* Let A be announced before B, both of one key, in the single order of all these
// operations. B settles after both announcements, and does not miss A's slot: if that is in the
// alternate bucket then `away` was counted up before A was announced and is not counted down before
// A's slot is empty. B finds A's slot empty: A is over. Or live: B retracts. Or tentative: B goes
// on only after a later look that finds it empty or live, or after killing it, and a killed A
// cannot commit, as that is a CAS from tentative. So when B commits, every earlier announcement of
// the key is over, not live and never to be, and every later one will find B. Equal slot words at
// different times do no harm: only its owner announces an entry, it is reused after a grace period
// only, and a late kill that hits a newer announcement costs that one a retry.
//
// *Progress.* A reader makes one pass over at most fourteen slots and never waits or retries: a key
// that is live throughout is found, as it does not move and is counted while it is away. The first
// look at a bucket's slots may be at all of them at once and ordered by nothing (similar_slots): it
// too finds what is there throughout, and what it names is loaded again with acquire. An insert
// waits for nobody: a rival that is paused is killed after a bounded number of looks.
//
// ## Two keys
// NAT and FULLNAT entries have two keys: publish() inserts the reply key first and the forward key
// second, and the loser of either takes back what it inserted. So who finds a forward key may rely
// on the reply key. Removal goes the other way. While a publish is under way another actor may find
// the reply key and unlink the entry: publish() therefore marks the entry `published` after the
// last commit and, if it finds it `dying` then, removes the keys itself and says `unlinked`. Until
// an entry is published nobody but its owner may count on it or change its state.
// An entry that has a reply key alone is published by the same steps without the second one; who
// removes its keys looks for a forward key that was never there.
//
// ## Removal and reuse
// unlink() marks the entry dying (one caller wins) and removes the keys, the forward key first; who
// comes later helps to remove them, so a paused winner holds nobody up. The entry stays readable.
// Its owner then retires it, and it is reused when a grace period is over. All calls that read the
// table must be made by an actor that is online in the GracePeriod.
//
// ## The order of a burst
// hash() and prefetch_bucket() each; then probe() and prefetch_entry() each, for the few that are
// away from home by way of prefetch_alternate() and probe_alternate(); then is_at() and if need be
// find() each, when what came before it in the burst has been forwarded.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "dataplane/conn.h"
#include "dataplane/conn_faults.h"
#include "dataplane/conn_layout.h"
#include "dataplane/flow_key.h"
#include "dataplane/grace.h"
#include "dataplane/limits.h"
#include "dataplane/prefetch.h"

namespace headgate::dataplane {

struct ConnTableLimits {
  uint32_t capacity4 = 0;     // IPv4 connections, templates included: 96 bytes each
  uint32_t capacity6 = 0;     // IPv6 connections: 160 bytes each
  uint32_t workers = 1;       // these allocate entries
  uint32_t other_actors = 1;  // these find, unlink and dump: actors number workers, workers+1, ...
};

struct Hit {
  ConnRef ref{};
  Direction direction = Direction::forward;

  [[nodiscard]] bool is_miss() const noexcept { return ref.is_none(); }
};

enum class PublishStatus : uint8_t {
  inserted,
  exists,       // the forward key is taken by `holder`
  reply_taken,  // the reply key is taken by `holder`
  unlinked,     // another actor found the entry by its reply key and unlinked it at once
  full,         // both buckets of a key are full
  contended,    // rivals killed every try
};

// Of `exists` and `reply_taken` the holder may be dying: its keys are then about to go, and
// unlink(actor, holder.ref) makes sure that they are gone, after which another try makes sense. The
// holder of a reply key may also be the very same connection, still being published by another
// worker: if its forward key is equal, it may be used as if it had been found.
struct PublishResult {
  PublishStatus status = PublishStatus::inserted;
  Hit holder{};
  // Others may have read the entry: do not refill it for another try, discard() it and allocate
  // anew. Without it (the usual case of a collision) the entry is still private: change the port,
  // try again.
  bool seen = false;
};

// Which keys of the entry go in. An entry with a reply key alone is one-packet scheduling's.
enum class Keys : uint8_t { forward_only, reply_only, both };

struct UnlinkResult {
  bool won = false;  // this call unlinked the entry: the counts that `before` says are the caller's
  StateWord before{};  // valid if won
};

// Sums over all actors; each a snapshot of moving numbers.
struct ConnTableCounters {
  uint64_t in_use4 = 0;
  uint64_t in_use6 = 0;
  uint64_t retired = 0;    // unlinked, waiting for a grace period; not in use
  uint64_t embryonic = 0;  // flag ConnFlag::embryonic
  // Failed inserts.
  uint64_t no_entry = 0;
  uint64_t bucket_full = 0;
  uint64_t contended = 0;
  uint64_t reply_taken = 0;
};

// A handle on the table in `memory`: cheap, one per process, holds no state of its own. Moving it
// is fine, the memory and the GracePeriod must outlive it.
class ConnTable {
 public:
  // Memory for these limits; 64-byte alignment is expected of the span. Never more than 96 bytes
  // for each IPv4 connection and 160 for each IPv6 one, headers included, in tables of some
  // thousands.
  [[nodiscard]] static size_t bytes_needed(const ConnTableLimits& limits) noexcept;
  // Clears the memory and makes an empty table. The grace period has a reader for each actor, with
  // the same number.
  [[nodiscard]] static std::expected<ConnTable, std::string> create(std::span<std::byte> memory,
                                                                    const ConnTableLimits& limits,
                                                                    const HashSeed& seed,
                                                                    GracePeriod& grace);
  // A table that another process made: checks magic, version and sizes.
  [[nodiscard]] static std::expected<ConnTable, std::string> attach(std::span<std::byte> memory,
                                                                    GracePeriod& grace);

  // Puts an attached table in order after its actors are gone, wherever they stopped: connections
  // stay, half-made and half-removed ones go, every other entry is free. Nobody else may use the
  // table meanwhile. The new wheels are then rebuilt (TimerWheel::rebuild).
  void recover() noexcept;

  ConnTable(ConnTable&&) noexcept = default;
  ConnTable& operator=(ConnTable&&) noexcept = default;
  ConnTable(const ConnTable&) = delete;
  ConnTable& operator=(const ConnTable&) = delete;
  ~ConnTable() = default;

  // ---- Lookup, staged ----
  template <class Key>  // FlowKey4 or FlowKey6
  [[nodiscard]] uint64_t hash(const Key& key) const noexcept {
    return hash_key(key, header_->seed);
  }
  void prefetch_bucket(uint64_t hash) const noexcept { fetch_ahead(&home(hash)); }
  // The home buckets of an entry's keys, which unlink() will need.
  void prefetch_keys(ConnRef ref) const noexcept;
  // First slot of the home bucket that is live and has the signature; is_none() if there is none.
  template <class Key>
  [[nodiscard]] Slot probe(uint64_t hash) const noexcept;
  // Where probe() found none: whether the key may be in its alternate bucket, which is then on its
  // way; and, later, the first slot there.
  [[nodiscard]] bool prefetch_alternate(uint64_t hash) const noexcept;
  template <class Key>
  [[nodiscard]] Slot probe_alternate(uint64_t hash) const noexcept;
  // `candidate` may be none.
  void prefetch_entry(Slot candidate) const noexcept;
  // The first line of the candidate's entry, which prefetch_entry() has asked for, to the first
  // level. `candidate` may be none.
  void prefetch_next(Slot candidate) const noexcept {
    if (!candidate.ref().is_v6()) fetch_next(&entries4_[candidate.ref().index()]);
  }
  // Whether the candidate is this key's.
  template <class Key>
  [[nodiscard]] bool is_at(Slot candidate, const Key& key) const noexcept {
    return !candidate.is_none() && entry_has(candidate, key);
  }
  // The connection that has this key. Where is_at() says no, there may still be one.
  template <class Key>
  [[nodiscard]] Hit find(uint64_t hash, const Key& key) const noexcept;
  // By the candidate, or find().
  template <class Key>
  [[nodiscard]] Hit confirm(uint64_t hash, const Key& key, Slot candidate) const noexcept {
    if (is_at(candidate, key)) return {candidate.ref(), candidate.direction()};
    return find(hash, key);
  }
  template <class Key>
  [[nodiscard]] Hit find(const Key& key) const noexcept {
    return find(hash(key), key);
  }

  // ---- Entries ----
  [[nodiscard]] ConnCommon& common(ConnRef ref) const noexcept {
    return ref.is_v6() ? v6(ref).common : v4(ref).common;
  }
  [[nodiscard]] Connection4& v4(ConnRef ref) const noexcept { return entries4_[ref.index()]; }
  [[nodiscard]] Connection6& v6(ConnRef ref) const noexcept { return entries6_[ref.index()]; }

  // ---- Life of an entry; `worker` is the calling thread and the entry's owner ----
  // A private entry, zero but for its owner; none (counted) if the pool has no more for this
  // worker.
  [[nodiscard]] ConnRef allocate(uint32_t worker, net::Family family) noexcept;
  // Inserts the keys of a filled entry; on anything but `inserted` none of them is left in the
  // table. Counts embryonic connections by the flag that the filled state has.
  [[nodiscard]] PublishResult publish(uint32_t worker, ConnRef ref, Keys keys) noexcept;
  // Gives back an entry that publish() did not insert (or was never asked to), by its result.
  void discard(uint32_t worker, ConnRef ref, bool seen) noexcept;
  // Gives back an unlinked entry that is in no wheel; it is used again after a grace period. If
  // another actor is still removing its keys, that is over before the grace period is.
  void retire(uint32_t worker, ConnRef ref) noexcept;
  // Between bursts: takes back entries whose grace period is over. Bounded, never waits.
  void reclaim(uint32_t worker) noexcept;

  // ---- By any actor ----
  // Marks the entry dying and removes its keys. After it returns they are gone, whoever won. An
  // actor that is not the owner then asks the owner's wheel to look (TimerWheel::request_rearm).
  UnlinkResult unlink(uint32_t actor, ConnRef ref) noexcept;
  // CAS of the state word; on failure `expected` is the word found. Keeps the embryonic count.
  // Refuses nothing: a caller must not transition a word that has the dying flag.
  bool transition(uint32_t actor, ConnRef ref, StateWord& expected, StateWord desired) noexcept;

  // ---- Numbers ----
  [[nodiscard]] uint32_t workers() const noexcept { return header_->workers; }
  [[nodiscard]] uint32_t actors() const noexcept { return header_->actors; }
  [[nodiscard]] uint32_t capacity(net::Family family) const noexcept;
  [[nodiscard]] uint32_t bucket_count() const noexcept { return bucket_count_; }
  [[nodiscard]] ConnTableCounters counters() const noexcept;
  // Cheap enough for once a burst.
  [[nodiscard]] uint64_t embryonic() const noexcept;

  // ---- Dumps and scans ----
  // Calls fn(ConnRef, ConnCommon&) for published entries that are not dying, looking at no more
  // than `budget` entries from `cursor` on (0 first); returns where to go on, or scan_end. Report
  // quiescence between calls. Entries that come or go meanwhile may or may not be seen.
  static constexpr uint64_t scan_end = ~uint64_t{0};
  template <class Function>
  uint64_t for_each(uint64_t cursor, uint32_t budget, Function&& fn) const;

  // The two buckets of a key, and all of them. For tests and the implementation.
  [[nodiscard]] Bucket& home(uint64_t hash) const noexcept {
    return buckets_[fastrange(static_cast<uint32_t>(hash))];
  }
  [[nodiscard]] Bucket& alternate(uint64_t hash) const noexcept;
  [[nodiscard]] Bucket& bucket(uint32_t index) const noexcept { return buckets_[index]; }

 private:
  // What insert() found, and the slot that it announced the key in.
  struct InsertResult {
    PublishStatus status = PublishStatus::inserted;
    Hit holder{};
    bool seen = false;
  };
  struct Announcement {
    std::atomic<uint64_t>* slot = nullptr;  // null: both buckets were full
    Bucket* home = nullptr;
    Slot word{};
    bool away = false;
  };
  enum class Outcome : uint8_t { alone, exists, lost };

  ConnTable(std::byte* memory, GracePeriod& grace) noexcept;

  [[nodiscard]] uint32_t fastrange(uint32_t half) const noexcept {
    return static_cast<uint32_t>((uint64_t{half} * bucket_count_) >> 32);
  }
  [[nodiscard]] bool entry_has(Slot slot, const FlowKey4& key) const noexcept;
  [[nodiscard]] bool entry_has(Slot slot, const FlowKey6& key) const noexcept;
  template <class Key>
  [[nodiscard]] Slot probe_in(const Bucket& bucket, uint64_t hash) const noexcept;
  template <class Key>
  [[nodiscard]] Hit find_in(const Bucket& bucket, uint64_t hash, const Key& key) const noexcept;

  template <class Entry>
  PublishResult publish_entry(ConnRef ref, Entry& entry, Keys keys) noexcept;
  PublishResult mark_published(ConnRef ref, ConnCommon& entry, bool has_reply) noexcept;
  template <class Key>
  InsertResult insert(ConnRef ref, Direction direction, const Key& key) noexcept;
  Announcement announce(uint64_t hash, Slot word) noexcept;
  template <class Key>
  Outcome settle(const Announcement& mine, uint64_t hash, const Key& key, Hit& holder) noexcept;
  template <class Key>
  Outcome settle_slot(const Announcement& mine, std::atomic<uint64_t>& other, uint64_t hash,
                      const Key& key, Hit& holder) noexcept;
  void withdraw(const Announcement& mine) noexcept;
  void remove_keys(ConnRef ref, bool reply) noexcept;
  void remove_key(ConnRef ref, Direction direction, uint64_t hash) noexcept;
  bool clear_slot(Bucket& bucket, Slot word, Bucket* away_from) noexcept;

  void recover_entries(uint32_t family) noexcept;
  void recover_slot(Bucket& bucket, std::atomic<uint64_t>& word) noexcept;

  [[nodiscard]] ConnRef take_free(uint32_t worker, uint32_t family) noexcept;
  void give_back(uint32_t worker, uint32_t family, const EntryList& list) noexcept;
  void push(EntryList& list, ConnRef ref) noexcept;
  ConnRef pop(EntryList& list) noexcept;
  void append(EntryList& list, const EntryList& more) noexcept;
  void donate(uint32_t family, const EntryList& list) noexcept;
  [[nodiscard]] EntryList take_donated(uint32_t family) noexcept;
  void poison(ConnRef ref) noexcept;
  void unpoison(ConnRef ref) noexcept;

  TableHeader* header_;
  Bucket* buckets_;
  Connection4* entries4_;
  Connection6* entries6_;
  WorkerRow* rows_;
  GracePeriod* grace_;
  uint32_t bucket_count_;
};

// ---- What runs per packet ----

inline Bucket& ConnTable::alternate(uint64_t hash) const noexcept {
  const uint32_t first = fastrange(static_cast<uint32_t>(hash));
  const uint32_t second = fastrange(static_cast<uint32_t>(hash >> 32));
  if (second != first) return buckets_[second];
  return buckets_[second + 1 < bucket_count_ ? second + 1 : 0];
}

namespace detail {

template <class Key>
inline constexpr bool is_v6_key = sizeof(Key) == sizeof(FlowKey6);

inline Slot load_slot(const std::atomic<uint64_t>& slot, std::memory_order order) noexcept {
  faults::step(faults::Step::load_slot, &slot);
  if (faults::fault(faults::Fault::relaxed_slot_load)) {
    return Slot{slot.load(std::memory_order_relaxed)};
  }
  return Slot{slot.load(order)};
}

inline uint64_t load_away(const Bucket& bucket, std::memory_order order) noexcept {
  faults::step(faults::Step::load_away, &bucket.away);
  return bucket.away.load(order);
}

}  // namespace detail

template <class Key>
Slot ConnTable::probe_in(const Bucket& bucket, uint64_t hash) const noexcept {
  const uint64_t pattern = Slot::pattern(hash, SlotState::live, detail::is_v6_key<Key>);
  for (uint32_t similar = similar_slots(bucket, pattern); similar != 0; similar &= similar - 1) {
    const auto& word = bucket.slots[std::countr_zero(similar)];
    const Slot slot = detail::load_slot(word, std::memory_order_acquire);
    if (slot.is_like(pattern)) return slot;
  }
  return Slot{};
}

template <class Key>
Slot ConnTable::probe(uint64_t hash) const noexcept {
  return probe_in<Key>(home(hash), hash);
}

inline bool ConnTable::prefetch_alternate(uint64_t hash) const noexcept {
  if (detail::load_away(home(hash), std::memory_order_relaxed) == 0) return false;
  fetch_ahead(&alternate(hash));
  return true;
}

template <class Key>
Slot ConnTable::probe_alternate(uint64_t hash) const noexcept {
  return probe_in<Key>(alternate(hash), hash);
}

inline void ConnTable::prefetch_entry(Slot candidate) const noexcept {
  if (candidate.is_none()) return;
  const ConnRef ref = candidate.ref();
  if (!ref.is_v6()) {
    fetch_ahead(&entries4_[ref.index()]);
  } else {
    const auto* entry = &entries6_[ref.index()];
    fetch_ahead(entry);
    fetch_ahead(reinterpret_cast<const std::byte*>(entry) + 64);
  }
}

// The keys lie in the entry as they lie in the packet: the addresses and the ports of the direction
// are contiguous, protocol and kind as well.
inline bool ConnTable::entry_has(Slot slot, const FlowKey4& key) const noexcept {
  faults::step(faults::Step::compare_key, nullptr);
  if (faults::fault(faults::Fault::signature_only_compare)) return true;
  const Connection4& entry = entries4_[slot.ref().index()];
  const bool forward = slot.direction() == Direction::forward;
  const net::be32* addresses = forward ? &entry.client_ip : &entry.backend_ip;
  const net::be16* ports = forward ? &entry.client_port : &entry.backend_port;
  return std::memcmp(addresses, &key.source, 8) == 0 &&
         std::memcmp(ports, &key.source_port, 4) == 0 && entry.common.protocol == key.protocol &&
         entry.common.kind == key.kind;
}

inline bool ConnTable::entry_has(Slot slot, const FlowKey6& key) const noexcept {
  faults::step(faults::Step::compare_key, nullptr);
  if (faults::fault(faults::Fault::signature_only_compare)) return true;
  const Connection6& entry = entries6_[slot.ref().index()];
  const bool forward = slot.direction() == Direction::forward;
  const net::Ipv6Address* addresses = forward ? &entry.client_ip : &entry.backend_ip;
  const net::be16* ports = forward ? &entry.client_port : &entry.backend_port;
  return std::memcmp(addresses, &key.source, 32) == 0 &&
         std::memcmp(ports, &key.source_port, 4) == 0 && entry.common.protocol == key.protocol &&
         entry.common.kind == key.kind;
}

template <class Key>
Hit ConnTable::find_in(const Bucket& bucket, uint64_t hash, const Key& key) const noexcept {
  const uint64_t pattern = Slot::pattern(hash, SlotState::live, detail::is_v6_key<Key>);
  for (uint32_t similar = similar_slots(bucket, pattern); similar != 0; similar &= similar - 1) {
    const auto& word = bucket.slots[std::countr_zero(similar)];
    const Slot slot = detail::load_slot(word, std::memory_order_acquire);
    if (slot.is_like(pattern) && entry_has(slot, key)) return {slot.ref(), slot.direction()};
  }
  return {};
}

template <class Key>
Hit ConnTable::find(uint64_t hash, const Key& key) const noexcept {
  const Bucket& bucket = home(hash);
  const Hit hit = find_in(bucket, hash, key);
  if (!hit.is_miss() || detail::load_away(bucket, std::memory_order_acquire) == 0) return hit;
  return find_in(alternate(hash), hash, key);
}

template <class Function>
uint64_t ConnTable::for_each(uint64_t cursor, uint32_t budget, Function&& fn) const {
  const uint64_t total = uint64_t{header_->pools[0].capacity} + header_->pools[1].capacity;
  const uint64_t end = budget < total - cursor ? cursor + budget : total;
  for (; cursor < end; ++cursor) {
    const bool is_v6 = cursor >= header_->pools[0].capacity;
    const auto index = static_cast<uint32_t>(is_v6 ? cursor - header_->pools[0].capacity : cursor);
    const ConnRef ref = ConnRef::make(is_v6, index);
    ConnCommon& entry = common(ref);
    const StateWord state = entry.state();
    if (state.has(ConnFlag::published) && !state.has(ConnFlag::dying)) fn(ref, entry);
  }
  return cursor == total ? scan_end : cursor;
}

}  // namespace headgate::dataplane
