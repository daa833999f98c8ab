// Explores the interleavings of a few small programs over the connection table, deterministically.
//
// Each program runs on a fiber of its own; every faults::step() in the table's code is a point
// where the interleaver may go on with another one. All atomic operations of the table's protocols
// are sequentially consistent, so a run of fibers in one thread shows everything that threads could
// do (what weaker orders could do to the entries behind the slots is ThreadSanitizer's business).
//
// explore() runs every schedule that takes the processor away from a program at most `preemptions`
// times. Steps at slots that no run ever writes commute with everything and are not scheduling
// points.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dataplane/conn_faults.h"

namespace headgate::dataplane::test {

using Program = std::function<void()>;

// One situation to explore. It must behave the same whenever the schedule is the same.
class Scenario {
 public:
  virtual ~Scenario() = default;
  // Makes a fresh state and returns the programs, three at most.
  virtual std::vector<Program> start() = 0;
  // Both return what is wrong, or an empty string.
  virtual std::string check_step() { return {}; }
  virtual std::string check_end() = 0;
};

struct StepSeen {
  faults::Step step;
  uint8_t chosen;   // the program that went on
  uint8_t enabled;  // bit mask of programs that could have
  uint8_t current;  // the program that reached the step; 0xff at its end
};

struct RunResult {
  std::vector<StepSeen> trace;
  std::string violation;
};

// Which program goes on, of those in `enabled`; `current` is one of them unless it ended.
using Chooser = std::function<uint8_t(size_t decision, uint8_t current, uint8_t enabled)>;
RunResult run(Scenario& scenario, const Chooser& choose);

struct Exploration {
  uint64_t runs = 0;
  bool complete = true;   // every schedule within the bound was run
  std::string violation;  // the first one, with the schedule that shows it
};
Exploration explore(Scenario& scenario, unsigned preemptions, uint64_t max_runs);

}  // namespace headgate::dataplane::test
