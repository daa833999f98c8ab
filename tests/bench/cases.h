// What is measured: the list of cases, and how each kind of them is run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/bed.h"
#include "tests/bench/measure.h"

namespace headgate::bench {

enum class CaseKind : uint8_t {
  established,  // flows that are there
  flood,        // the same with SYNs of new flows between them
  swaps,        // the same while another thread publishes a snapshot 100 times a second
  two_workers,  // the same on two cores
  far,          // the same with the generator on another core
  fresh,        // every packet opens a connection, as many expire
};

struct Case {
  std::string name;
  CaseKind kind = CaseKind::established;
  BedOptions bed;
  uint64_t flows = 1;
  Choice choice = Choice::uniform;
  bool replies = false;
  bool imix = false;  // rather than frames of one size
  uint32_t flood_per_packet = 0;
  // Of new flows: for how long they are measured, and how many live meanwhile. The time-out is
  // chosen for that, by the rate; 0: it is the bed's.
  uint32_t seconds = 6;
  uint64_t live = 0;
  bool full_only = false;  // not in the short run

  [[nodiscard]] bool needs_two_cores() const {
    return kind == CaseKind::two_workers || kind == CaseKind::far;
  }
};
[[nodiscard]] std::vector<Case> all_cases();

struct RunOptions {
  Slices slices;
  uint32_t fresh_seconds = 0;  // 0: as the case says
  // Of the second worker, the generator or the control thread. The case's thread is pinned, and
  // what it starts would be as well.
  std::optional<uint16_t> other_core;
  control::RegionPages pages = control::RegionPages::automatic;
};
// On a thread that is registered with DPDK.
[[nodiscard]] Result run_case(const Case& one, const RunOptions& options, rte_mempool* pool,
                              rte_mempool* own_pool);

}  // namespace headgate::bench
