#include "control/daemon.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <rte_version.h>
#include <sys/random.h>

#include "control/log.h"
#include "control/offload.h"
#include "control/reload.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// Of the connection table that nobody uses where there are no workers.
constexpr uint32_t unused_table_entries = 64;

// How long commands that are under way may take to finish when the daemon stops.
constexpr std::chrono::seconds stop_patience{3};

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

std::string list_of(const std::vector<uint16_t>& cores) {
  std::string list;
  for (const uint16_t core : cores) {
    if (!list.empty()) list += ", ";
    list += std::to_string(core);
  }
  return list;
}

// Of the calling thread, and of those that it starts.
void run_on(const std::vector<uint16_t>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const uint16_t core : cores)
    CPU_SET(core, &set);
  sched_setaffinity(0, sizeof(set), &set);
}

template <typename T>
T random_value() {
  T value{};
  // 256 bytes or less always come whole once the kernel's pool is ready.
  if (getrandom(&value, sizeof(value), 0) != static_cast<ssize_t>(sizeof(value))) {
    log_warning("no random numbers from the kernel: the connection table's hash is predictable");
  }
  return value;
}

RegionPages region_pages(config::HugePages pages) {
  switch (pages) {
    case config::HugePages::automatic:
      return RegionPages::automatic;
    case config::HugePages::size_2m:
      return RegionPages::huge_2m;
    case config::HugePages::size_1g:
      return RegionPages::huge_1g;
    case config::HugePages::none:
      return RegionPages::plain;
  }
  return RegionPages::plain;
}

LogLevel log_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::error:
      return LogLevel::error;
    case config::LogLevel::warning:
      return LogLevel::warning;
    case config::LogLevel::info:
      return LogLevel::info;
    case config::LogLevel::debug:
      return LogLevel::debug;
  }
  return LogLevel::info;
}

std::string_view driver_name(dataplane::PortKind kind) {
  switch (kind) {
    case dataplane::PortKind::pci:
      return "pci";
    case dataplane::PortKind::af_xdp:
      return "af_xdp";
    case dataplane::PortKind::af_packet:
      return "af_packet";
    case dataplane::PortKind::vdev:
      return "vdev";
  }
  return "unknown";
}

PortStatus status_of(const PortEntry& entry, const dataplane::PortQueues& queues) {
  const dataplane::PortStats stats = entry.port->stats();
  const dataplane::LinkStatus link = entry.port->link();
  PortStatus status;
  status.name = entry.config.name;
  status.driver = driver_name(entry.port->kind());
  status.mac = entry.port->mac();
  status.link_up = link.up;
  status.link_mbps = link.speed_mbps;
  status.mtu = entry.port->mtu();
  status.rx_queues = queues.rx_queues;
  status.tx_queues = queues.tx_queues;
  if (entry.twin) status.twin = entry.twin->name();
  status.rx_packets = stats.rx_packets;
  status.tx_packets = stats.tx_packets;
  status.rx_bytes = stats.rx_bytes;
  status.tx_bytes = stats.tx_bytes;
  status.rx_missed = stats.rx_missed;
  status.rx_errors = stats.rx_errors;
  status.rx_no_mbuf = stats.rx_no_mbuf;
  status.tx_errors = stats.tx_errors;
  return status;
}

// Frames between workers and the kernel, over all twins.
std::vector<NamedCount> twin_counts(std::span<const dataplane::TwinCounters> twins) {
  NamedCount to_kernel{"twin_to_kernel", 0};
  NamedCount from_kernel{"twin_from_kernel", 0};
  std::vector<NamedCount> drops;
  drops.reserve(std::size(dataplane::twin_drop_table));
  for (const dataplane::TwinDropInfo& drop : dataplane::twin_drop_table) {
    drops.push_back({fmt::format("twin_drop_{}", drop.name), 0});
  }
  for (const dataplane::TwinCounters& twin : twins) {
    for (const auto& count : twin.to_kernel)
      to_kernel.count += count.load();
    from_kernel.count += twin.from_kernel.load();
    for (size_t i = 0; i < drops.size(); ++i)
      drops[i].count += twin.drops[i].load();
  }
  std::vector<NamedCount> counts{to_kernel, from_kernel};
  counts.insert(counts.end(), drops.begin(), drops.end());
  return counts;
}

