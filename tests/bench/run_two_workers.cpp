// One core, then two, in turn; one worker alone stands in the floor's place.
#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "dataplane/eal.h"
#include "tests/bench/run.h"

namespace headgate::bench {

Result run_two_workers(const Case& one, const RunOptions& options, Bed& bed) {
  bed.establish(one.flows);
  const uint64_t share = one.flows / 2;
  for (uint32_t i = 0; i < 2; ++i) {
    bed.clients(i).set(
        {.choice = one.choice, .flows = share, .first_flow = i * share, .writer = &bed.requests()});
    bed.to_servers(i).sample_every(sampled_every);
  }
  enum Order : int { wait, run, end };
  std::atomic<int> order{wait};
  std::atomic<bool> runs{false};
  std::jthread other([&] {
    const auto thread = dataplane::RegisteredThread::enter("bench2", options.other_core);
    while (order != end) {
      runs = order == run;
      if (runs) bed.turn(1);
    }
    runs = false;
  });
  Books first(bed.clients(0), bed.to_servers(0));
  Books second(bed.clients(1), bed.to_servers(1));
  Result result;
  BurstTimes times;
  std::vector<double> ns;
  std::vector<double> alone_ns;
  for (uint32_t i = 0; i < options.slices.count; ++i) {
    alone_ns.push_back(time_turns(bed, 0, bed.clients(0), options.slices.packets, nullptr));
    order = run;
    while (!runs)
      std::this_thread::yield();
    const uint64_t others = bed.clients(1).made();
    const uint64_t mine = bed.clients(0).made();
    const double each = time_turns(bed, 0, bed.clients(0), options.slices.packets, &times);
    const auto made = static_cast<double>(bed.clients(0).made() - mine);
    const auto both = made + static_cast<double>(bed.clients(1).made() - others);
    ns.push_back(each * made / both);
    order = wait;
    while (runs)
      std::this_thread::yield();
  }
  order = end;
  other.join();
  result.ns = spread_of(ns);
  result.floor_ns = spread_of(alone_ns);
  result.set_burst_times(times);
  Result of_other;
  finish(of_other, bed, bed.clients(1), bed.to_servers(1), second);
  finish(result, bed, bed.clients(0), bed.to_servers(0), first);
  if (!of_other.mistake.empty()) result.mistake = of_other.mistake;
  result.packets += of_other.packets;
  result.verified += of_other.verified;
  result.remark = fmt::format("{:.2f} x one worker, whose time stands under floor",
                              result.floor_ns.median / result.ns.median);
  return result;
}

}  // namespace headgate::bench
