// Runs a program beside the loop: started without a copy of the daemon's page tables, watched by a
// pidfd, ended when its time is over, always reaped.
//
// The program gets: standard input from /dev/null, output to /dev/null or to us, no other
// descriptor, its own session and process group, default signal dispositions, no signal blocked,
// the ordinary scheduling policy at nice 0, the daemon's environment and working directory.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <sched.h>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "control/program_user.h"

namespace headgate::control {

struct ProgramOptions {
  std::vector<std::string> words;   // a first word without a slash is looked for in $PATH
  std::optional<ProgramUser> user;  // empty: the daemon's own
  // At its end SIGTERM goes to the process group, SIGKILL two seconds later; 0: never.
  std::chrono::milliseconds timeout{0};
  size_t capture_bytes = 0;  // of standard output and error that are kept; 0: none, to /dev/null
  std::optional<cpu_set_t> cores;  // empty: the calling thread's
};

struct ProgramExited {
  int status = 0;
  bool operator==(const ProgramExited&) const = default;
};
struct ProgramKilled {
  int signal = 0;
  bool operator==(const ProgramKilled&) const = default;
};
struct ProgramTimedOut {
  bool operator==(const ProgramTimedOut&) const = default;
};
struct ProgramNotStarted {
  int code = 0;      // errno
  std::string text;  // what could not be done: `/etc/x.sh: Permission denied`
  bool operator==(const ProgramNotStarted&) const = default;
};

struct ProgramResult {
  std::variant<ProgramExited, ProgramKilled, ProgramTimedOut, ProgramNotStarted> end;
  std::string output;  // the first capture_bytes

  [[nodiscard]] bool succeeded() const { return end == decltype(end){ProgramExited{0}}; }
};
// `exited with status 3`, `was killed by signal 9 (Killed)`, `timed out`, `/etc/x.sh: No such
// file`.
[[nodiscard]] std::string describe(const ProgramResult& result);

// A program that was asked to run. All calls on the loop's thread. It goes on without its handle.
// The loop is one thread's: it is told of nothing twice, and needs no lock.
class Program : public std::enable_shared_from_this<Program> {
 public:
  // Once, on the loop, never from within start(), when the program is reaped or could not start.
  using Done = std::move_only_function<void(ProgramResult result)>;
  // On the loop at the end of its time, before it is dead: who waits for an answer has one now.
  using TimedOut = std::move_only_function<void()>;

  static std::shared_ptr<Program> start(boost::asio::any_io_executor loop, ProgramOptions options,
                                        Done done, TimedOut timed_out = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  // Only when the loop is gone or the program is over: what still runs is killed and reaped.
  ~Program();

  // SIGKILL to the process group; done() comes as ever.
  void kill();
  // The same, and neither callback comes any more.
  void abandon();
  [[nodiscard]] bool over() const { return over_; }

 private:
  struct Private {};

 public:
  Program(Private, boost::asio::any_io_executor loop, Done done, TimedOut timed_out);

 private:
  struct Io;

  void launch(const ProgramOptions& options);
  void refuse(int error, std::string_view what);
  void wait_for_end();
  void wait_for_output();
  void wait_for_timeout(std::chrono::milliseconds timeout);
  void time_out();
  void drain_output();
  void signal_group(int signal) const;
  void reap();
  void finish(decltype(ProgramResult::end) end);

  std::unique_ptr<Io> io_;
  Done done_;
  TimedOut on_timeout_;
  pid_t pid_ = -1;  // of a child that is not reaped
  size_t capture_bytes_ = 0;
  ProgramResult result_;
  bool timed_out_ = false;
  bool over_ = false;
};

// The same for a coroutine, on its own loop. Cancelled, it kills the program and returns when that
// is reaped; destroyed with its loop, it leaves no child behind either.
[[nodiscard]] boost::asio::awaitable<ProgramResult> run_program(ProgramOptions options);

}  // namespace headgate::control
