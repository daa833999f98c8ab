#include "control/changes.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/log.h"
#include "control/offload.h"

namespace headgate::control {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// What somebody waits for on the loop.
template <typename T>
class Answer {
 public:
  explicit Answer(asio::io_context& loop) : given_(loop, asio::steady_timer::time_point::max()) {}

  void finish(std::expected<T, Error> result) {
    result_ = std::move(result);
    given_.cancel();
  }
  asio::awaitable<void> wait() {
    error_code ignored;
    while (!result_)
      co_await given_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  [[nodiscard]] std::expected<T, Error>& result() { return *result_; }  // once waited for

 private:
  asio::steady_timer given_;  // cancelled when `result_` is there
  std::optional<std::expected<T, Error>> result_;
};

}  // namespace

// One submitted edit.
struct Changes::Ticket {
  Ticket(asio::io_context& loop, Edit its_edit, bool is_alone)
      : edit(std::move(its_edit)), alone(is_alone), answer(loop) {}

  Edit edit;
  bool alone;
  Answer<ChangeOutcome> answer;
};

// One change of ownership, of which several callers may wait for the answer.
struct Changes::Handover {
  explicit Handover(asio::io_context& loop) : answer(loop) {}

  Ownership ownership;
  Answer<uint64_t> answer;
};

// Someone who reads what runs.
struct Changes::Look {
  Look(asio::io_context& loop, std::function<void(const State&)> its_work)
      : work(std::move(its_work)), answer(loop) {}

