// headgated: everything that runs, strung together. start() reads as the list of what a daemon
// needs, in the order in which it comes to be; it goes in the opposite one.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/reader.h"
#include "control/changes.h"
#include "control/cli_server.h"
#include "control/commands.h"
#include "control/error.h"
#include "control/health/data_path_checks.h"
#include "control/health/health_manager.h"
#include "control/kernel_feed.h"
#include "control/port_set.h"
#include "control/programs.h"
#include "control/region_memory.h"
#include "control/run_directory.h"
#include "control/state.h"
#include "control/vrrp/vrrp_manager.h"
#include "control/worker_set.h"

namespace headgate::control {

// How long scripts that are told of the end may take.
inline constexpr std::chrono::seconds last_scripts_patience{5};

struct DaemonOptions {
  std::string config_path;
  // From the command line; they win over the file, at each reload too.
  std::optional<std::string> run_dir;
  std::optional<std::string> socket;
  bool verbose = false;                 // logs everything, whatever the file says
  config::keepalived::Options foreign;  // for a keepalived.conf
};

// What `options` says, put into a configuration from a file.
void override_config(const DaemonOptions& options, config::Config& config);

// Of addresses of virtual routers, before any of these is master.
[[nodiscard]] Ownership ownership_at_start(const config::Vrrp& vrrp);

class Daemon {
 public:
  // Brings everything up; an error undoes what was done.
  [[nodiscard]] static std::expected<std::unique_ptr<Daemon>, Error> start(
      const DaemonOptions& options, const config::Reading& reading);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  // Until SIGTERM or SIGINT.
  void run();

 private:
  Daemon(DaemonOptions options, const config::Reading& reading);

  // The steps of start(), in order.
  using Done = std::expected<void, Error>;
  [[nodiscard]] Done take_run_directory();
  [[nodiscard]] Done choose_cores();
  [[nodiscard]] Done make_region();
  [[nodiscard]] Done open_ports();
  [[nodiscard]] Done configure_twins();
  [[nodiscard]] Done look_up_users();
  [[nodiscard]] Done begin_health();
  [[nodiscard]] Done publish_first_snapshot();
  [[nodiscard]] Done start_workers();
  [[nodiscard]] Done start_vrrp();
  [[nodiscard]] Done listen();

  void leave_cores_to_workers(const std::vector<uint16_t>& usable);
  void describe_surroundings();
  void committed(const EditScope& scope);
  [[nodiscard]] boost::asio::awaitable<void> follow_config();
  void finish_on_loop(boost::asio::awaitable<void> work, std::chrono::milliseconds at_least);
  void wait_for_signals();
  void start_reload();
  void audit(AuditSource source, std::string command, std::string outcome);
  [[nodiscard]] boost::asio::awaitable<void> reload_after_signal();
  void run_loop();
  void stop();

  // daemon_vrrp.cpp
  [[nodiscard]] VrrpEnvironment vrrp_environment();
  [[nodiscard]] boost::asio::awaitable<void> take_ownership(VrrpOwnership ownership,
                                                            std::function<void()> visible);
  void receive_virtual_macs();
  void offer_vrrp();
  void follow_vrrp();
  void leave_vrrp();

  // daemon_health.cpp
  [[nodiscard]] HealthEnvironment health_environment();
  [[nodiscard]] HealthControl health_control();
  void health_changed(const std::vector<HealthEvent>& events);
  [[nodiscard]] std::vector<uint64_t> failures_of(const config::Service& service) const;
  [[nodiscard]] std::expected<std::pair<int, std::string>, Error> probe_twin() const;
  void refresh_probes();
  [[nodiscard]] boost::asio::awaitable<void> set_probes();
  void leave_health();

  DaemonOptions options_;
  config::Config config_;  // as it was at the start; its ports as the twins were set up last
  std::vector<std::string> warnings_;
  std::vector<uint16_t> cores_;
  uint64_t start_ns_ = 0;

  boost::asio::io_context loop_{1};
  boost::asio::thread_pool pool_{1};
  std::optional<RunDirectory> run_directory_;
  std::optional<RegionMemory> region_;
  std::unique_ptr<dataplane::GracePeriod> grace_;
  std::optional<dataplane::ConnTable> connections_;
  std::unique_ptr<PortSet> ports_;
  std::optional<TwinNetwork> twin_network_;
  std::unique_ptr<KernelMirror> mirror_;  // until the feed takes it
  std::unique_ptr<State> state_;
  std::unique_ptr<Changes> changes_;
  std::unique_ptr<WorkerSet> workers_;  // null without ports, as what follows
  std::unique_ptr<KernelFeed> feed_;
  // What health and virtual routers work by.
  std::shared_ptr<const config::Config> followed_config_;
  std::shared_ptr<const Programs> programs_;
  EditScope unfollowed_;  // what a newer one differs in
  bool follows_ = false;  // a newer one is being looked at
  std::unique_ptr<HealthManager> health_;
  std::unique_ptr<DataPathChecks> data_path_checks_;
  bool sets_probes_ = false;
  PoolViews first_pools_;  // for the first snapshot
  std::unique_ptr<VrrpManager> vrrp_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<CliServer> server_;
  // From the first moment: what comes during the start is answered at its end.
  boost::asio::signal_set signals_{loop_, SIGTERM, SIGINT, SIGHUP};
  bool reload_asked_ = false;  // by a signal, and not begun yet
  bool reloads_ = false;       // a reload that a signal asked for is under way
};

}  // namespace headgate::control
