// A small world for scheduler tests: a region with service blocks, the workers' counter rows and
// one Scheduler for each worker. Backends are known by their ids, which are also their indexes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/maglev.h"
#include "dataplane/scheduler.h"

namespace headgate::dataplane {

struct BackendSpec {
  uint32_t id = 0;
  uint32_t weight = 1;
  uint32_t upper = 0;
  uint32_t lower = 0;
};

struct ServiceSpec {
  SchedulerKind scheduler = SchedulerKind::rr;
  std::vector<BackendSpec> backends = {};
  uint32_t flags = 0;
  uint32_t id = 0;
  bool scratch = true;
  // Weights of the Maglev table where they differ from the backends' (0 would leave a hole).
  std::vector<uint32_t> table_weights = {};
};

// Backends 0, 1, 2 … with these weights.
inline std::vector<BackendSpec> weighted(const std::vector<uint32_t>& weights) {
  std::vector<BackendSpec> result;
  result.reserve(weights.size());
  for (const uint32_t weight : weights) {
    result.push_back({.id = static_cast<uint32_t>(result.size()), .weight = weight});
  }
  return result;
}

// A client's flow: number n of a stream of different ones.
inline NewFlow flow_number(uint32_t n) {
  return {.source = net::Ipv4Address::from_host(0xc6336400 + n * 2654435761U % 0x0fffff),
          .destination = net::Ipv4Address::from_host(0xc0000201),
          .source_port = net::be16::from_host(static_cast<uint16_t>(40000 + n % 20000))};
}

class SchedulerWorld {
 public:
  static constexpr uint32_t services = 4;
  static constexpr uint32_t refused = none;

  explicit SchedulerWorld(uint32_t workers = 1, uint32_t backends = 64)
      : memory_(static_cast<std::byte*>(::operator new(region_bytes, alignment))) {
    for (uint32_t worker = 0; worker < workers; ++worker) {
      traffic_.emplace_back(backends);
      rows_.push_back(
          {.worker = nullptr, .services = {}, .backends = traffic_.back(), .unanswered = {}});
    }
    limits_ = {.services = services, .backends = backends};
    for (uint32_t worker = 0; worker < workers; ++worker)
      add_scheduler(worker);
  }

  // A new block, with a serial of its own.
  void publish(const ServiceSpec& spec) {
    auto* block = new (take(sizeof(ServiceBlock))) ServiceBlock{};
    block->id = spec.id;
    block->serial = ++serial_;
    block->protocol = 6;
    block->scheduler = spec.scheduler;
    block->flags = spec.flags;
    const auto count = static_cast<uint32_t>(spec.backends.size());
    block->backends = array<ServiceBackend>(count);
    for (uint32_t i = 0; i < count; ++i) {
      const BackendSpec& b = spec.backends[i];
      region().element(block->backends, i) = {.backend_id = b.id,
                                              .weight = b.weight,
                                              .upper_threshold = b.upper,
                                              .lower_threshold = b.lower};
      block->weight_gcd = std::gcd(block->weight_gcd, b.weight);
      block->weight_max = std::max(block->weight_max, b.weight);
    }
    fill_table(*block, spec);
    const size_t scratch = scheduler_scratch_bytes(count) * rows_.size();
    if (spec.scratch && scratch != 0) {
      block->scheduler_scratch = array<std::byte>(static_cast<uint32_t>(scratch));
    }
    blocks_.resize(services);
    blocks_[spec.id] = block;
  }

  // Chooses a backend without opening a connection: its id, or `refused`.
  uint32_t look(const NewFlow& flow, uint32_t worker = 0, uint32_t service = 0) {
    const ServiceBlock& block = *blocks_[service];
    const uint32_t index = schedulers_[worker]->schedule(region(), block, flow, now_ns);
    return index == none ? refused : region().element(block.backends, index).backend_id;
  }
  // The same and an active connection.
  uint32_t open(const NewFlow& flow, uint32_t worker = 0, uint32_t service = 0) {
    const uint32_t id = look(flow, worker, service);
    if (id != refused) schedulers_[worker]->count(id, 1, 0);
    return id;
  }
  uint32_t open(uint32_t worker = 0) { return open(flow_number(flows_++), worker); }

