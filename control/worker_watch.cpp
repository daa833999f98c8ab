#include "control/worker_watch.h"

#include <algorithm>

#include <fmt/format.h>

namespace headgate::control {
namespace {

// More than this between two samples is the caller's own lateness.
constexpr std::chrono::milliseconds longest_step{500};

}  // namespace

std::string WorkerWatch::sample(const std::vector<uint64_t>& polls,
                                const std::vector<uint16_t>& cores, Time now) {
  const auto step = last_ == Time{}
                        ? std::chrono::steady_clock::duration{}
                        : std::min<std::chrono::steady_clock::duration>(now - last_, longest_step);
  last_ = now;
  seen_.resize(polls.size());
  std::string trouble;
  for (size_t i = 0; i < polls.size(); ++i) {
    Seen& seen = seen_[i];
    seen.still = polls[i] == seen.polls ? seen.still + step : std::chrono::steady_clock::duration{};
    seen.polls = polls[i];
    if (seen.still < patience || !trouble.empty()) continue;
    trouble = i < cores.size() ? fmt::format("worker {} on core {} does not poll", i, cores[i])
                               : fmt::format("worker {} does not poll", i);
  }
  return trouble;
}

}  // namespace headgate::control
