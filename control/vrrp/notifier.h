// Runs the scripts of transitions: for each, the state's own first, then the general one with the
// arguments `INSTANCE|GROUP NAME MASTER|BACKUP|FAULT|STOP PRIORITY`. Those of one instance or group
// run one after the other in the order of its transitions, those of different ones side by side.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <sched.h>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "control/program_queue.h"
#include "control/programs.h"
#include "control/vrrp/notification.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

struct NotifierOptions {
  size_t at_once = 64;   // programs
  size_t queued = 1000;  // programs that wait for each instance or group; the oldest go first when
                         // there are more, counted and logged: the last state is always told
  std::optional<cpu_set_t> cores;
};

class Notifier {
 public:
  using Counts = ProgramQueue::Counts;

  explicit Notifier(boost::asio::io_context& loop, NotifierOptions options = {});
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Before the first notify() of a configuration.
  void set_programs(std::shared_ptr<const Programs> programs);
  // On the loop's thread; returns at once.
  void notify(const Notification& notification);
  [[nodiscard]] bool idle() const { return queue_.idle(); }
  // Waits for all that was asked for, at most `bound`; true: all of it ran.
  [[nodiscard]] boost::asio::awaitable<bool> finish(std::chrono::milliseconds bound) {
    return queue_.finish(bound);
  }
  [[nodiscard]] Counts counts() const { return queue_.counts(); }

 private:
  void add(const Notification& notification, const std::optional<std::string>& command,
           const std::vector<std::string>& arguments);
  [[nodiscard]] std::expected<std::optional<ProgramUser>, Error> user_of(
      const std::optional<std::string>& name) const;

  ProgramQueue queue_;
  std::optional<cpu_set_t> cores_;
  std::shared_ptr<const Programs> programs_;
  std::shared_ptr<const Programs> programs_before_;
};

}  // namespace headgate::control
