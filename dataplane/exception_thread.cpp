#include <atomic>
#include <chrono>
#include <future>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <utility>

#include "dataplane/eal.h"
#include "dataplane/exception.h"

namespace headgate::dataplane {
namespace {

// Workers cannot wake the thread, so the time it sleeps is the time a frame may wait. The first
// idle turns are short, for the frames that follow one another (a handshake, say).
constexpr uint32_t short_wait_us = 50;
constexpr uint32_t long_wait_us = 1000;
constexpr uint32_t short_waits = 64;

uint64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

void run_on(const std::vector<uint16_t>& cores) {
  if (cores.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const uint16_t core : cores) {
    if (core < CPU_SETSIZE) CPU_SET(core, &set);
  }
  // Where it may not run on any of them it stays where it is.
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

void run(ExceptionLoop& loop, const std::atomic<bool>& stop) noexcept {
  uint32_t idle_turns = 0;
  uint32_t wait_us = short_wait_us;
  while (!stop.load(std::memory_order_acquire)) {
    if (loop.turn(now_ns()) > 0) {
      idle_turns = 0;
      wait_us = short_wait_us;
      continue;
    }
    if (++idle_turns > short_waits) wait_us = std::min(wait_us * 2, long_wait_us);
    loop.wait(wait_us);
  }
}

}  // namespace

struct ExceptionThread::State {
  explicit State(ExceptionOptions options) : loop(std::move(options)) {}
  ~State() {
    stop.store(true, std::memory_order_release);
    loop.wake();
    if (thread.joinable()) thread.join();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ExceptionLoop loop;
  std::atomic<bool> stop{false};
  std::thread thread;
};

std::expected<ExceptionThread, Error> ExceptionThread::start(ExceptionOptions options) {
  const std::vector<uint16_t> cores = options.cores;
  auto state = std::make_unique<State>(std::move(options));
  std::promise<std::expected<void, Error>> started;
  auto result = started.get_future();
  state->thread = std::thread([&state = *state, &started, cores] {
    run_on(cores);
    const auto registered = RegisteredThread::enter("hg-exception", std::nullopt);
    if (!registered) {
      started.set_value(std::unexpected(registered.error()));
      return;
    }
    started.set_value({});
    run(state.loop, state.stop);
  });
  if (auto outcome = result.get(); !outcome) return std::unexpected(outcome.error());
  return ExceptionThread(std::move(state));
}

ExceptionThread::ExceptionThread(std::unique_ptr<State> state) : state_(std::move(state)) {}
ExceptionThread::ExceptionThread(ExceptionThread&&) noexcept = default;
ExceptionThread& ExceptionThread::operator=(ExceptionThread&&) noexcept = default;
ExceptionThread::~ExceptionThread() = default;

std::span<const TwinCounters> ExceptionThread::counters() const {
  return state_->loop.counters();
}

void ExceptionThread::set_probes(std::shared_ptr<const ProbeTable> table) {
  state_->loop.set_probes(std::move(table));
}

const ProbeCounters& ExceptionThread::probe_counters() const {
  return state_->loop.probe_counters();
}

}  // namespace headgate::dataplane
