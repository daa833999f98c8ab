#include "control/rates.h"

#include <cmath>
#include <span>

#include "control/snapshot_walk.h"

namespace headgate::control {
namespace {

// The given one of as many parts as there are looks in a second; together they are all of it.
template <typename T>
std::span<const T> part_of(std::span<const T> all, uint32_t part) {
  const size_t begin = all.size() * part / RateBook::looks_per_second;
  const size_t end = all.size() * (part + 1) / RateBook::looks_per_second;
  return all.subspan(begin, end - begin);
}

uint64_t per_second(uint64_t before, uint64_t now, double seconds) {
  return static_cast<uint64_t>(std::llround(static_cast<double>(now - before) / seconds));
}

}  // namespace

void RateBook::look(std::vector<Sample>& samples, uint32_t index, const TrafficTotals& totals,
                    Time now) {
  if (index >= samples.size()) samples.resize(index + 1);
  Sample& sample = samples[index];
  const double seconds = std::chrono::duration<double>(now - sample.at).count();
  if (sample.at != Time{} && seconds > 0) {
    const TrafficTotals& last = sample.totals;
    sample.rate = {.connections = per_second(last.connections, totals.connections, seconds),
                   .in_packets = per_second(last.in_packets, totals.in_packets, seconds),
                   .out_packets = per_second(last.out_packets, totals.out_packets, seconds),
                   .in_bytes = per_second(last.in_bytes, totals.in_bytes, seconds),
                   .out_bytes = per_second(last.out_bytes, totals.out_bytes, seconds)};
  }
  sample.totals = totals;
  sample.at = now;
}

void RateBook::sample(dataplane::RegionView region, const dataplane::SnapshotRoot& root,
                      const CounterView& counters, Time now) {
  for (const dataplane::ServiceSlot& slot : part_of(elements(region, root.service_slots), part_)) {
    if (!slot.block) continue;
    const uint32_t id = region.at(slot.block)->id;
    look(services_, id, counters.service_ever(id), now);
  }
  for (const auto chunk : part_of(elements(region, root.backend_chunks), part_)) {
    if (!chunk) continue;
    for (const dataplane::BackendRow& row : region.at(chunk)->rows) {
      if (row.id == dataplane::none) continue;
      const uint32_t index = dataplane::backend_index(row.id);
      look(backends_, index, counters.backend_ever(index), now);
    }
  }
  part_ = (part_ + 1) % looks_per_second;
}

TrafficRate RateBook::rate_in(const std::vector<Sample>& samples, uint32_t index) {
  return index < samples.size() ? samples[index].rate : TrafficRate{};
}

TrafficRate RateBook::service(uint32_t service_id) const {
  return rate_in(services_, service_id);
}

TrafficRate RateBook::backend(uint32_t backend_index) const {
  return rate_in(backends_, backend_index);
}

}  // namespace headgate::control
