#include "tests/bench/measure.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <thread>

#include <rte_cycles.h>
#include <rte_ethdev.h>

namespace headgate::bench {
namespace {

constexpr uint16_t burst = 32;

double measure_tsc_ns() {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const uint64_t first = rte_rdtsc_precise();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const uint64_t cycles = rte_rdtsc_precise() - first;
  const std::chrono::duration<double, std::nano> passed = Clock::now() - begin;
  return passed.count() / static_cast<double>(cycles);
}

void swap_macs(rte_mbuf* frame) {
  auto* bytes = rte_pktmbuf_mtod(frame, uint8_t*);
  std::array<uint8_t, 6> destination;
  std::memcpy(destination.data(), bytes, 6);
  std::memcpy(bytes, bytes + 6, 6);
  std::memcpy(bytes + 6, destination.data(), 6);
}

}  // namespace

double tsc_ns() {
  static const double ns = measure_tsc_ns();
  return ns;
}

uint32_t BurstTimes::index_of(uint64_t cycles) {
  const auto octave = static_cast<uint32_t>(std::bit_width(cycles | steps)) - 1;
  return static_cast<uint32_t>(octave * steps + (cycles >> (octave - 3) & (steps - 1)));
}

double BurstTimes::quantile(double share) const {
  uint64_t all = 0;
  for (const uint64_t count : counts_)
    all += count;
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(all)));
  uint64_t below = 0;
  for (uint32_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    if (below >= wanted && below != 0) {
      return std::ldexp(1.0 + (static_cast<double>(i % steps) + 0.5) / steps,
                        static_cast<int>(i / steps)) *
             tsc_ns();
    }
  }
  return 0;
}

void Result::set_burst_times(const BurstTimes& times, const BurstTimes& floor_times) {
  p50_ns = times.quantile(0.5);
  p99_ns = times.quantile(0.99);
  max_ns = times.quantile(1);
  floor_p50_ns = floor_times.quantile(0.5);
  floor_p99_ns = floor_times.quantile(0.99);
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  return {values[values.size() / 2], values.front(), values.back()};
}

double time_turns(Bed& bed, uint32_t worker, Source& source, uint64_t packets, BurstTimes* times) {
  const uint64_t before = source.made();
  const uint64_t begin = rte_rdtsc_precise();
  uint64_t last = begin;
  while (source.made() - before < packets) {
    bed.turn(worker);
    const uint64_t now = rte_rdtsc();
    if (times != nullptr) times->add(now - last);
    last = now;
  }
  return static_cast<double>(rte_rdtsc_precise() - begin) * tsc_ns() /
         static_cast<double>(source.made() - before);
}

uint16_t floor_turn(uint16_t port, uint16_t queue) {
  std::array<rte_mbuf*, burst> frames;
  const uint16_t count = rte_eth_rx_burst(port, queue, frames.data(), burst);
  for (uint16_t i = 0; i < count; ++i)
    rte_prefetch0(rte_pktmbuf_mtod(frames[i], void*));
  for (uint16_t i = 0; i < count; ++i)
    swap_macs(frames[i]);
  if (count != 0) rte_eth_tx_burst(port, queue, frames.data(), count);
  return count;
}

double time_floor(uint16_t port, Source& source, uint64_t packets, BurstTimes* times) {
  const uint64_t before = source.made();
  const uint64_t begin = rte_rdtsc_precise();
  uint64_t last = begin;
  while (source.made() - before < packets) {
    floor_turn(port);
    const uint64_t now = rte_rdtsc();
    if (times != nullptr) times->add(now - last);
    last = now;
  }
  return static_cast<double>(rte_rdtsc_precise() - begin) * tsc_ns() /
         static_cast<double>(source.made() - before);
}

}  // namespace headgate::bench
