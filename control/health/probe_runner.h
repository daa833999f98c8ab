// Runs the probes that are wanted, each again and again in its own beat, and reports what came of
// every attempt. On the loop; what takes time to be made ready is made on the helper pool.
//
// First attempts are spread evenly over their checks' warm-up, by the golden ratio: whatever part
// of them one looks at, their times are far from each other. An attempt of a check that is neither
// failing nor slow begins one interval after the one before began, so that they stay spread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "control/health/health_book.h"
#include "control/health/prober.h"
#include "control/health_control.h"
#include "control/programs.h"

namespace headgate::control {

// One probe as it is to be run. An error in place of the target or user: every attempt fails with
// it.
struct ProbeOrder {
  ProbeId id = 0;
  config::Check check;
  std::expected<ProbeTarget, Error> target = ProbeTarget{};
  std::expected<std::optional<ProgramUser>, Error> user = std::optional<ProgramUser>{};
};

class ProbeRunner {
 public:
  // How long until the next attempt.
  using Report = std::function<std::chrono::milliseconds(ProbeId id, const ProbeOutcome& outcome)>;

  ProbeRunner(boost::asio::io_context& loop, boost::asio::thread_pool& pool, Report report);
  ProbeRunner(const ProbeRunner&) = delete;
  ProbeRunner& operator=(const ProbeRunner&) = delete;
  ~ProbeRunner();

  void set_scripts_at_once(uint32_t count) { scripts_at_once_ = count; }
  void start(std::vector<ProbeOrder> orders);
  void end(ProbeId id);
  // The next attempt comes now, unless one is under way.
  void hurry(ProbeId id);
  // Ends all; true when nothing is under way any more.
  bool stop();
  [[nodiscard]] const HealthCounts& counts() const { return counts_; }

 private:
  struct Running;

  boost::asio::awaitable<void> make_ready(std::vector<ProbeOrder> orders);
  boost::asio::awaitable<void> run(std::shared_ptr<Running> running);
  std::chrono::milliseconds answer(const Running& running, const ProbeOutcome& outcome);
  boost::asio::awaitable<ProbeOutcome> attempt(std::shared_ptr<Running> running);
  boost::asio::awaitable<void> wait_for_script_turn(std::shared_ptr<Running> running);
  void leave_script_turn(Running& running);
  [[nodiscard]] std::chrono::milliseconds first_wait(const config::Check& check);

  boost::asio::io_context& loop_;
  boost::asio::thread_pool& pool_;
  Report report_;
  std::unordered_map<ProbeId, std::shared_ptr<Running>> running_;
  uint64_t started_ = 0;    // for the golden ratio
  uint32_t under_way_ = 0;  // coroutines
  uint32_t attempts_ = 0;   // under way
  uint32_t scripts_ = 0;    // under way
  uint32_t scripts_at_once_ = 64;
  std::deque<std::shared_ptr<Running>> script_turns_;  // that wait
  HealthCounts counts_;
  bool stopped_ = false;
};

}  // namespace headgate::control
