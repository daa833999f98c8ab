// Two to five routers in virtual time. The machine, the codec and the checks on receipt are the
// real ones; between them lies a network that loses, delays, doubles, reorders, damages and
// partitions, and a hand that pauses, kills, stops and starts routers, lets their clocks skip and
// changes what they track. A run is what its seed makes it.
//
// Each round of a run is trouble, calm, and a take-over in the calm:
// - whatever happens, each step of a machine keeps what simulation_world.cpp lists;
// - once the calm is longer than the timers, each connected group with a router that can be master
//   has exactly one, and no router that preempts is better than it;
// - when that one is killed, stopped, in fault or told to step down, its successor is the router
//   that the formulas of the RFCs name, at the nanosecond that they name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "vrrp/machine.h"

namespace headgate::vrrp::simulation {

using StepFunction = Step (*)(const Settings&, Machine, const Event&, Time);

enum class Trouble : uint8_t {
  loss,
  delay,
  duplicate,
  reordering,
  damage,
  loop,  // an advert comes back to its sender
  partition,
  pause,
  clock_jump,
  kill,
  stop,
  start,
  priority,
  fault,
  step_down,
  group_move,
  two_masters,  // in one side, when a partition is healed
  take_over,    // in the calm
};
inline constexpr size_t trouble_kinds = 18;
inline constexpr std::array<std::string_view, trouble_kinds> trouble_names{
    "loss",      "delay", "duplicate", "reordering", "damage",      "loop",
    "partition", "pause", "clock",     "kill",       "stop",        "start",
    "priority",  "fault", "step_down", "group_move", "two_masters", "take_over"};

struct Report {
  std::string violation;  // the first promise that was broken; empty: none
  std::array<uint64_t, trouble_kinds> troubles{};
  uint64_t steps = 0;  // of all machines
  Duration simulated{};
};

[[nodiscard]] Report simulate(uint64_t seed, StepFunction step_function);

// A machine with a deliberate error.
struct Mutant {
  std::string_view name;
  StepFunction step_function;
};
inline constexpr size_t mutant_count = 19;
[[nodiscard]] const std::array<Mutant, mutant_count>& mutants();

}  // namespace headgate::vrrp::simulation
