// Every packet opens a connection; as many expire as are made.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <rte_cycles.h>

#include "tests/bench/run.h"

namespace headgate::bench {
namespace {

constexpr uint32_t settling_packets = 10'000;
constexpr double longest_timeout_s = 30;  // where a machine is that slow, fewer live

Traffic fresh_flows(const Case& one, const Bed& bed) {
  return {.choice = Choice::fresh, .flows = one.flows, .writer = &bed.openings()};
}

// Turns without a packet while the table is all but full, as the rate may have gone up since the
// time-out was chosen: connections that cannot be made are no part of this case. The ns it took.
double wait_for_room(const Case& one, Bed& bed) {
  const uint64_t most = uint64_t{one.bed.capacity_v4} / 16 * 15;
  if (bed.in_use() <= most) return 0;
  const uint64_t begin = rte_rdtsc();
  bed.clients(0).stop();
  while (bed.in_use() > most)
    bed.turn(0);
  bed.clients(0).set(fresh_flows(one, bed));
  return static_cast<double>(rte_rdtsc() - begin) * tsc_ns();
}

// Twice the time-out, until as many have expired as are made; connections per ns in the second
// half.
double settle(const Case& one, Bed& bed, uint32_t timeout_s) {
  Source& source = bed.clients(0);
  source.set(fresh_flows(one, bed));
  double rate = 0;
  for (int half = 0; half < 2; ++half) {
    const uint64_t before = source.made();
    const uint64_t begin = rte_rdtsc();
    double passed_ns = 0;
    while (passed_ns < timeout_s * 1e9) {
      time_turns(bed, 0, source, settling_packets, nullptr);
      wait_for_room(one, bed);
      passed_ns = static_cast<double>(rte_rdtsc() - begin) * tsc_ns();
    }
    rate = static_cast<double>(source.made() - before) / passed_ns;
  }
  return rate;
}

// Packets that went out without a connection, or not at all.
uint64_t failed_inserts(Bed& bed) {
  const dataplane::ConnTableCounters counters = bed.world().connections->counters();
  return counters.no_entry + counters.bucket_full + counters.contended;
}

double millions(uint64_t number) {
  return static_cast<double>(number) / 1e6;
}

}  // namespace

uint32_t timeout_for_live(const Case& one, Bed& bed) {
  const double rate = settle(one, bed, one.bed.timeout_s);
  const double timeout_s = std::ceil(static_cast<double>(one.live) / rate / 1e9);
  return static_cast<uint32_t>(std::clamp(timeout_s, 1.0, longest_timeout_s));
}

Result run_fresh(const Case& one, const RunOptions& options, Bed& bed) {
  const uint32_t timeout_s = bed.options().timeout_s;
  const uint32_t seconds = options.fresh_seconds != 0 ? options.fresh_seconds : one.seconds;
  settle(one, bed, timeout_s);
  Source& source = bed.clients(0);
  Sink& sink = bed.to_servers(0);
  Books books(source, sink);
  const uint64_t live = bed.in_use();
  const uint64_t failed_before = failed_inserts(bed);
  sink.sample_every(sampled_every * 16);
  Result result;
  BurstTimes times;
  BurstTimes floor_times;
  std::vector<double> ns;
  double total = 0;
  while (total < seconds * 1e9) {
    ns.push_back(time_turns(bed, 0, source, options.slices.packets, &times));
    total += ns.back() * options.slices.packets + wait_for_room(one, bed);
  }
  const uint64_t failed = failed_inserts(bed) - failed_before;
  const uint64_t made = source.made() - books.made - failed;
  const uint64_t after = bed.in_use();
  const uint64_t expired = made + live - after;
  const uint64_t before_floor = source.made();
  result.floor_ns =
      spread_of({time_floor(bed.client_port(), source, options.slices.packets, &floor_times)});
  books.floor = source.made() - before_floor;
  result.ns = spread_of(ns);
  result.set_burst_times(times, floor_times);
  finish(result, bed, source, sink, books);
  const double rate = static_cast<double>(made) / total * 1e9;
  result.remark = fmt::format(
      "{:.2f} M connections/s for {:.0f} s, time-out {} s, {:.1f} M live before, {:.1f} M after; "
      "{:.1f} M made, {:.1f} M expired: {:.1f} %",
      rate / 1e6, total / 1e9, timeout_s, millions(live), millions(after), millions(made),
      millions(expired), 100.0 * static_cast<double>(expired) / static_cast<double>(made));
  if (failed != 0) result.mistake = fmt::format("{} connections were not made", failed);
  result.more = {
      {"connections_per_second", rate},           {"timeout_s", timeout_s},
      {"live_before", static_cast<double>(live)}, {"live_after", static_cast<double>(after)},
      {"made", static_cast<double>(made)},        {"expired", static_cast<double>(expired)}};
  return result;
}

}  // namespace headgate::bench