  std::function<void(const State&)> work;
  Answer<void> answer;
};

// What goes into one snapshot.
struct Changes::Batch {
  std::vector<std::shared_ptr<Ticket>> tickets;
  std::vector<Edit> edits;
  std::shared_ptr<const KernelState> kernel;
  KernelParts kernel_parts;
  std::vector<config::ServiceKey> pools;  // that differ
  bool reclaim = false;
  std::shared_ptr<config::Config> spare;
  std::shared_ptr<const config::Config> before;
  ChangePlan plan;
  std::expected<PreparedSnapshot, Error> prepared = std::unexpected(Error{});
};

namespace {

SnapshotChange change_of(const ChangePlan& plan, const KernelState* kernel, KernelParts parts,
                         bool reclaim, dataplane::Tick now) {
  SnapshotChange change;
  change.config = plan.wanted.get();
  change.settings = plan.scope.settings || plan.scope.everything;
  change.all_services = change.settings;
  if (!change.all_services) change.services = plan.scope.services;
  for (const DrainOrder& order : plan.scope.drains) {
    const dataplane::Tick deadline =
        order.deadline_s ? now + *order.deadline_s * dataplane::ticks_per_second : 0;
    change.drains.push_back({order.service, order.backend, deadline});
  }
  change.kernel = kernel;
  change.kernel_parts = parts;
  change.reclaim = reclaim;
  change.now = now;
  return change;
}

}  // namespace

Changes::Changes(asio::io_context& loop, asio::thread_pool& pool, State& state, ChangeLimits limits)
    : loop_(loop), pool_(pool), state_(state), limits_(limits), wake_(loop), tick_(loop) {}

Changes::~Changes() = default;

std::expected<uint64_t, Error> Changes::publish_first(const config::Config& config,
                                                      std::vector<std::string> warnings,
                                                      const KernelState& kernel,
                                                      Ownership ownership, PoolViews pools) {
  if (auto set = state_.builder.set_ownership(std::move(ownership)); !set) return set;
  auto running = std::make_shared<config::Config>(config);
  kernel_ = std::make_shared<const KernelState>(kernel);
  SnapshotChange change;
  change.config = running.get();
  change.settings = true;
  change.all_services = true;
  pools_ = std::move(pools);
  change.pools = &pools_;
  change.kernel = kernel_.get();
  change.kernel_parts = {.links = true, .routes = true, .neighbours = true};
  change.now = state_.surroundings.now();
  auto generation = state_.builder.apply(change);
  if (!generation) return generation;
  state_.config = std::move(running);
  state_.file_config = state_.config;
  state_.config_warnings = std::move(warnings);
  return generation;
}

void Changes::start() {
  asio::co_spawn(loop_, run(), asio::detached);
  asio::co_spawn(loop_, housekeeping(), asio::detached);
}

bool Changes::stop() {
  stopped_ = true;
  wake_.cancel();
  tick_.cancel();
  for (const auto& ticket : std::exchange(waiting_, {})) {
    ticket->answer.finish(std::unexpected(Error{"the daemon stops; nothing was changed"}));
  }
  for (const auto& look : std::exchange(looks_, {}))
    look->answer.finish(std::unexpected(Error{"the daemon stops"}));
  return under_way_ == 0;
}

asio::awaitable<std::expected<ChangeOutcome, Error>> Changes::submit(Edit edit, Submission how) {
  if (stopped_) co_return std::unexpected(Error{"the daemon stops; nothing was changed"});
  if (std::string why = why_held(); !why.empty() && !how.passes_hold) {
    co_return std::unexpected(Error{std::move(why)});
  }
  ++under_way_;
  const auto ticket = std::make_shared<Ticket>(loop_, std::move(edit), how.alone);
  waiting_.push_back(ticket);
  wake_.cancel();
  co_await ticket->answer.wait();
  std::expected<ChangeOutcome, Error>& outcome = ticket->answer.result();
  if (outcome) {
    auto visible = co_await wait_visible(outcome->generation);
    if (!visible) outcome->late = visible.error().text;
  }
  --under_way_;
  co_return std::move(outcome);
}

asio::awaitable<std::expected<void, Error>> Changes::look(
    std::function<void(const State& state)> work) {
  if (stopped_) co_return std::unexpected(Error{"the daemon stops"});
  ++under_way_;
  const auto look = std::make_shared<Look>(loop_, std::move(work));
  looks_.push_back(look);
  wake_.cancel();
  co_await look->answer.wait();
  --under_way_;
  co_return look->answer.result();
}

asio::awaitable<void> Changes::look_around() {
  const std::vector<std::shared_ptr<Look>> looks = std::exchange(looks_, {});
  preparing_ = true;
  auto work = [this, &looks] {
    for (const auto& look : looks)
      look->work(state_);
    return true;
  };
  co_await offload(pool_, std::move(work));
  preparing_ = false;
  for (const auto& look : looks)
    look->answer.finish({});
}

asio::awaitable<std::expected<uint64_t, Error>> Changes::set_ownership(Ownership ownership) {
  if (stopped_) co_return std::unexpected(Error{"the daemon stops; nothing was changed"});
  ++under_way_;
  if (!handover_) handover_ = std::make_shared<Handover>(loop_);
  const std::shared_ptr<Handover> mine = handover_;
  mine->ownership = std::move(ownership);
  if (!std::exchange(handing_over_, true)) asio::co_spawn(loop_, hand_over(), asio::detached);
  co_await mine->answer.wait();
  std::expected<uint64_t, Error> result = mine->answer.result();
  if (result) {
    const auto visible = co_await wait_visible(*result);
    if (!visible) result = std::unexpected(visible.error());
  }
  --under_way_;
  co_return result;
}

// Publishes what waits, and what came meanwhile once the workers have the one before, or do not
// take it: a thousand virtual routers that become master together make few snapshots.
asio::awaitable<void> Changes::hand_over() {
  ++under_way_;
  asio::steady_timer timer(loop_);
  error_code ignored;
  co_await asio::post(loop_, asio::use_awaitable);  // what comes in the same turn comes along
  while (const std::shared_ptr<Handover> next = std::exchange(handover_, nullptr)) {
    const auto generation = state_.builder.set_ownership(std::move(next->ownership));
    if (!generation) log_error("the ownership of addresses stays: {}", generation.error().text);
    next->answer.finish(generation);
    for (int looks = 0; generation && looks < 5 && !state_.store.visible(*generation); ++looks) {
      timer.expires_after(std::chrono::milliseconds(1));
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }
  handing_over_ = false;
  --under_way_;
}

void Changes::kernel_changed(const KernelState& kernel, KernelParts parts) {
  if (!parts.any()) return;
  // The state belongs to its mirror, which goes on changing it while a snapshot is prepared.
  kernel_ = std::make_shared<const KernelState>(kernel);
  kernel_parts_ |= parts;
  wake_.cancel();
}

void Changes::pools_changed(const PoolViews& pools) {
  for (const auto& [key, view] : pools)
    waiting_pools_.insert_or_assign(key, view);
  wake_.cancel();
}

std::vector<config::ServiceKey> Changes::take_pools() {
  std::vector<config::ServiceKey> keys;
  for (const auto& [key, view] : std::exchange(waiting_pools_, {})) {
    keys.push_back(key);
    if (view) {
      pools_.insert_or_assign(key, view);
    } else {
      pools_.erase(key);
    }
  }
  return keys;
}

bool Changes::anything_waits() const {
  return !waiting_.empty() || !looks_.empty() || kernel_parts_.any() || !waiting_pools_.empty() ||
         reclaim_;
}

// Up to the next one that wants a snapshot of its own, or that one.
std::vector<std::shared_ptr<Changes::Ticket>> Changes::next_tickets() {
  const auto first_alone =
      std::ranges::find_if(waiting_, [](const auto& ticket) { return ticket->alone; });
  const auto end = first_alone == waiting_.begin() && first_alone != waiting_.end()
                       ? std::next(first_alone)
                       : first_alone;
  std::vector<std::shared_ptr<Ticket>> tickets(waiting_.begin(), end);
  waiting_.erase(waiting_.begin(), end);
  return tickets;
}

asio::awaitable<void> Changes::run() {
  ++under_way_;
  error_code ignored;
  while (!stopped_) {
    if (!anything_waits()) {
      wake_.expires_at(asio::steady_timer::time_point::max());
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      continue;
    }
    if (!looks_.empty()) {
      co_await look_around();
      continue;
    }
    const auto batch = std::make_shared<Batch>();
    batch->tickets = next_tickets();
    for (const auto& ticket : batch->tickets)
      batch->edits.push_back(std::move(ticket->edit));
    batch->kernel = kernel_;
    batch->kernel_parts = std::exchange(kernel_parts_, {});
    batch->pools = take_pools();
    batch->reclaim = std::exchange(reclaim_, false);
    co_await commit(batch);
  }
  --under_way_;
}

asio::awaitable<void> Changes::commit(std::shared_ptr<Batch> batch) {
  const auto running = state_.config;
  const dataplane::Tick now = state_.surroundings.now();
  preparing_ = true;
  put_away();
  if (!batch->edits.empty()) batch->spare = std::move(spare_);
  auto work = [this, batch, running, now] {
    batch->plan =
        plan_changes(running, batch->edits, state_.config_warnings, std::move(batch->spare));
    SnapshotChange change =
        change_of(batch->plan, batch->kernel.get(), batch->kernel_parts, batch->reclaim, now);
    change.pools = &pools_;
    change.services.insert(change.services.end(), batch->pools.begin(), batch->pools.end());
    MaglevTables tables = state_.builder.maglev_tables(change);
    tables.fill_all();
    batch->prepared = state_.builder.prepare(change, std::move(tables));
    batch->edits.clear();  // with the whole file that one may hold
    return true;
  };
  co_await offload(pool_, std::move(work));
  preparing_ = false;
  if (!batch->prepared) {
    if (batch->plan.wanted != state_.config) retire(std::move(batch->plan.wanted));
    fail(*batch, batch->prepared.error());
    if (!batch->kernel_parts.any() && batch->pools.empty()) co_return;
    log_error("changes of the kernel's routes and neighbours, and of health, wait: {}",
              batch->prepared.error().text);
    look_again(*batch);
    error_code ignored;
    tick_.expires_after(limits_.retry);
    co_await tick_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return;
  }
  // Of some changes workers see nothing.
  const bool changed = !batch->prepared->empty() || batch->plan.wanted != state_.config;
  const uint64_t generation = state_.builder.commit(std::move(*batch->prepared));
  batch->before = std::exchange(state_.config, batch->plan.wanted);
  if (batch->before != state_.config) retire(batch->before);
  state_.config_warnings = batch->plan.warnings;
  answer(*batch, generation);
  if (changed) committed_(batch->plan.scope);
}

// What nobody asks for again is not lost with a snapshot that could not be built.
void Changes::look_again(const Batch& batch) {
  kernel_parts_ |= batch.kernel_parts;
  for (const config::ServiceKey& key : batch.pools) {
    const auto view = pools_.find(key);
    waiting_pools_.emplace(key, view == pools_.end() ? nullptr : view->second);
  }
}

void Changes::retire(std::shared_ptr<const config::Config> config) {
  retired_.push_back(std::move(config));
}

// What nobody else has any more goes where its destructor holds nothing up.
void Changes::put_away() {
  std::vector<std::shared_ptr<const config::Config>> still_used;
  for (auto& config : retired_) {
    if (config.use_count() > 1) {
      still_used.push_back(std::move(config));
    } else if (!spare_) {
      spare_ = std::const_pointer_cast<config::Config>(std::move(config));
    } else {
      asio::post(pool_, [last = std::move(config)] {});
    }
  }
  retired_ = std::move(still_used);
}

void Changes::answer(Batch& batch, uint64_t generation) {
  for (size_t i = 0; i < batch.tickets.size(); ++i) {
    auto& result = batch.plan.results[i];
    if (result) {
      batch.tickets[i]->answer.finish(
          ChangeOutcome{generation, std::move(*result), {}, batch.before});
    } else {
      batch.tickets[i]->answer.finish(std::unexpected(result.error()));
    }
  }
}

// The snapshot could not be built. An edit that was bad by itself is told so.
void Changes::fail(Batch& batch, const Error& error) {
  for (size_t i = 0; i < batch.tickets.size(); ++i) {
    const auto& result = batch.plan.results[i];
    batch.tickets[i]->answer.finish(std::unexpected(result ? error : result.error()));
  }
}

asio::awaitable<std::expected<void, Error>> Changes::wait_visible(uint64_t generation) {
  const auto deadline = std::chrono::steady_clock::now() + limits_.visible;
  asio::steady_timer timer(loop_);
  error_code ignored;
  while (!state_.store.visible(generation)) {
    if (stopped_ || std::chrono::steady_clock::now() > deadline) {
      co_return std::unexpected(Error{fmt::format(
          "the change is made, as generation {}, but after {} ms not every worker has taken it; "
          "`headgate show workers` shows which one hangs",
          generation, limits_.visible.count())});
    }
    timer.expires_after(std::chrono::microseconds(500));
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::expected<void, Error>{};
}

// Frees what no worker can hold any more, and ids whose last connection is gone.
asio::awaitable<void> Changes::housekeeping() {
  ++under_way_;
  asio::steady_timer timer(loop_);
  error_code ignored;
  uint32_t turn = 0;
  while (!stopped_) {
    timer.expires_after(std::chrono::milliseconds(1000) / RateBook::looks_per_second);
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    ++turn;
    state_.store.poll();
    put_away();
    if (const dataplane::SnapshotRoot* root = state_.store.current()) {
      state_.rates.sample(state_.region, *root, state_.counters, std::chrono::steady_clock::now());
    }
    if (preparing_) continue;  // the ids are the builder's meanwhile
    if (turn % RateBook::looks_per_second != 0) continue;
    state_.load.sample(state_.counters);
    Log::get().flush();
    if (state_.builder.reclaimable()) {
      reclaim_ = true;
      wake_.cancel();
    }
  }
  --under_way_;
}

}  // namespace headgate::control
