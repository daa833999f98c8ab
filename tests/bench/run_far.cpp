// The generator and the sink on one core, over ring ports, the worker or the floor on another. Only
// turns that found a full burst are timed: whatever the generator can do, it is not what is
// measured.
#include <algorithm>
#include <thread>

#include <fmt/format.h>
#include <rte_cycles.h>

#include "dataplane/eal.h"
#include "tests/bench/run.h"

namespace headgate::bench {
namespace {

constexpr uint32_t burst = dataplane::burst_frames;

// Of the worker or of the floor.
struct Turns {
  uint64_t packets = 0;
  uint64_t cycles = 0;
  uint64_t full_cycles = 0;  // of `cycles`: of turns that found a full burst

  [[nodiscard]] double full_percent() const {
    return 100.0 * static_cast<double>(full_cycles) / static_cast<double>(cycles);
  }
};

// ns per packet in turns that found a full burst, until those had so many packets.
template <class Turn>
double time_full_bursts(uint64_t packets, Turns& turns, BurstTimes* times, Turn&& turn) {
  const uint64_t full_before = turns.full_cycles;
  uint64_t full = 0;
  uint64_t last = rte_rdtsc_precise();
  while (full * burst < packets) {
    const uint32_t found = turn();
    const uint64_t now = rte_rdtsc();
    turns.packets += found;
    turns.cycles += now - last;
    if (found == burst) {
      ++full;
      turns.full_cycles += now - last;
      if (times != nullptr) times->add(now - last);
    }
    last = now;
  }
  return static_cast<double>(turns.full_cycles - full_before) * tsc_ns() /
         static_cast<double>(full * burst);
}

// Pumps on another core for as long as it lives.
class OtherCore {
 public:
  OtherCore(Bed& bed, uint16_t core)
      : thread_([core, &bed](const std::stop_token& stop) {
          const auto thread = dataplane::RegisteredThread::enter("generator", core);
          while (!stop.stop_requested())
            bed.pump();
        }) {}

 private:
  std::jthread thread_;
};

// What is on its way when the generator stops still arrives.
void drain(Bed& bed) {
  do {
    bed.pump();
  } while (bed.turn(0) != 0);
  bed.pump();
}

}  // namespace

Result run_far(const Case& one, const RunOptions& options, Bed& bed) {
  Result result;
  bed.establish(one.flows);
  Source& source = bed.clients(0);
  Sink& sink = bed.to_servers(0);
  source.set({.choice = one.choice, .flows = one.flows, .writer = &bed.requests()});
  sink.sample_every(sampled_every);
  Books books(source, sink);
  Turns turns;
  Turns floor_turns;
  BurstTimes times;
  BurstTimes floor_times;
  std::vector<double> ns;
  std::vector<double> floor_ns;
  const auto turn = [&bed] { return bed.turn(0); };
  const auto floor = [port = bed.client_port()] { return floor_turn(port); };
  {
    const OtherCore generator(bed, *options.other_core);
    Turns warm_up;
    const uint64_t first = std::max<uint64_t>(options.slices.packets, one.flows);
    time_full_bursts(first, warm_up, nullptr, turn);
    for (uint32_t i = 0; i < options.slices.count; ++i) {
      floor_ns.push_back(
          time_full_bursts(options.slices.packets / 4, floor_turns, &floor_times, floor));
      ns.push_back(time_full_bursts(options.slices.packets, turns, &times, turn));
    }
  }
  source.stop();
  drain(bed);
  books.floor = floor_turns.packets;
  result.ns = spread_of(ns);
  result.floor_ns = spread_of(floor_ns);
  result.set_burst_times(times, floor_times);
  finish(result, bed, source, sink, books);
  result.remark = fmt::format(
      "the worker spent {:.1f} % of its time in turns that found a full burst (floor {:.1f} %); "
      "only these are counted; the generator found no room in {:.0f} % of its turns",
      turns.full_percent(), floor_turns.full_percent(), 100 * bed.full_pumps());
  result.more = {{"full_burst_percent", turns.full_percent()},
                 {"floor_full_burst_percent", floor_turns.full_percent()}};
  return result;
}

}  // namespace headgate::bench
