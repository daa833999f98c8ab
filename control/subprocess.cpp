#include "control/subprocess.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <sys/wait.h>

#include "control/child_start.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace headgate::control {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kill_delay{2};

std::string text_of(int error) {
  return std::generic_category().message(error);
}

// As a shell finds a program. Ahead of the child, which may not allocate.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* const path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
  }
  return {};
}

}  // namespace

std::string describe(const ProgramResult& result) {
  struct Visitor {
    std::string operator()(const ProgramExited& end) const {
      return fmt::format("exited with status {}", end.status);
    }
    std::string operator()(const ProgramKilled& end) const {
      const char* const name = sigabbrev_np(end.signal);
      return fmt::format("was killed by signal {} (SIG{})", end.signal, name ? name : "?");
    }
    std::string operator()(const ProgramTimedOut&) const { return "timed out"; }
    std::string operator()(const ProgramNotStarted& end) const {
      return fmt::format("could not be started: {}", end.text);
    }
  };
  return std::visit(Visitor{}, result.end);
}

struct Program::Io {
  explicit Io(const asio::any_io_executor& loop) : end(loop), output(loop), timer(loop) {}

  asio::posix::stream_descriptor end;     // the pidfd: readable when the child has ended
  asio::posix::stream_descriptor output;  // the pipe's end to read
  asio::steady_timer timer;
};

std::shared_ptr<Program> Program::start(asio::any_io_executor loop, ProgramOptions options,
                                        Done done, TimedOut timed_out) {
  auto program = std::make_shared<Program>(Private{}, loop, std::move(done), std::move(timed_out));
  program->launch(options);
  return program;
}

Program::Program(Private, asio::any_io_executor loop, Done done, TimedOut timed_out)
    : io_(std::make_unique<Io>(loop)), done_(std::move(done)), on_timeout_(std::move(timed_out)) {}

// Handlers on the loop hold the object while the child lives, so this finds one only when the loop
// itself goes, which is when nobody minds waiting for a moment.
Program::~Program() {
  if (pid_ < 0) return;
  signal_group(SIGKILL);
  reap_killed(io_->end.release());
}

void Program::launch(const ProgramOptions& options) {
  ChildPlan plan{options.words, options.user, -1, options.cores};
  if (plan.words.empty()) return refuse(EINVAL, "no command");
  plan.words.front() = find_program(options.words.front());
  if (plan.words.front().empty()) return refuse(ENOENT, options.words.front());
  std::array<int, 2> ends{-1, -1};
  if (options.capture_bytes > 0 && pipe2(ends.data(), O_CLOEXEC) != 0) {
    return refuse(errno, "a pipe for its output");
  }
  capture_bytes_ = options.capture_bytes;
  plan.output = ends[1];
  const Child child = start_child(plan);
  if (ends[1] >= 0) close(ends[1]);
  if (child.pid < 0) {
    if (ends[0] >= 0) close(ends[0]);
    return refuse(child.error, child.step);
  }
  pid_ = child.pid;
  io_->end.assign(child.pidfd);
  wait_for_end();
  if (ends[0] >= 0) {
    io_->output.assign(ends[0]);
    io_->output.non_blocking(true);
    wait_for_output();
  }
  if (options.timeout > std::chrono::milliseconds(0)) wait_for_timeout(options.timeout);
}

// Tells in a later turn: the caller of start() has no handle yet.
void Program::refuse(int error, std::string_view what) {
  ProgramNotStarted end{error, fmt::format("{}: {}", what, text_of(error))};
  asio::post(io_->end.get_executor(),
             [self = shared_from_this(), end = std::move(end)] { self->finish(end); });
}

void Program::wait_for_end() {
  io_->end.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (!error) self->reap();
                      });
}

void Program::wait_for_output() {
  // Without a hold on the object: a descendant may keep the pipe open for ever.
  io_->output.async_wait(asio::posix::stream_descriptor::wait_read,
                         [weak = weak_from_this()](const boost::system::error_code& error) {
                           const std::shared_ptr<Program> self = weak.lock();
                           if (error || !self) return;
                           self->drain_output();
                           if (self->io_->output.is_open()) self->wait_for_output();
                         });
}

