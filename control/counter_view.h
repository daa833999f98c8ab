// The counters as people want to see them: sums over the workers' rows, less what had been counted
// before the row got its present owner or was zeroed. Workers alone write their rows, so starting
// from zero is a subtraction here.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/region_layout.h"

namespace headgate::control {

struct TrafficTotals {
  uint64_t connections = 0;
  uint64_t in_packets = 0;
  uint64_t out_packets = 0;
  uint64_t in_bytes = 0;
  uint64_t out_bytes = 0;
  uint64_t refused = 0;
  uint64_t unanswered = 0;  // of backends
  uint64_t active = 0;      // live connections: never zeroed
  uint64_t inactive = 0;

  bool operator==(const TrafficTotals&) const = default;
};

struct LiveCounts {
  uint64_t active = 0;
  uint64_t inactive = 0;

  bool operator==(const LiveCounts&) const = default;
};

// Signs of trouble in a backend's traffic (NAT, FULLNAT): see TrafficRow and CounterRows.
struct BackendFailures {
  uint64_t refused = 0;
  uint64_t unanswered = 0;

  bool operator==(const BackendFailures&) const = default;
};

class CounterView {
 public:
  explicit CounterView(dataplane::RegionView region);

  // Since the id was given out, or since it was zeroed.
  [[nodiscard]] TrafficTotals service(uint32_t service_id) const;
  [[nodiscard]] TrafficTotals backend(uint32_t backend_index) const;
  // Live connections of a backend as the rows have them, which may be a moment between two steps of
  // a worker: compare two looks a grace period apart before you believe a zero.
  [[nodiscard]] LiveCounts live(uint32_t backend_index) const;

  // Since the daemon's start, never zeroed: what matters is how far they have moved between two
  // looks. A line of memory or two for each worker.
  [[nodiscard]] BackendFailures failures(uint32_t backend_index) const;

  // The same counters as above, never zeroed.
  [[nodiscard]] TrafficTotals service_ever(uint32_t service_id) const;
  [[nodiscard]] TrafficTotals backend_ever(uint32_t backend_index) const;

  void zero_service(uint32_t service_id);
  void zero_backend(uint32_t backend_index);

  // Since the daemon's start; a sum over the workers, or one of them.
  [[nodiscard]] uint64_t verdict(dataplane::Verdict verdict) const;
  [[nodiscard]] const dataplane::WorkerCounters& worker(uint32_t worker) const;
  [[nodiscard]] uint32_t workers() const { return static_cast<uint32_t>(rows_.size()); }

 private:
  std::vector<dataplane::CounterRows> rows_;  // by worker
  std::vector<TrafficTotals> service_baseline_;
  std::vector<TrafficTotals> backend_baseline_;
};

}  // namespace headgate::control