  // The backends of the next `n` flows, as in "2 1 0"; "-" where one is refused.
  std::string sequence(uint32_t n, bool active = true) {
    std::string result;
    for (uint32_t i = 0; i < n; ++i) {
      const uint32_t id = look(flow_number(flows_++));
      if (id != refused) schedulers_[0]->count(id, active ? 1 : 0, active ? 0 : 1);
      if (i != 0) result += ' ';
      result += id == refused ? "-" : std::to_string(id);
    }
    return result;
  }

  void count_opened(uint32_t id, uint32_t worker = 0) { schedulers_[worker]->count(id, 1, 0); }
  // By any worker's doing: connections of `id` end, or become inactive.
  void close(uint32_t id, uint32_t worker = 0) { schedulers_[worker]->count(id, -1, 0); }
  void close_inactive(uint32_t id, uint32_t worker = 0) { schedulers_[worker]->count(id, 0, -1); }
  void finish(uint32_t id, uint32_t worker = 0) { schedulers_[worker]->count(id, -1, 1); }

  [[nodiscard]] uint64_t active(uint32_t id) const {
    uint64_t sum = 0;
    for (const auto& rows : traffic_)
      sum += rows[id].active.get();
    return sum;
  }
  [[nodiscard]] uint64_t inactive(uint32_t id) const {
    uint64_t sum = 0;
    for (const auto& rows : traffic_)
      sum += rows[id].inactive.get();
    return sum;
  }

  // Starts a worker's scheduler anew on the counters as they are.
  void restart(uint32_t worker) {
    schedulers_[worker].reset();
    schedulers_[worker].emplace(limits_, state_of(worker), rows_, worker, &locality_);
  }

  [[nodiscard]] RegionView region() const { return RegionView(memory_.get()); }
  [[nodiscard]] const ServiceBlock& block(uint32_t service = 0) const { return *blocks_[service]; }
  [[nodiscard]] uint32_t workers() const { return static_cast<uint32_t>(rows_.size()); }

  uint64_t now_ns = 1'000'000'000;

 private:
  static constexpr size_t region_bytes = 32U << 20;
  static constexpr std::align_val_t alignment{64};
  struct Release {
    void operator()(std::byte* memory) const { ::operator delete(memory, alignment); }
  };

  std::byte* take(size_t bytes) {
    std::byte* result = memory_.get() + used_;
    used_ += (bytes + 63) / 64 * 64;
    if (used_ > region_bytes) throw std::bad_alloc();
    return result;
  }
  template <typename T>
  OffsetArray<T> array(uint32_t count) {
    std::byte* memory = take(count * sizeof(T));
    std::fill_n(memory, count * sizeof(T), std::byte{0xa5});
    return {.first = {static_cast<uint64_t>(memory - memory_.get())}, .count = count};
  }

  void fill_table(ServiceBlock& block, const ServiceSpec& spec) {
    std::vector<MaglevBackend> backends;
    backends.reserve(spec.backends.size());
    for (const BackendSpec& b : spec.backends) {
      backends.push_back(
          {.address = net::Ipv4Address::from_host(0x0a020000 + b.id),
           .port = net::be16::from_host(8080),
           .weight = spec.table_weights.empty() ? b.weight : spec.table_weights[backends.size()]});
    }
    block.maglev = array<uint16_t>(maglev_table_size(block.backends.count));
    fill_maglev(backends, {region().at(block.maglev.first), block.maglev.count});
  }

  std::span<std::byte> state_of(uint32_t worker) {
    return {state_[worker].get(), Scheduler::bytes_needed(limits_)};
  }
  void add_scheduler(uint32_t worker) {
    const size_t bytes = Scheduler::bytes_needed(limits_);
    state_.emplace_back(static_cast<std::byte*>(::operator new(bytes, alignment)));
    schedulers_.emplace_back(std::in_place, limits_, state_of(worker), rows_, worker, &locality_);
  }

  std::unique_ptr<std::byte, Release> memory_;
  size_t used_ = 64;  // offset 0 means none
  std::vector<std::vector<TrafficRow>> traffic_;
  std::vector<CounterRows> rows_;
  SchedulerLimits limits_{};
  LocalityTable locality_{1};
  std::vector<std::unique_ptr<std::byte, Release>> state_;
  std::vector<std::optional<Scheduler>> schedulers_;
  std::vector<ServiceBlock*> blocks_;
  uint32_t serial_ = 0;
  uint32_t flows_ = 0;
};

}  // namespace headgate::dataplane
