// A service's backends as its scheduler looks at them during one choice: in the order in which ties
// are broken, with their live connections. Part of scheduler.cpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/scheduler.h"
#include "dataplane/snapshot.h"
#include "dataplane/tournament_tree.h"

namespace headgate::dataplane {

// Above this many backends the tree pays off: a wlc flow that begins and one that ends take 40 ns
// with 4 backends, 160 with 16 and 300 with 32 when all are looked at; with the tree 130 with 64
// backends, 230 with 1,000 and 330 with 10,000 (one worker, 2.3 GHz, GCC 12 -O3).
inline constexpr uint32_t scheduler_linear_backends = 16;

// What a worker knows of a backend, by backend index.
struct Scheduler::BackendView {
  uint32_t id = none;
  uint32_t service = none;  // whose scheduler follows it
  uint32_t active = 0;      // sums over all workers, modulo 2^32
  uint32_t inactive = 0;
  uint32_t upper_threshold = 0;
  uint32_t lower_threshold = 0;
  uint32_t next_changed = none;  // list of backends whose place in the tree is out of date
  uint16_t position = 0;         // in its service's Pool
  bool overloaded = false;
  bool tracked : 1 = false;  // a change of the counts concerns a tree
  bool changed : 1 = false;  // is in the list

  // A sum of rows that change meanwhile may be short of zero for a moment.
  [[nodiscard]] static uint64_t live(uint32_t count) noexcept {
    return static_cast<int32_t>(count) < 0 ? 0 : count;
  }
  [[nodiscard]] uint64_t active_connections() const noexcept { return live(active); }
  [[nodiscard]] uint64_t connections() const noexcept { return live(active) + live(inactive); }

  // Once at the upper threshold, a backend is overloaded until it is below the lower one.
  void judge_overload() noexcept {
    const bool below_lower = lower_threshold != 0
                                 ? connections() < lower_threshold
                                 : connections() * 4 < uint64_t{upper_threshold} * 3;
    if (upper_threshold != 0 && connections() >= upper_threshold) {
      overloaded = true;
    } else if (upper_threshold == 0 || below_lower) {
      overloaded = false;
    }
  }
};

// What a worker remembers of a service, by service id.
struct Scheduler::ServiceState {
  uint64_t swept_at_ns = 0;
  uint64_t scratch = 0;        // offset of the block's scratch memory, to notice another one
  uint32_t serial = 0;         // of the block that is followed
  uint32_t last_id = none;     // rr, wrr: the backend chosen last
  uint32_t next_position = 0;  // the one after it
  uint32_t level = 0;          // wrr: backends above this weight take part in this lap
  uint32_t sweep_position = 0;
  uint32_t first_changed = none;  // list through BackendView::next_changed
  uint32_t changed_count = 0;
  bool followed = false;      // `serial` and all that depends on it is valid
  bool follows_live = false;  // live connections matter to its choices
};

// What was found, and what to remember if it is taken.
struct Scheduler::Pick {
  uint32_t position = none;
  uint32_t level = 0;
};

class Scheduler::Pool {
 public:
  Pool(RegionView region, const ServiceBlock& service, ServiceState& state,
       std::span<BackendView> views, uint32_t self) noexcept
      : service_(service),
        state_(state),
        backends_(region.at(service.backends.first)),
        table_(region.at(service.maglev.first)),
        count_(std::min(service.backends.count, TournamentTree::max_players)),
        newest_first_((service.flags & service_newest_first) != 0),
        views_(views) {
    const size_t bytes = scheduler_scratch_bytes(count_);
    if (bytes != 0 && service.scheduler_scratch.count >= (self + 1) * bytes) {
      std::byte* scratch = region.at(service.scheduler_scratch.first) + self * bytes;
      tree_.emplace(reinterpret_cast<uint16_t*>(scratch), count_);
    }
  }

  [[nodiscard]] Pick select(const NewFlow& flow) const noexcept;
  void remember(const Pick& pick) noexcept {
    state_.last_id = at(pick.position).backend_id;
    state_.next_position = pick.position + 1;
    state_.level = pick.level;
  }

  void build() noexcept;
  void replay(uint32_t position) noexcept;

  [[nodiscard]] const ServiceBlock& service() const noexcept { return service_; }
  [[nodiscard]] ServiceState& state() noexcept { return state_; }
  [[nodiscard]] uint32_t count() const noexcept { return count_; }
  [[nodiscard]] bool has_tree() const noexcept { return tree_.has_value(); }
  [[nodiscard]] uint32_t index_of(uint32_t position) const noexcept {
    return newest_first_ ? count_ - 1 - position : position;
  }
  [[nodiscard]] const ServiceBackend& at(uint32_t position) const noexcept {
    return backends_[index_of(position)];
  }
  [[nodiscard]] BackendView& view(uint32_t position) const noexcept {
    return views_[backend_index(at(position).backend_id)];
  }
  [[nodiscard]] bool usable(uint32_t position) const noexcept {
    return at(position).weight != 0 && !view(position).overloaded;
  }
  [[nodiscard]] bool remembers_destinations() const noexcept {
    return service_.scheduler == SchedulerKind::lblc || service_.scheduler == SchedulerKind::lblcr;
  }
  [[nodiscard]] bool looks_at_connections() const noexcept {
    switch (service_.scheduler) {
      case SchedulerKind::lc:
      case SchedulerKind::wlc:
      case SchedulerKind::sed:
      case SchedulerKind::nq:
      case SchedulerKind::ovf:
        return true;
      default:
        return remembers_destinations();
    }
  }

  // Of wlc: whether b has strictly less to do than a, for its weight. Both have weight.
  [[nodiscard]] bool is_less_loaded(uint32_t b, uint32_t a) const noexcept;
  [[nodiscard]] bool is_overfull(uint32_t position) const noexcept {
    return view(position).active_connections() > at(position).weight;
  }
  [[nodiscard]] bool is_half_idle(uint32_t position) const noexcept {
    return usable(position) && view(position).active_connections() * 2 < at(position).weight;
  }
  [[nodiscard]] bool has_half_idle() const noexcept;

 private:
  // The rules of the tournament, by scheduler.
  struct Heaviest;
  struct Overflowing;
  struct LeastConnections;
  struct LeastWeightedConnections;
  struct ShortestDelay;
  struct NeverQueue;
  template <class Action>
  auto with_rules(Action&& action) const noexcept;

  [[nodiscard]] uint32_t best() const noexcept;
  [[nodiscard]] uint32_t heavier_from(uint32_t position, uint32_t weight) const noexcept;
  [[nodiscard]] Pick round_robin() const noexcept;
  [[nodiscard]] Pick weighted_round_robin() const noexcept;
  [[nodiscard]] Pick hashed(const NewFlow& flow) const noexcept;

  const ServiceBlock& service_;
  ServiceState& state_;
  const ServiceBackend* backends_;
  const uint16_t* table_;
  uint32_t count_;
  bool newest_first_;
  std::span<BackendView> views_;
  std::optional<TournamentTree> tree_;
};

}  // namespace headgate::dataplane
