// Every packet opens a connection; as many expire as are made.
#include <fmt/format.h>
#include <rte_cycles.h>

#include "tests/bench/run.h"

namespace headgate::bench {

Result run_fresh(const Case& one, const RunOptions& options, Bed& bed) {
  Source& source = bed.clients(0);
  Sink& sink = bed.to_servers(0);
  source.set({.choice = Choice::fresh, .flows = one.flows, .writer = &bed.openings()});
  // Until as many have expired as are made: twice the time-out.
  const uint64_t settle_ns = 2ULL * one.bed.timeout_s * 1'000'000'000;
  for (const uint64_t begin = rte_rdtsc();
       static_cast<double>(rte_rdtsc() - begin) * tsc_ns() < static_cast<double>(settle_ns);) {
    time_turns(bed, 0, source, 10'000, nullptr);
  }
  const Books books(source, sink);
  const uint64_t live = bed.in_use();
  sink.sample_every(sampled_every * 16);
  Result result;
  BurstTimes times;
  std::vector<double> ns;
  double total = 0;
  while (total < options.fresh_seconds * 1e9) {
    ns.push_back(time_turns(bed, 0, source, options.slices.packets, &times));
    total += ns.back() * options.slices.packets;
  }
  result.ns = spread_of(ns);
  result.floor_ns.median = time_floor(bed.client_port(), source, options.slices.packets);
  result.set_burst_times(times);
  Books all = books;
  all.floor = source.made() - books.made - (sink.sent() - books.sent);
  const uint64_t dropped = all.floor - std::min<uint64_t>(all.floor, options.slices.packets);
  finish(result, bed, source, sink, all);
  result.remark =
      fmt::format("{:.1f} M connections/s for {:.0f} s, {:.1f} M live before, {:.1f} M after",
                  static_cast<double>(result.packets) / total * 1000, total / 1e9,
                  static_cast<double>(live) / 1e6, static_cast<double>(bed.in_use()) / 1e6);
  if (dropped > 64) result.mistake = fmt::format("{} not made; {}", dropped, bed.not_sent());
  return result;
}

}  // namespace headgate::bench
