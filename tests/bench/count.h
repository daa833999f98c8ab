// The cases whose instructions are counted, by tools/count_instructions.py under callgrind: in
// virtual time and from set seeds, so that every run does the same.
#pragma once

#include "tests/bench/cases.h"

namespace headgate::bench {

// Runs each case and prints `counted PACKETS CASE`. What counts is what happens in counted_turns(),
// without the generator's part of it. The status for main().
[[nodiscard]] int run_counted(const RunOptions& options, rte_mempool* pool, rte_mempool* own_pool);

}  // namespace headgate::bench