void add_probe_counts(const dataplane::ProbeCounters* probes, std::vector<NamedCount>& counts) {
  if (probes == nullptr) return;
  for (size_t i = 0; i < probes->size(); ++i) {
    counts.push_back(
        {fmt::format("probe_{}", dataplane::probe_count_table[i].name), (*probes)[i].load()});
  }
}

}  // namespace

void override_config(const DaemonOptions& options, config::Config& config) {
  if (options.run_dir) config.daemon.run_dir = *options.run_dir;
  if (options.socket) config.daemon.socket = *options.socket;
  if (options.verbose) config.daemon.log_level = config::LogLevel::debug;
}

std::expected<std::unique_ptr<Daemon>, Error> Daemon::start(const DaemonOptions& options,
                                                            const config::Reading& reading) {
  std::unique_ptr<Daemon> daemon(new Daemon(options, reading));
  using Step = Done (Daemon::*)();
  static constexpr Step steps[] = {
      &Daemon::take_run_directory,
      &Daemon::choose_cores,
      &Daemon::make_region,
      &Daemon::open_ports,
      &Daemon::configure_twins,
      &Daemon::look_up_users,
      &Daemon::begin_health,
      &Daemon::publish_first_snapshot,
      &Daemon::start_workers,
      &Daemon::start_vrrp,
      &Daemon::listen,
  };
  for (const Step step : steps) {
    if (auto done = ((*daemon).*step)(); !done) return std::unexpected(done.error());
  }
  return daemon;
}

Daemon::Daemon(DaemonOptions options, const config::Reading& reading)
    : options_(std::move(options)), config_(reading.config), start_ns_(monotonic_ns()) {
  std::signal(SIGPIPE, SIG_IGN);  // a log that nobody reads ends nothing
  std::signal(SIGXFSZ, SIG_IGN);  // nor does one that may not grow any more
  override_config(options_, config_);
  Log::get().set_level(log_level(config_.daemon.log_level));
  for (const config::Error& warning : reading.warnings) {
    warnings_.push_back(config::to_string(warning));
    log_warning("{}", warnings_.back());
  }
}

Daemon::Done Daemon::take_run_directory() {
  auto taken = RunDirectory::take(config_.daemon.run_dir);
  if (!taken) return std::unexpected(taken.error());
  run_directory_.emplace(std::move(*taken));
  return {};
}

// The file's, or all that this process may run on but the first, which is left to control and to
// everything else on the machine. Without ports there is nothing to poll: no workers.
Daemon::Done Daemon::choose_cores() {
  if (config_.ports.empty()) return {};
  const std::vector<uint16_t> usable = dataplane::usable_cores();
  if (config_.workers.cores) {
    cores_ = *config_.workers.cores;
  } else {
    cores_ = usable;
    if (cores_.size() > 1) cores_.erase(cores_.begin());
  }
  for (const uint16_t core : cores_) {
    if (std::ranges::find(usable, core) == usable.end()) {
      return std::unexpected(
          Error{fmt::format("workers.cores: core {} is not one that this process may run on: {}",
                            core, list_of(usable))});
    }
  }
  leave_cores_to_workers(usable);
  return {};
}

// This thread, the helper pool and whatever they start run beside the workers where they can: a
// polling worker and the control thread on one core would hold each other up.
void Daemon::leave_cores_to_workers(const std::vector<uint16_t>& usable) {
  std::vector<uint16_t> others;
  for (const uint16_t core : usable) {
    if (std::ranges::find(cores_, core) == cores_.end()) others.push_back(core);
  }
  if (others.empty()) return;
  run_on(others);
  asio::post(pool_, [others] { run_on(others); });
}

