// What control and the kernel tell each other while the daemon runs: changes of links, routes and
// neighbours become snapshots; neighbours that backends, routes and held packets need are asked for
// and kept alive.
#pragma once

#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "control/changes.h"
#include "control/kernel_watch.h"
#include "control/state.h"
#include "control/worker_set.h"

namespace headgate::control {

class KernelFeed {
 public:
  // All outlive the feed; `mirror` has been opened, and its state went into the first snapshot.
  KernelFeed(boost::asio::io_context& loop, std::unique_ptr<KernelMirror> mirror, State& state,
             Changes& changes, WorkerSet& workers);
  ~KernelFeed();
  KernelFeed(const KernelFeed&) = delete;
  KernelFeed& operator=(const KernelFeed&) = delete;

  // After every commit: what is in use may have changed.
  void refresh();

 private:
  boost::asio::awaitable<void> ask_for_held_packets(std::shared_ptr<bool> stopped);

  State& state_;
  WorkerSet& workers_;
  KernelWatch watch_;
  // Outlives this object: a timer that has fired already finds its end here.
  std::shared_ptr<bool> stopped_ = std::make_shared<bool>(false);
};

}  // namespace headgate::control
