// DPDK for a test executable: started once, without huge pages and devices, at the first use.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "dataplane/eal.h"

namespace headgate::dataplane {

inline void need_eal(uint32_t memory_mb = 128) {
  static const Eal eal = [memory_mb] {
    EalOptions options;
    options.program = "test";
    options.huge_pages = HugePages::none;
    options.memory_mb = memory_mb;
    options.log_level = EalLogLevel::error;
    auto started = Eal::start(options);
    if (!started) {
      std::fprintf(stderr, "%s\n", started.error().text().c_str());
      std::abort();
    }
    return std::move(*started);
  }();
}

}  // namespace headgate::dataplane
