#include "control/health/probe_runner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "control/log.h"
#include "control/offload.h"

namespace headgate::control {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct ProbeRunner::Running {
  Running(asio::io_context& loop, ProbeId its_id, config::Check its_check)
      : id(its_id), check(std::move(its_check)), timer(loop) {}

  ProbeId id;
  config::Check check;
  std::unique_ptr<Prober> prober;
  std::string mistake;  // in place of a prober
  asio::steady_timer timer;
  asio::cancellation_signal cancel;
  milliseconds warmup{0};
  Clock::time_point due;
  bool under_way = false;
  bool ended = false;
  bool has_script_turn = false;
};

namespace {

struct Ready {
  ProbeOrder order;
  std::unique_ptr<Prober> prober;
  std::string mistake;
};

Ready make(ProbeOrder order, asio::thread_pool& helpers) {
  Ready ready{.order = std::move(order), .prober = nullptr, .mistake = {}};
  if (!ready.order.target || !ready.order.user) {
    ready.mistake =
        ready.order.target ? ready.order.user.error().text : ready.order.target.error().text;
    return ready;
  }
  auto prober = make_prober(ready.order.check, *ready.order.target, *ready.order.user, &helpers);
  if (prober) {
    ready.prober = std::move(*prober);
  } else {
    ready.mistake = prober.error().text;
  }
  return ready;
}

// Counts for as long as it lives: a coroutine that is cancelled ends by an exception.
class Counted {
 public:
  explicit Counted(uint32_t& count) : count_(count) { ++count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count_; }