Daemon::Done Daemon::make_region() {
  const auto workers = static_cast<uint32_t>(cores_.size());
  dataplane::ConnTableLimits table{.capacity4 = config_.connections.max_ipv4,
                                   .capacity6 = config_.connections.max_ipv6,
                                   .workers = workers,
                                   .other_actors = 1};
  RegionPages pages = region_pages(config_.memory.huge_pages);
  if (workers == 0) {  // all but nothing, and no huge pages for it
    table = {unused_table_entries, unused_table_entries, 1, 1};
    pages = RegionPages::plain;
  }
  const config::Memory& memory = config_.memory;
  const uint64_t snapshot_bytes =
      memory.snapshot_mb
          ? uint64_t{*memory.snapshot_mb} << 20
          : default_snapshot_bytes(
                memory.max_services, memory.max_backends,
                config_.forwarding.maglev_table_size.value_or(dataplane::maglev_default_table),
                pages);
  auto region =
      RegionMemory::create({.workers = workers,
                            .max_services = memory.max_services,
                            .max_backends = memory.max_backends,
                            .reserved = 0,
                            .snapshot_bytes = snapshot_bytes,
                            .connection_bytes = dataplane::ConnTable::bytes_needed(table)},
                           pages);
  if (!region) return std::unexpected(region.error());
  region_.emplace(std::move(*region));
  grace_ = std::make_unique<dataplane::GracePeriod>(table.workers + 1);
  const dataplane::RegionArea area = region_->header().connections;
  auto connections =
      dataplane::ConnTable::create({region_->view().base() + area.offset, area.bytes}, table,
                                   random_value<dataplane::HashSeed>(), *grace_);
  if (!connections) return std::unexpected(Error{connections.error()});
  connections_.emplace(std::move(*connections));
  log_info("region of {} MB on {} kB pages, {} IPv4 and {} IPv6 connections",
           region_->bytes() >> 20, region_->page_bytes() >> 10, table.capacity4, table.capacity6);
  return {};
}

Daemon::Done Daemon::open_ports() {
  auto ports = PortSet::open(config_, static_cast<uint16_t>(cores_.size()));
  if (!ports) return std::unexpected(ports.error());
  ports_ = std::move(*ports);
  for (const std::string& note : ports_->notes())
    log_info("{}", note);
  return {};
}

Daemon::Done Daemon::configure_twins() {
  if (config_.ports.empty()) return {};
  auto network = TwinNetwork::open();
  if (!network) return std::unexpected(network.error());
  twin_network_.emplace(std::move(*network));
  const std::vector<Error> errors = twin_network_->apply(ports_->twin_network(config_));
  if (!errors.empty()) return std::unexpected(errors.front());
  auto mirror = KernelMirror::open(ports_->kernel_indexes());
  if (!mirror) return std::unexpected(mirror.error());
  mirror_ = std::move(*mirror);
  return {};
}

Daemon::Done Daemon::publish_first_snapshot() {
  const uint32_t actor = grace_->readers() - 1;
  state_ =
      std::make_unique<State>(region_->view(), *connections_, *grace_, actor, ports_->interfaces());
  state_->config_path = options_.config_path;
  state_->foreign = options_.foreign;
  state_->override_config = [options = options_](config::Config& config) {
    override_config(options, config);
  };
  state_->audit.write_to(config_.daemon.audit_log_path());
  describe_surroundings();
  changes_ = std::make_unique<Changes>(loop_, pool_, *state_);
  const auto published =
      changes_->publish_first(config_, warnings_, mirror_ ? mirror_->state() : KernelState{},
                              ownership_at_start(config_.vrrp), std::move(first_pools_));
  if (!published) return std::unexpected(published.error());
  return {};
}

