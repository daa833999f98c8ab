// Runs tracked scripts, each once an interval, and tells when one comes up or goes down. All on one
// loop.
//
// A script never runs twice at once: one that takes longer than its interval skips the beats that
// it misses. The first result decides at once, as with keepalived; after that `rise` successes or
// `fall` failures in a row do. A run that times out is a failure at that moment, though its program
// may take two more seconds to die. First runs are spread over the interval.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <sched.h>
#include <span>
#include <string>

#include "config/vrrp_model.h"
#include "control/programs.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

struct ScriptTrackerOptions {
  size_t at_once = 64;             // programs; others wait for their turn
  std::optional<cpu_set_t> cores;  // for the programs; empty: the loop's
};

class ScriptTracker {
 public:
  // On the loop, when `up` has changed, and at the first result whatever it is. `reason`:
  // `exited with status 1, 3 in a row`.
  using Callback = std::function<void(const std::string& name, bool up, const std::string& reason)>;

  ScriptTracker(boost::asio::io_context& loop, Callback on_result,
                ScriptTrackerOptions options = {});
  ~ScriptTracker();  // kills what runs; no call comes after
  ScriptTracker(const ScriptTracker&) = delete;
  ScriptTracker& operator=(const ScriptTracker&) = delete;

  // A script that is as it was keeps its state and its beat; a changed one starts anew, as a new
  // one.
  void configure(std::span<const config::VrrpScript> scripts,
                 std::shared_ptr<const Programs> programs);
  // What it counts as now: `start` before the first result; false for an unknown name.
  [[nodiscard]] bool up(const std::string& name) const;
  [[nodiscard]] bool known(const std::string& name) const;  // had a result

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
