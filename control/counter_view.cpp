#include "control/counter_view.h"

namespace headgate::control {
namespace {

using dataplane::TrafficRow;

void add(TrafficTotals& totals, const TrafficRow& row) {
  totals.connections += row.connections.get();
  totals.in_packets += row.in_packets.get();
  totals.out_packets += row.out_packets.get();
  totals.in_bytes += row.in_bytes.get();
  totals.out_bytes += row.out_bytes.get();
  totals.refused += row.refused.get();
  totals.active += row.active.get();  // modulo 2^64: only the sum means anything
  totals.inactive += row.inactive.get();
}

void subtract(TrafficTotals& totals, const TrafficTotals& baseline) {
  totals.connections -= baseline.connections;
  totals.in_packets -= baseline.in_packets;
  totals.out_packets -= baseline.out_packets;
  totals.in_bytes -= baseline.in_bytes;
  totals.out_bytes -= baseline.out_bytes;
  totals.refused -= baseline.refused;
  totals.unanswered -= baseline.unanswered;
}

// A sum over rows that workers change meanwhile can be caught between the two halves of a move.
uint64_t not_negative(uint64_t count) {
  return static_cast<int64_t>(count) < 0 ? 0 : count;
}

}  // namespace

CounterView::CounterView(dataplane::RegionView region) {
  const dataplane::RegionLimits& limits = dataplane::header_of(region).limits;
  for (uint32_t worker = 0; worker < limits.workers; ++worker) {
    rows_.push_back(dataplane::counter_rows(region, worker));
  }
  service_baseline_.resize(limits.max_services);
  backend_baseline_.resize(limits.max_backends);
}

TrafficTotals CounterView::service_ever(uint32_t service_id) const {
  TrafficTotals totals;
  for (const dataplane::CounterRows& rows : rows_)
    add(totals, rows.services[service_id]);
  return totals;
}

TrafficTotals CounterView::backend_ever(uint32_t backend_index) const {
  TrafficTotals totals;
  for (const dataplane::CounterRows& rows : rows_)
    add(totals, rows.backends[backend_index]);
  totals.unanswered = failures(backend_index).unanswered;
  return totals;
}

TrafficTotals CounterView::service(uint32_t service_id) const {
  TrafficTotals totals = service_ever(service_id);
  subtract(totals, service_baseline_[service_id]);
  totals.active = not_negative(totals.active);
  totals.inactive = not_negative(totals.inactive);
  return totals;
}

TrafficTotals CounterView::backend(uint32_t backend_index) const {
  TrafficTotals totals = backend_ever(backend_index);
  subtract(totals, backend_baseline_[backend_index]);
  totals.active = not_negative(totals.active);
  totals.inactive = not_negative(totals.inactive);
  return totals;
}

LiveCounts CounterView::live(uint32_t backend_index) const {
  const TrafficTotals totals = backend_ever(backend_index);
  return {totals.active, totals.inactive};
}

BackendFailures CounterView::failures(uint32_t backend_index) const {
  BackendFailures failures;
  for (const dataplane::CounterRows& rows : rows_) {
    failures.refused += rows.backends[backend_index].refused.get();
    failures.unanswered += rows.unanswered[backend_index].get();
  }
  return failures;
}

void CounterView::zero_service(uint32_t service_id) {
  service_baseline_[service_id] = service_ever(service_id);
}

void CounterView::zero_backend(uint32_t backend_index) {
  backend_baseline_[backend_index] = backend_ever(backend_index);
}

uint64_t CounterView::verdict(dataplane::Verdict verdict) const {
  uint64_t sum = 0;
  for (const dataplane::CounterRows& rows : rows_) {
    sum += rows.worker->verdicts[static_cast<uint32_t>(verdict)].get();
  }
  return sum;
}

const dataplane::WorkerCounters& CounterView::worker(uint32_t worker) const {
  return *rows_[worker].worker;
}

}  // namespace headgate::control