Daemon::Done Daemon::start_workers() {
  if (cores_.empty()) return {};
  WorkerSetOptions options;
  options.cores = cores_;
  options.adaptive = config_.daemon.idle == config::Idle::adaptive;
  options.start_ns = start_ns_;
  options.seed = random_value<uint64_t>();
  auto workers = WorkerSet::create(region_->view(), *connections_, *grace_, *ports_, options);
  if (!workers) return std::unexpected(workers.error());
  workers_ = std::move(*workers);
  if (auto started = workers_->start(); !started) return std::unexpected(started.error());
  feed_ = std::make_unique<KernelFeed>(loop_, std::move(mirror_), *state_, *changes_, *workers_);
  return {};
}

Daemon::Done Daemon::listen() {
  commands_ = std::make_unique<Commands>(loop_, pool_, *state_, *changes_);
  const std::string path = config_.daemon.socket_path();
  auto server =
      CliServer::listen(loop_, path, config_.daemon.socket_mode,
                        [this](Peer peer, protocol::Request request, SendRows send) {
                          return commands_->run(peer, std::move(request), std::move(send));
                        });
  if (!server) return std::unexpected(server.error());
  server_ = std::move(*server);
  changes_->on_commit([this](const EditScope& scope) { committed(scope); });
  changes_->start();
  refresh_probes();
  return {};
}

void Daemon::describe_surroundings() {
  Surroundings& surroundings = state_->surroundings;
  surroundings.ports = [this] {
    std::vector<PortStatus> list;
    list.reserve(ports_->ports().size());
    for (size_t i = 0; i < ports_->ports().size(); ++i) {
      list.push_back(status_of(ports_->ports()[i], ports_->plan().ports[i]));
    }
    return list;
  };
  surroundings.more_counts = [this] {
    std::vector<NamedCount> counts;
    if (workers_) {
      counts = twin_counts(workers_->twin_counters());
      add_probe_counts(workers_->probe_counters(), counts);
    }
    counts.push_back({"audit_lines_lost", state_->audit.lost()});
    return counts;
  };
  surroundings.now = [this] { return dataplane::moment_now(start_ns_).tick; };
  surroundings.cores = cores_;
  surroundings.interfaces = ports_->interface_names();
  surroundings.dpdk_version = rte_version();
  surroundings.health = health_control();
}

// Of notify and check scripts, once for all who run them.
Daemon::Done Daemon::look_up_users() {
  auto programs = Programs::prepare(config_);
  if (!programs) return std::unexpected(programs.error());
  programs_ = std::move(*programs);
  return {};
}

// A new snapshot is out: what the kernel has to keep for it may have changed.
void Daemon::committed(const EditScope& scope) {
  if (feed_) feed_->refresh();
  add(unfollowed_, scope);
  if (!follows_ && followed_config_ != state_->config) {
    follows_ = true;
    asio::co_spawn(loop_, follow_config(), [this](const std::exception_ptr& error) {
      follows_ = false;
      if (error) std::rethrow_exception(error);
    });
  }
  const config::Config& config = *state_->config;
  Log::get().set_level(log_level(config.daemon.log_level));
  state_->audit.write_to(config.daemon.audit_log_path());
  if (config.ports == config_.ports) return;
  config_.ports = config.ports;
  for (const Error& error : twin_network_->apply(ports_->twin_network(config))) {
    log_error("{}", error.text);
  }
}

// Users are looked up on the helper pool: a name service may be slow. What comes meanwhile is seen
// at the next turn.
asio::awaitable<void> Daemon::follow_config() {
  while (followed_config_ != state_->config) {
    const auto config = state_->config;
    const EditScope scope = std::exchange(unfollowed_, {});
    auto work = [config] { return Programs::prepare(*config); };
    auto programs = co_await offload(pool_, std::move(work));
    followed_config_ = config;
    if (programs) {
      programs_ = std::move(*programs);
      follow_vrrp();
    } else {
      log_error("{}", programs.error().text);
    }
    health_->follow(config, scope, programs_);
  }
}

