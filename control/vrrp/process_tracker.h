// Tracked processes: whether at least `quorum` of a name run. A thread of its own looks through
// /proc each 500 ms while there is something to look for; results come on the loop.
//
// The kernel's process connector (netlink) would tell of starts and ends at once, but it is closed
// to other network and PID namespaces than the first, as in a container, loses messages under load,
// and needs the scan besides for what ran before: half a second is short against what a restart
// takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "config/vrrp_model.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

class ProcessTracker {
 public:
  // On the loop, when `up` has changed, and at the first scan whatever it finds.
  using Callback = std::function<void(const std::string& name, bool up)>;

  ProcessTracker(boost::asio::io_context& loop, Callback on_result,
                 std::chrono::milliseconds period = std::chrono::milliseconds(500));
  ~ProcessTracker();  // no call comes after; the thread is joined
  ProcessTracker(const ProcessTracker&) = delete;
  ProcessTracker& operator=(const ProcessTracker&) = delete;

  // What is as it was keeps its state.
  void configure(std::span<const config::VrrpProcess> processes);
  [[nodiscard]] bool up(const std::string& name) const;         // down before the first scan
  [[nodiscard]] uint32_t count(const std::string& name) const;  // that ran at the last scan

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
