// The connection table beside DPDK's rte_hash in its lock-free read-write mode: the same keys, in
// one run, slice by slice in turn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/region_memory.h"
#include "tests/bench/measure.h"

namespace headgate::bench {

struct TableFigures {
  Spread look_up_ns;  // per key, in bursts of 32
  double insert_ns = 0;
};

struct TableResult {
  std::string name;
  uint64_t keys = 0;
  TableFigures ours;
  TableFigures rte_hash;
  std::string mistake;
};

struct TableCase {
  std::string name;
  uint64_t keys = 0;
  bool full_only = false;
};
[[nodiscard]] std::vector<TableCase> all_table_cases();

// IPv4 keys, random, room for a quarter more. On a thread that is registered with DPDK; rte_hash
// takes its memory from there: rte_hash_memory_mb() of it.
[[nodiscard]] TableResult compare_tables(const TableCase& one, const Slices& slices,
                                         control::RegionPages pages);
[[nodiscard]] uint32_t rte_hash_memory_mb(uint64_t keys);

}  // namespace headgate::bench