 private:
  uint32_t& count_;
};

bool is_script(const config::Check& check) {
  return check.type == config::CheckType::script;
}

}  // namespace

ProbeRunner::ProbeRunner(asio::io_context& loop, asio::thread_pool& pool, Report report)
    : loop_(loop), pool_(pool), report_(std::move(report)) {}

ProbeRunner::~ProbeRunner() = default;

void ProbeRunner::start(std::vector<ProbeOrder> orders) {
  if (orders.empty() || stopped_) return;
  for (const ProbeOrder& order : orders) {
    auto running = std::make_shared<Running>(loop_, order.id, order.check);
    running->warmup = first_wait(order.check);
    running_.insert_or_assign(order.id, std::move(running));
  }
  asio::co_spawn(loop_, make_ready(std::move(orders)), asio::detached);
}

milliseconds ProbeRunner::first_wait(const config::Check& check) {
  constexpr double golden_ratio = 0.6180339887498949;
  const double share = std::fmod(static_cast<double>(++started_) * golden_ratio, 1.0);
  const double warmup = check.warmup_ms.value_or(check.interval_ms);
  return milliseconds(static_cast<int64_t>(share * warmup));
}

// Certificates and expressions are read and compiled on the helper pool, some at a time.
asio::awaitable<void> ProbeRunner::make_ready(std::vector<ProbeOrder> orders) {
  constexpr size_t at_a_time = 256;
  const Counted counted(under_way_);
  for (size_t begin = 0; begin < orders.size() && !stopped_; begin += at_a_time) {
    const size_t end = std::min(begin + at_a_time, orders.size());
    std::vector<ProbeOrder> some(std::make_move_iterator(orders.begin() + static_cast<long>(begin)),
                                 std::make_move_iterator(orders.begin() + static_cast<long>(end)));
    auto work = [this, some = std::move(some)]() mutable {
      std::vector<Ready> made;
      made.reserve(some.size());
      for (ProbeOrder& order : some)
        made.push_back(make(std::move(order), pool_));
      return made;
    };
    std::vector<Ready> made = co_await offload(pool_, std::move(work));
    for (Ready& ready : made) {
      const auto found = running_.find(ready.order.id);
      if (found == running_.end() || stopped_ || found->second->prober) continue;
      const std::shared_ptr<Running> running = found->second;
      running->prober = std::move(ready.prober);
      running->mistake = std::move(ready.mistake);
      // From now on: a daemon that starts is not late with what it could not do yet.
      running->due = Clock::now() + running->warmup;
      asio::co_spawn(loop_, run(running),
                     asio::bind_cancellation_slot(running->cancel.slot(), asio::detached));
    }
  }
}

void ProbeRunner::end(ProbeId id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const std::shared_ptr<Running> running = found->second;
  running_.erase(found);
  running->ended = true;
  running->timer.cancel();
  running->cancel.emit(asio::cancellation_type::terminal);
}

void ProbeRunner::hurry(ProbeId id) {
  const auto found = running_.find(id);
  if (found == running_.end() || found->second->under_way) return;
  found->second->due = Clock::now();
  found->second->timer.cancel();
}

bool ProbeRunner::stop() {
  stopped_ = true;
  while (!running_.empty())
    end(running_.begin()->first);
  return under_way_ == 0;
}

asio::awaitable<void> ProbeRunner::run(std::shared_ptr<Running> running) {
  const Counted counted(under_way_);
  error_code ignored;
  while (!running->ended) {
    // Cancelled when it is to hurry, or to end.
    while (!running->ended && Clock::now() < running->due) {
      running->timer.expires_at(running->due);
      co_await running->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (running->ended) break;
    const Clock::time_point begun = Clock::now();
    const auto late = std::chrono::duration_cast<milliseconds>(begun - running->due);
    counts_.late_max_ms =
        std::max(counts_.late_max_ms, static_cast<uint64_t>(std::max<int64_t>(late.count(), 0)));
    running->under_way = true;
    const ProbeOutcome outcome = co_await attempt(running);
    running->under_way = false;
    if (running->ended) break;
    ++counts_.attempts;
    if (!outcome.up) ++counts_.failed;
    const milliseconds wait = answer(*running, outcome);
    const bool in_beat = wait == milliseconds(running->check.interval_ms);
    const Clock::time_point now = Clock::now();
    running->due = std::max((in_beat ? running->due : now) + wait, now);
  }
}

milliseconds ProbeRunner::answer(const Running& running, const ProbeOutcome& outcome) {
  if (outcome.asked) return report_(running.id, outcome);
  log_warning("a check could not be made: {}", outcome.reason);
  return milliseconds(running.check.retry_delay_ms);
}

asio::awaitable<ProbeOutcome> ProbeRunner::attempt(std::shared_ptr<Running> running) {
  ProbeOutcome outcome;
  if (!running->prober) {
    outcome.reason = running->mistake;
    co_return outcome;
  }
  if (is_script(running->check)) co_await wait_for_script_turn(running);
  if (running->ended) {
    leave_script_turn(*running);
    co_return outcome;
  }
  const Counted counted(attempts_);
  counts_.at_once_max = std::max<uint64_t>(counts_.at_once_max, attempts_);
  try {
    outcome = co_await running->prober->run();
  } catch (const std::exception& exception) {
    outcome.up = false;
    outcome.reason = exception.what();
  }
  leave_script_turn(*running);
  co_return outcome;
}

asio::awaitable<void> ProbeRunner::wait_for_script_turn(std::shared_ptr<Running> running) {
  running->has_script_turn = true;
  if (scripts_ < scripts_at_once_) {
    ++scripts_;
    co_return;
  }
  script_turns_.push_back(running);
  error_code ignored;
  running->timer.expires_at(asio::steady_timer::time_point::max());
  co_await running->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  // Whoever left gave its turn to this one, unless this one was ended while it waited.
  if (std::erase(script_turns_, running) != 0) running->has_script_turn = false;
}

void ProbeRunner::leave_script_turn(Running& running) {
  if (!std::exchange(running.has_script_turn, false)) return;
  if (script_turns_.empty()) {
    --scripts_;
    return;
  }
  const std::shared_ptr<Running> next = script_turns_.front();
  script_turns_.pop_front();
  next->timer.cancel();
}

}  // namespace headgate::control