void Program::wait_for_timeout(std::chrono::milliseconds timeout) {
  io_->timer.expires_after(timeout);
  io_->timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const std::shared_ptr<Program> self = weak.lock();
    if (!error && self) self->time_out();
  });
}

// First the end of its time, then that of the grace after SIGTERM.
void Program::time_out() {
  if (pid_ < 0) return;
  if (timed_out_) return signal_group(SIGKILL);
  timed_out_ = true;
  signal_group(SIGTERM);
  wait_for_timeout(kill_delay);
  if (on_timeout_) std::exchange(on_timeout_, {})();
}

// Reads what there is; what goes beyond the wanted bytes is read too, so that nobody waits for a
// full pipe.
void Program::drain_output() {
  std::array<char, 4096> buffer;
  constexpr int most_reads = 64;  // in one turn, of a program that writes without end
  for (int i = 0; i < most_reads; ++i) {
    // The analyzer takes weak_ptr::lock() for a mutex's; the descriptor does not block.
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
    const ssize_t count = read(io_->output.native_handle(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      io_->output.close();
      return;
    }
    const size_t room = capture_bytes_ - result_.output.size();
    result_.output.append(buffer.data(), std::min(room, static_cast<size_t>(count)));
  }
}

// Only while the child is not reaped: its number, and so its group's, is not anybody else's then.
void Program::signal_group(int signal) const {
  if (pid_ < 0) return;
  ::kill(-pid_, signal);
}

void Program::reap() {
  // Whatever of its group outlives a program that timed out has had its SIGTERM.
  if (timed_out_) signal_group(SIGKILL);
  siginfo_t ended{};
  const int waited = waitid(static_cast<idtype_t>(P_PIDFD),
                            static_cast<id_t>(io_->end.native_handle()), &ended, WEXITED | WNOHANG);
  if (waited == 0 && ended.si_pid == 0) return wait_for_end();
  pid_ = -1;
  if (io_->output.is_open()) drain_output();
  if (waited != 0) return finish(ProgramNotStarted{errno, "waitid: " + text_of(errno)});
  if (timed_out_) return finish(ProgramTimedOut{});
  if (ended.si_code == CLD_EXITED) return finish(ProgramExited{ended.si_status});
  finish(ProgramKilled{ended.si_status});
}

void Program::finish(decltype(ProgramResult::end) end) {
  over_ = true;
  io_->timer.cancel();
  boost::system::error_code ignored;
  io_->end.close(ignored);
  io_->output.close(ignored);
  result_.end = std::move(end);
  on_timeout_ = {};
  if (done_) std::exchange(done_, {})(std::move(result_));
}

void Program::kill() {
  signal_group(SIGKILL);
}

void Program::abandon() {
  done_ = {};
  on_timeout_ = {};
  kill();
}

asio::awaitable<ProgramResult> run_program(ProgramOptions options) {
  // The analyzer does not see who sets a coroutine's frame up.
  // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  // Named and owning nothing: GCC 12 destroys temporaries of a co_await expression twice.
  const auto initiate = [&loop, &options](auto handler) {
    const auto slot = asio::get_associated_cancellation_slot(handler);
    auto done = [handler = std::move(handler)](ProgramResult result) mutable {
      auto wanted = asio::get_associated_cancellation_slot(handler);
      if (wanted.is_connected()) wanted.clear();
      std::move(handler)(std::move(result));
    };
    const std::shared_ptr<Program> program =
        Program::start(loop, std::move(options), std::move(done));
    if (!slot.is_connected()) return;
    auto cancelled = slot;
    cancelled.assign([weak = std::weak_ptr(program)](asio::cancellation_type) {
      if (const std::shared_ptr<Program> running = weak.lock()) running->kill();
    });
  };
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(ProgramResult)>(
      initiate, asio::use_awaitable);
}

}  // namespace headgate::control
