// The one way by which anything changes: the command line, a reload, the kernel's routes and
// neighbours, and backends whose last connection ended.
//
//   submit() ─┐                    helper pool                     control thread
//   kernel ───┼─> what waits ──> plan_changes, Maglev, prepare ──> commit ──> answer, when every
//   reclaim ──┘   together                                                    worker sees it
//
// What arrives while a batch is prepared waits and goes together into the next one. A batch becomes
// one snapshot: workers see all of it or nothing.
//
// Who is master of an address goes another way, since it cannot wait for a reload of thousands of
// services: set_ownership() publishes at once, whatever is being prepared (published_root.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "control/change_plan.h"
#include "control/kernel_state.h"
#include "control/state.h"

namespace headgate::control {

struct ChangeOutcome {
  uint64_t generation = 0;  // that holds the change; every worker works by it or a later one
  EditReport report;
  std::string late;  // not empty: not every worker has it yet; a sentence that says so
  std::shared_ptr<const config::Config> before;  // what ran when the change was made
};

struct Submission {
  bool alone = false;        // no other edit goes into its snapshot
  bool passes_hold = false;  // see Changes::hold()
};

struct ChangeLimits {
  std::chrono::milliseconds visible{5000};  // for the workers to take a generation
  std::chrono::milliseconds retry{1000};    // until the kernel's changes are tried again
};

class Changes {
 public:
  // All outlive the object, and the loop runs while it stops: see stop(). `committed` is called
  // after each commit that published something.
  Changes(boost::asio::io_context& loop, boost::asio::thread_pool& pool, State& state,
          ChangeLimits limits = {});
  ~Changes();
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;

  // The first snapshot, before workers and the loop run.
  [[nodiscard]] std::expected<uint64_t, Error> publish_first(const config::Config& config,
                                                             std::vector<std::string> warnings,
                                                             const KernelState& kernel,
                                                             Ownership ownership = {},
                                                             PoolViews pools = {});

  // Begins to work on what is submitted.
  void start();
  // What waits is answered with an error; true when nothing is under way any more.
  [[nodiscard]] bool stop();

  // `scope` is what edits touched: nothing of it when health or the kernel alone changed something.
  using Committed = std::function<void(const EditScope& scope)>;
  void on_commit(Committed callback) { committed_ = std::move(callback); }

  // An error: nothing was changed.
  [[nodiscard]] boost::asio::awaitable<std::expected<ChangeOutcome, Error>> submit(
      Edit edit, Submission how = {});
  // Why no edit is accepted at present; empty: they are. Asked at each submit().
  void hold(std::function<std::string()> why) { hold_ = std::move(why); }
  [[nodiscard]] std::string why_held() const { return hold_ ? hold_() : std::string{}; }
  // Runs `work` on the helper pool, while no change is prepared or committed (but for ownership):
  // for what reads ids and configuration together. Other changes wait for it, so it is to be short.
  [[nodiscard]] boost::asio::awaitable<std::expected<void, Error>> look(
      std::function<void(const State& state)> work);
  // The addresses that other routers are master of, and the virtual MACs that are ours, from now on
  // and through all later changes. Answered with its generation when every worker works by it. Of
  // calls that come together the newest wins, and they are answered together.
  [[nodiscard]] boost::asio::awaitable<std::expected<uint64_t, Error>> set_ownership(
      Ownership ownership);
  // Who serves in these services; null: the configuration alone decides. They count from the next
  // snapshot on, through all later changes.
  void pools_changed(const PoolViews& pools);
  // What of `kernel` differs from what was told before; it is copied.
  void kernel_changed(const KernelState& kernel, KernelParts parts);

 private:
  struct Ticket;
  struct Batch;
  struct Handover;
  struct Look;

  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> commit(std::shared_ptr<Batch> batch);
  boost::asio::awaitable<void> look_around();
  boost::asio::awaitable<void> housekeeping();
  boost::asio::awaitable<void> hand_over();
  boost::asio::awaitable<std::expected<void, Error>> wait_visible(uint64_t generation);
  [[nodiscard]] bool anything_waits() const;
  [[nodiscard]] std::vector<config::ServiceKey> take_pools();
  void look_again(const Batch& batch);
  [[nodiscard]] std::vector<std::shared_ptr<Ticket>> next_tickets();
  void retire(std::shared_ptr<const config::Config> config);
  void put_away();
  void answer(Batch& batch, uint64_t generation);
  void fail(Batch& batch, const Error& error);

  boost::asio::io_context& loop_;
  boost::asio::thread_pool& pool_;
  State& state_;
  ChangeLimits limits_;
  Committed committed_ = [](const EditScope&) {};
  std::function<std::string()> hold_;

  std::vector<std::shared_ptr<Ticket>> waiting_;
  std::vector<std::shared_ptr<Look>> looks_;  // that wait
  std::shared_ptr<Handover> handover_;        // that waits to be published
  bool handing_over_ = false;
  // Former configurations, until nobody else has them: a large one is destroyed on the helper pool.
  std::vector<std::shared_ptr<const config::Config>> retired_;
  // One of them, whose memory the next change uses: getting it anew costs more than the copying.
  std::shared_ptr<config::Config> spare_;
  std::shared_ptr<const KernelState> kernel_;
  KernelParts kernel_parts_;
  PoolViews pools_;          // that count; only touched while nothing is prepared
  PoolViews waiting_pools_;  // that are to count
  bool reclaim_ = false;
  bool stopped_ = false;
  bool preparing_ = false;
  uint32_t under_way_ = 0;  // coroutines of this object
  boost::asio::steady_timer wake_;
  boost::asio::steady_timer tick_;
};

}  // namespace headgate::control
