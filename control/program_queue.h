// Programs that others are told by: those of one title run one after the other in the order in
// which they were added, those of different titles side by side, a bounded number at once. All on
// one loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <sched.h>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "control/error.h"
#include "control/program_user.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

struct ProgramQueueOptions {
  size_t at_once = 64;
  size_t queued = 1000;  // that wait under each title; the oldest go first when there are more,
                         // counted and logged: the last state is always told
};

// A command as a user configured it, for one event.
struct QueuedCommand {
  std::string title;
  std::string state;  // that it tells of: MASTER, DOWN
  std::string command;
  std::vector<std::string> arguments;
  bool shell = false;
  std::expected<std::optional<ProgramUser>, Error> user;  // an error: it is not run
  std::chrono::milliseconds timeout{0};
  std::optional<cpu_set_t> cores;  // empty: the loop's
};

class ProgramQueue {
 public:
  struct Counts {
    uint64_t run = 0;      // ended with status 0
    uint64_t failed = 0;   // otherwise: logged with the reason and the first of its output
    uint64_t dropped = 0;  // did not run, as too many waited or the daemon ended
  };

  explicit ProgramQueue(boost::asio::io_context& loop, ProgramQueueOptions options = {});
  ~ProgramQueue();  // kills what runs
  ProgramQueue(const ProgramQueue&) = delete;
  ProgramQueue& operator=(const ProgramQueue&) = delete;

  // On the loop's thread; returns at once. One that cannot be run is counted, and logged with why.
  void add_command(QueuedCommand command);
  // Nothing runs or waits.
  [[nodiscard]] bool idle() const;
  // Waits for all that was asked for, at most `bound`; true: all of it ran.
  [[nodiscard]] boost::asio::awaitable<bool> finish(std::chrono::milliseconds bound);
  [[nodiscard]] Counts counts() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
