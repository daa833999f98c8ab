#include "tests/bench/count.h"

#include <fmt/format.h>

#include "tests/bench/run.h"

namespace headgate::bench {

// Functions of their own, in the program too: the script names them to callgrind, which begins and
// ends to count with the one, and writes its figures down after the other.
[[gnu::noinline]] void counted_turns(Bed& bed, uint32_t turns);
[[gnu::noinline]] std::string counted_case(const Case& one, const RunOptions& options,
                                           rte_mempool* pool, rte_mempool* own_pool);

namespace {

#ifdef __clang__
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

constexpr uint32_t counted = 500;
constexpr uint32_t flows = 1000;
constexpr uint64_t turn_ns = 4'000;
// New flows: so many turns in virtual time that some ten thousand connections of three seconds
// live, and as many expire as are made.
constexpr uint64_t fresh_turn_ns = 10'000'000;
constexpr uint32_t warm_turns = 700;

Case established(const char* mode, bool v6, bool replies) {
  Case one;
  one.name = fmt::format("{} {} 1 K{}", mode, v6 ? "IPv6" : "IPv4", replies ? ", replies" : "");
  one.bed.mode = mode;
  one.bed.v6 = v6;
  one.bed.capacity_v4 = v6 ? 1024 : 16384;
  one.bed.capacity_v6 = v6 ? 16384 : 1024;
  one.bed.turn_ns = turn_ns;
  one.flows = flows;
  one.replies = replies;
  return one;
}

Case fresh(const char* mode) {
  Case one = established(mode, false, false);
  one.name = fmt::format("{} IPv4, new UDP flows", mode);
  one.kind = CaseKind::fresh;
  one.bed.protocol = "udp";
  one.bed.capacity_v4 = 32768;
  one.bed.timeout_s = 3;
  one.bed.turn_ns = fresh_turn_ns;
  one.choice = Choice::fresh;
  return one;
}

std::vector<Case> counted_cases() {
  std::vector<Case> cases;
  for (const char* mode : {"dr", "nat", "fullnat", "ipip"})
    cases.push_back(established(mode, false, false));
  cases.push_back(established("dr", true, false));
  for (const char* mode : {"nat", "fullnat"})
    cases.push_back(established(mode, false, true));
  cases.push_back(fresh("fullnat"));
  return cases;
}

}  // namespace

void counted_turns(Bed& bed, uint32_t turns) {
  for (uint32_t i = 0; i < turns; ++i)
    bed.turn(0);
}

// What went wrong; empty: nothing.
std::string counted_case(const Case& one, const RunOptions& options, rte_mempool* pool,
                         rte_mempool* own_pool) {
  BedOptions bed_options = one.bed;
  bed_options.pages = options.pages;
  Bed bed(bed_options, pool, own_pool);
  const bool is_fresh = one.kind == CaseKind::fresh;
  std::vector<Learned> learned;
  if (!is_fresh) bed.establish(one.flows, one.replies ? &learned : nullptr);
  Source& source = one.replies ? bed.servers(0) : bed.clients(0);
  Sink& sink = one.replies ? bed.to_clients(0) : bed.to_servers(0);
  const FrameWriter& requests = is_fresh ? bed.openings() : bed.requests();
  source.set({.choice = one.choice,
              .flows = one.flows,
              .writer = one.replies ? &bed.replies() : &requests,
              .learned = one.replies ? &learned : nullptr});
  const Books books(source, sink);
  sink.sample_every(sampled_every);
  for (uint32_t i = 0; i < warm_turns; ++i)
    bed.turn(0);
  const uint64_t made = source.made();
  counted_turns(bed, counted);
  fmt::print("counted {} {}\n", source.made() - made, one.name);
  Result result;
  finish(result, bed, source, sink, books);
  return result.mistake;
}

int run_counted(const RunOptions& options, rte_mempool* pool, rte_mempool* own_pool) {
  fmt::print("built with {}\n", compiler);
  for (const Case& one : counted_cases()) {
    const std::string mistake = counted_case(one, options, pool, own_pool);
    if (mistake.empty()) continue;
    fmt::print(stderr, "{}: WRONG: {}\n", one.name, mistake);
    return 1;
  }
  return 0;
}

}  // namespace headgate::bench
