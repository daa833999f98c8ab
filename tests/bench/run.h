// How each kind of case is run, and what they share: the books that show that nothing was lost.
#pragma once

#include "tests/bench/bed.h"
#include "tests/bench/cases.h"
#include "tests/bench/measure.h"

namespace headgate::bench {

inline constexpr uint32_t sampled_every = 997;

// What a case counts from the moment where its flows are there.
struct Books {
  Books(const Source& source, const Sink& sink) : made(source.made()), sent(sink.sent()) {}
  uint64_t made;
  uint64_t sent;
  uint64_t floor = 0;  // of `made`: packets of the floor
};

// Closes the books: everything that came in went out, and the samples are right.
void finish(Result& result, Bed& bed, const Source& source, const Sink& sink, const Books& books);

[[nodiscard]] Result run_established(const Case& one, const RunOptions& options, Bed& bed);
[[nodiscard]] Result run_flood(const Case& one, const RunOptions& options, Bed& bed);
[[nodiscard]] Result run_two_workers(const Case& one, const RunOptions& options, Bed& bed);
[[nodiscard]] Result run_far(const Case& one, const RunOptions& options, Bed& bed);
// The time-out at which as many connections live as the case wants, by its rate on a bed with
// another one.
[[nodiscard]] uint32_t timeout_for_live(const Case& one, Bed& bed);
[[nodiscard]] Result run_fresh(const Case& one, const RunOptions& options, Bed& bed);

}  // namespace headgate::bench
