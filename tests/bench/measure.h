// Times slices of work: of the case and of the floor in turn, so that a machine that is slower for
// a while is slower for both.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/bed.h"

namespace headgate::bench {

// Cycles a burst took, in steps of an eighth of an octave.
class BurstTimes {
 public:
  void add(uint64_t cycles) { ++counts_[index_of(cycles)]; }
  // The time that `share` of the bursts did not exceed, in ns.
  [[nodiscard]] double quantile(double share) const;

 private:
  static constexpr size_t steps = 8;
  static uint32_t index_of(uint64_t cycles);
  std::array<uint64_t, 64 * steps> counts_{};
};

struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;
};
[[nodiscard]] Spread spread_of(std::vector<double> values);

struct Result {
  std::string name;
  uint64_t packets = 0;  // of the case, measured
  Spread ns;             // per packet
  Spread floor_ns;
  double p50_ns = 0;  // per burst
  double p99_ns = 0;
  double max_ns = 0;
  double floor_p50_ns = 0;  // per burst of the floor
  double floor_p99_ns = 0;
  uint64_t verified = 0;        // sampled frames that were checked
  double instructions = 0;      // per packet, where they were counted
  double connection_bytes = 0;  // of one connection: its entry and its share of the buckets
  std::string remark;
  std::string mistake;  // what went wrong; empty: nothing
  // What only this kind of case has to tell: by name, for programs.
  std::vector<std::pair<std::string, double>> more;

  void set_burst_times(const BurstTimes& times, const BurstTimes& floor_times);
};

[[nodiscard]] double tsc_ns();  // of one cycle

struct Slices {
  uint32_t count = 15;
  uint32_t packets = 200'000;  // of each
};

// Turns of one worker until its generator has made so many packets; ns per packet.
double time_turns(Bed& bed, uint32_t worker, Source& source, uint64_t packets, BurstTimes* times);
// What the machine could do at best: receive, touch the header, swap the MACs, send. One burst; how
// many packets it had.
uint16_t floor_turn(uint16_t port, uint16_t queue = 0);
double time_floor(uint16_t port, Source& source, uint64_t packets, BurstTimes* times);

}  // namespace headgate::bench
