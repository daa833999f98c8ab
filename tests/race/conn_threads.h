// Threads that insert, find, remove and expire connections of a few keys in a small table as fast
// as they can, and a judge of what they saw.
#pragma once

#include <cstdint>
#include <string>

namespace headgate::dataplane::test {

struct Stress {
  uint32_t threads = 3;
  uint32_t rounds = 20'000;  // of each thread
  uint32_t ids = 24;         // connections they contend for
  uint32_t capacity = 64;
  uint64_t seed = 1;
  // One step in so many yields the processor, so that threads meet in the middle of the protocols
  // even where there are few cores; 0: none. Of a table without steps, one round in so many.
  uint32_t yield_every = 64;
};

struct StressResult {
  std::string violation;
  uint64_t inserted = 0;
  uint64_t found = 0;
  uint64_t races = 0;  // inserts that another thread's entry stood in the way of
  uint64_t full = 0;   // inserts that found both buckets full
  uint64_t expired = 0;
};

StressResult stress(const Stress& plan);

}  // namespace headgate::dataplane::test
