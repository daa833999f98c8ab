// Locality: which backends serve a destination address, as the schedulers lblc (one backend) and
// lblcr (a set of them) remember it. One table for all workers of the process: a memory of its own
// for each would send a destination to as many backends as there are workers. It is keyed by
// service id and destination, so it outlives every change of the service.
//
// ## Shape
// Groups of locality_ways lines; the hash of service and destination names the group and the tag by
// which a line is known. A line is a cache line:
//   head       tag, and the tick at which the set last changed; 0: free
//   last_use   tick
//   servers    tag and backend id each; one of another tag is a leftover, and free
//
// ## Bound
// locality_groups * locality_ways destinations of all services together, 2 MB. A new one takes a
// free line of its group or the one that was not used for the longest time. What is forgotten is
// scheduled anew. A set has up to locality_servers backends.
//
// ## Never wrong
// A backend id is taken for an answer only if the service has that backend (scheduler.cpp), so the
// worst that a lost, late or mixed-up memory does is to send a destination elsewhere. Two
// destinations with the same group and tag (one pair in 2^45) would share a memory.
//
// ## Concurrency
// No locks; each word is atomic, says itself of which tag it is, and is changed from what was seen
// by compare-and-swap. So a worker that is late changes nothing of a line that has become another
// destination's. Of two workers that see a destination for the first time together, one takes the
// line and the first place in it; the other adopts what is there. If they take two lines, the one
// found first counts and the other grows old. No word publishes other memory, so nothing needs more
// than acquire and release.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/limits.h"
#include "dataplane/net/address.h"
#include "dataplane/snapshot.h"

namespace headgate::dataplane {

struct alignas(64) LocalityLine {
  std::atomic<uint64_t> head{0};
  std::atomic<Tick> last_use{0};
  uint32_t reserved = 0;
  std::array<std::atomic<uint64_t>, locality_servers> servers{};
};
static_assert(sizeof(LocalityLine) == 64);

// A destination of a service, and what was known of it when it was looked for.
struct Locality {
  uint32_t group = 0;
  uint32_t tag = 0;              // never 0
  LocalityLine* line = nullptr;  // null: nothing is known
  uint64_t head = 0;
  std::array<uint64_t, locality_servers> words{};

  // The backend id in a place, or `none`.
  [[nodiscard]] uint32_t server(uint32_t place) const noexcept {
    return line != nullptr && words[place] >> 32 == tag ? static_cast<uint32_t>(words[place])
                                                        : none;
  }
  // When a backend was last added or removed.
  [[nodiscard]] Tick changed() const noexcept { return static_cast<Tick>(head); }
};

class LocalityTable {
 public:
  // `seed`: without it nobody can aim many destinations at one group. A power of two of groups.
  explicit LocalityTable(uint64_t seed, uint32_t groups = locality_groups);

  // What is known of a destination, which counts as used now. One that was not used for
  // locality_idle_ticks is forgotten.
  [[nodiscard]] Locality find(uint32_t service_id, const net::IpAddress& destination,
                              Tick now) noexcept;

  // Puts a backend into a place as it was found. Returns who is there: the given one, or that of a
  // worker who was first. Remembers nothing where too many others are at the line.
  uint32_t put(Locality& known, uint32_t place, uint32_t backend_id, Tick now) noexcept;

  // Takes the backend of a place out. False: the set has changed since it was found.
  bool remove(Locality& known, uint32_t place, Tick now) noexcept;

 private:
  [[nodiscard]] std::span<LocalityLine> group(uint32_t index) noexcept {
    return {&lines_[size_t{index} * locality_ways], locality_ways};
  }
  void read(Locality& known) noexcept;
  void forget(Locality& known, Tick now) noexcept;
  [[nodiscard]] bool take_line(Locality& known, Tick now) noexcept;

  uint64_t seed_;
  uint32_t groups_;
  std::unique_ptr<LocalityLine[]> lines_;
};

}  // namespace headgate::dataplane
