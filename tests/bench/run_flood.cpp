// Established connections beside a flood of SYNs. What one of their packets costs is told by bursts
// of these alone, between bursts of the flood; the two mixed packet by packet are timed as well.
#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <rte_cycles.h>

#include "tests/bench/run.h"

namespace headgate::bench {
namespace {

constexpr uint32_t burst = dataplane::burst_frames;

// ns per established packet; `times` gets those bursts. After each set() the flood comes first.
double time_between_floods(Bed& bed, uint32_t flood_bursts, uint32_t packets, BurstTimes& times) {
  const uint32_t rounds = packets / burst / (flood_bursts + 1) + 1;
  uint64_t cycles = 0;
  for (uint32_t i = 0; i < rounds; ++i) {
    for (uint32_t j = 0; j < flood_bursts; ++j)
      bed.turn(0);
    const uint64_t begin = rte_rdtsc_precise();
    bed.turn(0);
    const uint64_t passed = rte_rdtsc_precise() - begin;
    times.add(passed);
    cycles += passed;
  }
  return static_cast<double>(cycles) * tsc_ns() / (static_cast<double>(rounds) * burst);
}

size_t evicted(const std::vector<uint32_t>& before, const std::vector<uint32_t>& after) {
  std::vector<uint32_t> gone;
  std::ranges::set_difference(before, after, std::back_inserter(gone));
  return gone.size();
}

}  // namespace

Result run_flood(const Case& one, const RunOptions& options, Bed& bed) {
  bed.establish(one.flows);
  Source& source = bed.clients(0);
  Sink& sink = bed.to_servers(0);
  const Traffic alone{.choice = one.choice, .flows = one.flows, .writer = &bed.requests()};
  Traffic mixed = alone;
  mixed.flood_per_packet = one.flood_per_packet;
  mixed.flood = &bed.floods();
  Traffic in_bursts = mixed;
  in_bursts.run = burst;
  source.set(alone);
  time_turns(bed, 0, source, one.flows, nullptr);

  const std::vector<uint32_t> before = bed.established();
  Result result;
  Books books(source, sink);
  BurstTimes times;
  BurstTimes floor_times;
  std::vector<double> floor_ns;
  std::vector<double> alone_ns;
  std::vector<double> flooded_ns;
  std::vector<double> mixed_ns;
  sink.sample_every(sampled_every);
  const uint32_t packets = options.slices.packets;
  for (uint32_t i = 0; i < options.slices.count; ++i) {
    source.set(alone);
    const uint64_t made = source.made();
    floor_ns.push_back(time_floor(bed.client_port(), source, packets / 4, &floor_times));
    books.floor += source.made() - made;
    alone_ns.push_back(time_turns(bed, 0, source, packets / 2, nullptr));
    source.set(in_bursts);
    flooded_ns.push_back(time_between_floods(bed, one.flood_per_packet, packets, times));
    source.set(mixed);
    mixed_ns.push_back(time_turns(bed, 0, source, packets / 2, nullptr));
  }
  result.ns = spread_of(flooded_ns);
  result.floor_ns = spread_of(floor_ns);
  result.set_burst_times(times, floor_times);
  finish(result, bed, source, sink, books);

  const size_t evictions = evicted(before, bed.established());
  const double without = spread_of(alone_ns).median;
  const double mix = spread_of(mixed_ns).median;
  result.remark = fmt::format(
      "ns per established packet; {:.1f} without the flood: {:.2f} times; mixed with SYNs {:.1f} a "
      "packet of either kind; {} evictions",
      without, result.ns.median / without, mix, evictions);
  result.more = {{"without_flood_ns", without},
                 {"mixed_ns", mix},
                 {"evictions", static_cast<double>(evictions)}};
  if (evictions != 0) result.mistake = fmt::format("{} connections were evicted", evictions);
  return result;
}

}  // namespace headgate::bench