void Daemon::wait_for_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) {
      const char* name = signal == SIGTERM ? "SIGTERM" : "SIGINT";
      log_info("{}: stopping", name);
      std::string why = name;
      if (const auto pending = commands_->pending().status()) {
        why += fmt::format("; {} was not confirmed", pending->file);
      }
      audit(AuditSource::daemon, "stop", std::move(why));
      loop_.stop();
      return;
    }
    reload_asked_ = true;
    if (!reloads_) start_reload();
    wait_for_signals();
  });
}

void Daemon::start_reload() {
  reloads_ = true;
  asio::co_spawn(loop_, reload_after_signal(), [this](const std::exception_ptr& error) {
    reloads_ = false;
    if (error) std::rethrow_exception(error);
  });
}

// Signals that arrive during a reload are one more reload together, however many they are.
asio::awaitable<void> Daemon::reload_after_signal() {
  while (reload_asked_) {
    reload_asked_ = false;
    state_->audit.reopen();
    const auto outcome = co_await reload(*state_, *changes_, pool_, std::nullopt);
    log_outcome("SIGHUP", outcome);
    AuditEntry entry;
    entry.source = AuditSource::signal;
    entry.command = "SIGHUP";
    put_outcome(entry, outcome);
    state_->audit.write(entry);
  }
}

void Daemon::audit(AuditSource source, std::string command, std::string outcome) {
  AuditEntry entry;
  entry.source = source;
  entry.command = std::move(command);
  entry.outcome = std::move(outcome);
  state_->audit.write(entry);
}

void Daemon::run() {
  wait_for_signals();
  if (cores_.empty()) {
    log_info("ready: without ports and workers, listening at {}", config_.daemon.socket_path());
  } else {
    log_info("ready: {} services, {} workers on cores {}, listening at {}", config_.services.size(),
             cores_.size(), list_of(cores_), config_.daemon.socket_path());
  }
  audit(AuditSource::daemon, "start",
        fmt::format("headgated {} runs {}, process {}", HEADGATE_VERSION, state_->config_path,
                    getpid()));
  run_loop();
  stop();
}

// Traffic goes on whatever happens to one command.
void Daemon::run_loop() {
  while (!loop_.stopped()) {
    try {
      loop_.run();
    } catch (const std::exception& exception) {
      log_error("on the control thread: {}", exception.what());
    }
  }
}

// Runs the loop until `work` has ended, for a last time: so long at least, and bounded.
void Daemon::finish_on_loop(asio::awaitable<void> work, std::chrono::milliseconds at_least) {
  const auto done = std::make_shared<bool>(false);  // the loop may run longer than this
  asio::co_spawn(loop_, std::move(work),
                 [done](const std::exception_ptr& /*error*/) { *done = true; });
  loop_.restart();
  loop_.run_for(at_least);
  const auto deadline = std::chrono::steady_clock::now() + 2 * last_scripts_patience;
  while (!*done && std::chrono::steady_clock::now() < deadline)
    loop_.run_one_for(std::chrono::milliseconds(100));
}

// What is under way on the loop is ended while everything that it refers to is still there.
void Daemon::stop() {
  // A second SIGTERM changes nothing; a second SIGINT ends the process at once.
  signals_.remove(SIGINT);
  leave_vrrp();
  leave_health();
  server_.reset();
  feed_.reset();
  const auto deadline = std::chrono::steady_clock::now() + stop_patience;
  while (!changes_->stop() && std::chrono::steady_clock::now() < deadline) {
    loop_.restart();
    loop_.run_for(std::chrono::milliseconds(20));
  }
  pool_.join();
  loop_.restart();
  loop_.poll();
  if (workers_) workers_->stop();
  log_info("stopped");
}

Daemon::~Daemon() {
  if (workers_) workers_->stop();
}

}  // namespace headgate::control
