// Health as the daemon has it, on the control loop: follows the configuration, runs the probes that
// HealthBook asks for, hands pools that differ to the snapshot, tells who is to be told, and keeps
// the state file.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/model.h"
#include "control/change_plan.h"
#include "control/error.h"
#include "control/health/health_book.h"
#include "control/health_control.h"
#include "control/pool_view.h"
#include "control/programs.h"

namespace headgate::control {

// What health needs of the daemon; called on the loop.
struct HealthEnvironment {
  // Views that differ, null where the configuration alone decides again.
  std::function<void(const PoolViews& views)> pools_changed = [](const PoolViews&) {};
  // Changes of backends and quorums that came together, after the others have been told.
  std::function<void(const std::vector<HealthEvent>& events)> told =
      [](const std::vector<HealthEvent>&) {};
  // Of each backend of a service, in their order: connections that were refused or stayed
  // unanswered, counted by the workers; 0 where that is not known.
  std::function<std::vector<uint64_t>(const config::Service& service)> failures =
      [](const config::Service& service) { return std::vector<uint64_t>(service.backends.size()); };
  // Where to connect to, so that the way leads through the workers; an error says why it cannot.
  std::function<std::expected<ProbeTarget, Error>(const ProbeSpec& spec)> data_path_target =
      [](const ProbeSpec&) { return std::unexpected(Error{"there is no data path"}); };
  // Each target that was given is given back.
  std::function<void(const DataPath& path)> data_path_released = [](const DataPath&) {};
  // After some of both.
  std::function<void()> data_path_changed = [] {};
};

class HealthManager {
 public:
  // Both outlive the object; the loop runs until finish() has returned.
  HealthManager(boost::asio::io_context& loop, boost::asio::thread_pool& pool,
                HealthEnvironment environment);
  HealthManager(const HealthManager&) = delete;
  HealthManager& operator=(const HealthManager&) = delete;
  ~HealthManager();

  // Before the first snapshot, and before the loop runs: what is known from before. The views that
  // the first snapshot is to be built with.
  [[nodiscard]] std::expected<PoolViews, Error> begin(
      const std::shared_ptr<const config::Config>& config,
      std::shared_ptr<const Programs> programs);
  // A newer configuration runs, with its programs; `scope` is what differs from the one before.
  void follow(const std::shared_ptr<const config::Config>& config, const EditScope& scope,
              std::shared_ptr<const Programs> programs);

  [[nodiscard]] const HealthBook& book() const;
  [[nodiscard]] HealthCounts counts() const;
  // Asks a backend's checks now, out of turn; false: it has none.
  bool check_now(const config::ServiceKey& service, const config::BackendKey& backend);

  // Ends the probes, tells of the end where that is wanted, writes the state; waits for scripts at
  // most `bound`. The loop has to run.
  [[nodiscard]] boost::asio::awaitable<void> finish(std::chrono::milliseconds bound);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
