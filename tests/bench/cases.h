// What is measured: the list of cases, and how each kind of them is run.
#pragma once

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
  fresh,        // every packet opens a connection, others expire
};

struct Case {
  std::string name;
  CaseKind kind = CaseKind::established;
  BedOptions bed;
  uint64_t flows = 1;
  Choice choice = Choice::uniform;
  bool replies = false;
  uint32_t flood_per_packet = 0;
  bool full_only = false;  // not in the short run
};
[[nodiscard]] std::vector<Case> all_cases();

struct RunOptions {
  Slices slices;
  uint32_t fresh_seconds = 6;
  control::RegionPages pages = control::RegionPages::automatic;
};
// On a thread that is registered with DPDK.
[[nodiscard]] Result run_case(const Case& one, const RunOptions& options, rte_mempool* pool,
                              rte_mempool* own_pool);

}  // namespace headgate::bench
