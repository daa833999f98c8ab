// How much traffic services and backends have at present: what their counters gained over the last
// second, by the second. Each is looked at once a second, a tenth of them every tenth of one, and
// with its own clock, so that a late look makes no wrong rate.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "control/counter_view.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

struct TrafficRate {  // a second, rounded to whole numbers
  uint64_t connections = 0;
  uint64_t in_packets = 0;
  uint64_t out_packets = 0;
  uint64_t in_bytes = 0;
  uint64_t out_bytes = 0;

  bool operator==(const TrafficRate&) const = default;
};

class RateBook {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr uint32_t looks_per_second = 10;

  // Looks at the next tenth of what the snapshot has.
  void sample(dataplane::RegionView region, const dataplane::SnapshotRoot& root,
              const CounterView& counters, Time now);

  // 0 before there were two looks. `zero` of counters changes no rate.
  [[nodiscard]] TrafficRate service(uint32_t service_id) const;
  [[nodiscard]] TrafficRate backend(uint32_t backend_index) const;

 private:
  struct Sample {
    TrafficTotals totals;
    TrafficRate rate;
    Time at{};
  };
  static void look(std::vector<Sample>& samples, uint32_t index, const TrafficTotals& totals,
                   Time now);
  [[nodiscard]] static TrafficRate rate_in(const std::vector<Sample>& samples, uint32_t index);

  std::vector<Sample> services_;  // by id
  std::vector<Sample> backends_;  // by index
  uint32_t part_ = 0;
};

}  // namespace headgate::control
