// Runs the scripts of transitions: for each, the state's own first, then the general one with the
// arguments `INSTANCE|GROUP NAME MASTER|BACKUP|FAULT|STOP PRIORITY`. Those of one instance or group
// run one after the other in the order of its transitions, those of different ones side by side.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <sched.h>

#include <boost/asio/awaitable.hpp>

#include "control/vrrp/notification.h"
#include "control/vrrp/programs.h"

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
  struct Counts {
    uint64_t run = 0;      // ended with status 0
    uint64_t failed = 0;   // otherwise: logged with the reason and the first of its output
    uint64_t dropped = 0;  // did not run, as too many waited or the daemon ended
  };

  explicit Notifier(boost::asio::io_context& loop, NotifierOptions options = {});
  ~Notifier();  // kills what runs
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Before the first notify() of a configuration.
  void set_programs(std::shared_ptr<const VrrpPrograms> programs);
  // On the loop's thread; returns at once.
  void notify(const Notification& notification);
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
