// How busy workers were lately: the share of polls that found packets, second by second.
#pragma once

#include <cstdint>
#include <vector>

#include "control/counter_view.h"

namespace headgate::control {

class WorkerLoad {
 public:
  // Call it each second.
  void sample(const CounterView& counters) {
    samples_.resize(counters.workers());
    for (uint32_t i = 0; i < counters.workers(); ++i) {
      const auto& row = counters.worker(i);
      Sample& sample = samples_[i];
      const uint64_t polls = row.polls.get() - sample.polls;
      const uint64_t busy = row.busy_polls.get() - sample.busy;
      sample.percent =
          polls == 0 ? 0 : 100.0 * static_cast<double>(busy) / static_cast<double>(polls);
      sample.polls += polls;
      sample.busy += busy;
    }
  }
  // Over the last whole second; 0 before there is one.
  [[nodiscard]] double busy_percent(uint32_t worker) const {
    return worker < samples_.size() ? samples_[worker].percent : 0;
  }

 private:
  struct Sample {
    uint64_t polls = 0;
    uint64_t busy = 0;
    double percent = 0;
  };
  std::vector<Sample> samples_;
};

}  // namespace headgate::control
