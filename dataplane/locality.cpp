#include "dataplane/locality.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "dataplane/flow_key.h"

namespace headgate::dataplane {
namespace {

// How often a line or a place is tried for that others change at the same moment.
constexpr int tries = 4;

constexpr uint64_t word_of(uint32_t tag, uint32_t low) noexcept {
  return uint64_t{tag} << 32 | low;
}
constexpr uint32_t tag_of(uint64_t word) noexcept {
  return static_cast<uint32_t>(word >> 32);
}

uint64_t hash_of(uint64_t seed, uint32_t service_id, const net::IpAddress& destination) noexcept {
  std::array<uint64_t, 2> address;
  std::memcpy(address.data(), destination.bytes.data(), sizeof(address));
  const uint64_t service = uint64_t{service_id} << 8 | static_cast<uint8_t>(destination.family);
  const uint64_t folded =
      detail::multiply_fold(address[0] ^ seed, address[1] ^ std::rotl(seed, 21));
  return detail::multiply_fold(folded ^ service, std::rotl(seed, 42) ^ 0x9e3779b97f4a7c15ULL);
}

void touch(LocalityLine& line, Tick now) noexcept {
  if (line.last_use.load(std::memory_order_relaxed) != now) {
    line.last_use.store(now, std::memory_order_relaxed);
  }
}

// Another worker may be a tick ahead.
uint32_t age_of(const LocalityLine& line, Tick now) noexcept {
  const Tick last_use = line.last_use.load(std::memory_order_relaxed);
  return is_past(last_use, now) ? now - last_use : 0;
}

// False: another worker has changed the set since it was found, or the line is another's.
bool mark_changed(Locality& known, Tick now) noexcept {
  uint64_t before = known.head;
  const uint64_t after = word_of(known.tag, now);
  if (!known.line->head.compare_exchange_strong(before, after)) return false;
  known.head = after;
  return true;
}

}  // namespace

LocalityTable::LocalityTable(uint64_t seed, uint32_t groups)
    : seed_(seed),
      groups_(groups),
      lines_(std::make_unique<LocalityLine[]>(size_t{groups} * locality_ways)) {
  assert(std::has_single_bit(groups));
}

void LocalityTable::read(Locality& known) noexcept {
  known.line = nullptr;
  for (LocalityLine& line : group(known.group)) {
    const uint64_t head = line.head.load(std::memory_order_acquire);
    if (tag_of(head) != known.tag) continue;
    known.line = &line;
    known.head = head;
    for (uint32_t i = 0; i < locality_servers; ++i) {
      known.words[i] = line.servers[i].load(std::memory_order_acquire);
    }
    return;
  }
}

Locality LocalityTable::find(uint32_t service_id, const net::IpAddress& destination,
                             Tick now) noexcept {
  const uint64_t hash = hash_of(seed_, service_id, destination);
  Locality known;
  known.group = static_cast<uint32_t>(hash) & (groups_ - 1);
  known.tag = std::max(static_cast<uint32_t>(hash >> 32), 1U);
  read(known);
  if (known.line == nullptr) return known;
  const Tick last_use = known.line->last_use.load(std::memory_order_relaxed);
  if (is_past(last_use + locality_idle_ticks, now)) forget(known, now);
  touch(*known.line, now);
  return known;
}

// The line stays the destination's, without servers; what another worker puts there meanwhile
// stays.
void LocalityTable::forget(Locality& known, Tick now) noexcept {
  for (uint32_t i = 0; i < locality_servers; ++i) {
    if (known.server(i) == none) continue;
    uint64_t found = known.words[i];
    known.words[i] = known.line->servers[i].compare_exchange_strong(found, 0) ? 0 : found;
  }
  (void)mark_changed(known, now);
}

// Takes a line of the group for a destination that has none. False: others were faster each time.
bool LocalityTable::take_line(Locality& known, Tick now) noexcept {
  const uint64_t mine = word_of(known.tag, now);
  for (int i = 0; i < tries; ++i) {
    LocalityLine* oldest = nullptr;
    uint64_t its_head = 0;
    uint32_t its_age = 0;
    for (LocalityLine& line : group(known.group)) {
      const uint64_t head = line.head.load(std::memory_order_acquire);
      const uint32_t age = head == 0 ? UINT32_MAX : age_of(line, now);
      if (oldest != nullptr && age <= its_age) continue;
      oldest = &line;
      its_head = head;
      its_age = age;
    }
    const bool taken = oldest->head.compare_exchange_strong(its_head, mine);
    if (taken) oldest->last_use.store(now, std::memory_order_relaxed);
    // By ourselves, or by another worker; the first one in the group counts.
    read(known);
    if (known.line == nullptr) continue;
    if (taken && known.line != oldest) {
      uint64_t expected = mine;
      oldest->head.compare_exchange_strong(expected, 0);
    }
    return true;
  }
  return false;
}

uint32_t LocalityTable::put(Locality& known, uint32_t place, uint32_t backend_id,
                            Tick now) noexcept {
  if (known.line == nullptr) {
    if (!take_line(known, now)) return backend_id;
    if (known.server(place) != none) return known.server(place);  // another worker was first
  }
  const uint64_t wanted = word_of(known.tag, backend_id);
  for (int i = 0; i < tries; ++i) {
    uint64_t found = known.words[place];
    if (known.line->servers[place].compare_exchange_strong(found, wanted)) {
      known.words[place] = wanted;
      (void)mark_changed(known, now);
      return backend_id;
    }
    if (tag_of(found) == known.tag) return static_cast<uint32_t>(found);
    // A leftover of an earlier destination that was late, or the line has become another one's.
    if (tag_of(known.line->head.load(std::memory_order_acquire)) != known.tag) break;
    known.words[place] = found;
  }
  return backend_id;
}

bool LocalityTable::remove(Locality& known, uint32_t place, Tick now) noexcept {
  if (!mark_changed(known, now)) return false;
  uint64_t word = known.words[place];
  if (!known.line->servers[place].compare_exchange_strong(word, 0)) return false;
  known.words[place] = 0;
  return true;
}

}  // namespace headgate::dataplane
