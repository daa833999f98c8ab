// The daemon's side of health: what it needs of workers, snapshot and virtual routers.
#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

#include "control/daemon.h"
#include "control/show_rows.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// A socket for each check under way: as many as this process may have.
void allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Daemon::Done Daemon::begin_health() {
  allow_many_files();
  data_path_checks_ = std::make_unique<DataPathChecks>(
      ProbeNetworks{config_.health.probe_network_v4, config_.health.probe_network_v6},
      [this] { return probe_twin(); });
  health_ = std::make_unique<HealthManager>(loop_, pool_, health_environment());
  auto views = health_->begin(std::make_shared<const config::Config>(config_), programs_);
  if (!views) return std::unexpected(views.error());
  first_pools_ = std::move(*views);
  return {};
}

HealthEnvironment Daemon::health_environment() {
  HealthEnvironment environment;
  environment.pools_changed = [this](const PoolViews& views) {
    if (changes_) changes_->pools_changed(views);
  };
  environment.told = [this](const std::vector<HealthEvent>& events) { health_changed(events); };
  environment.data_path_target = [this](const ProbeSpec& spec) {
    return data_path_checks_->use(spec);
  };
  environment.data_path_released = [this](const DataPath& path) {
    data_path_checks_->release(path);
  };
  environment.data_path_changed = [this] { refresh_probes(); };
  environment.failures = [this](const config::Service& service) { return failures_of(service); };
  return environment;
}

// The first that holds an address: what probes come from.
std::expected<std::pair<int, std::string>, Error> Daemon::probe_twin() const {
  const std::vector<int> indexes = ports_->kernel_indexes();
  for (size_t i = 0; i < config_.ports.size() && i < indexes.size(); ++i) {
    const config::Port& port = config_.ports[i];
    if (port.twin.enabled && !port.twin.addresses.empty()) {
      return std::pair(indexes[i], port.twin_name());
    }
  }
  return std::unexpected(Error{"no port has a twin with an address to ask from"});
}

// Ids belong to the builder while it works: they are read in its turn. Nothing before the workers
// run: see listen().
void Daemon::refresh_probes() {
  if (!workers_ || !changes_ || sets_probes_) return;
  sets_probes_ = true;
  asio::co_spawn(loop_, set_probes(), [this](const std::exception_ptr& error) {
    sets_probes_ = false;
    if (error) std::rethrow_exception(error);
  });
}

asio::awaitable<void> Daemon::set_probes() {
  while (data_path_checks_->changed()) {
    const auto ids = std::make_shared<DataPathChecks::Ids>();
    std::function<void(const State&)> work =
        [ids, keys = data_path_checks_->wanted()](const State& state) {
          for (const DataPathChecks::Key& key : keys) {
            if (const auto id = state.builder.backend_id(key.first, key.second))
              ids->emplace(key, *id);
          }
        };
    const auto looked = co_await changes_->look(std::move(work));
    if (!looked) co_return;
    workers_->set_probes(data_path_checks_->table(*ids));
  }
}

// Virtual routers may track a service; the audit log has one line for what came together.
void Daemon::health_changed(const std::vector<HealthEvent>& events) {
  AuditEntry entry;
  entry.source = AuditSource::health;
  entry.command = "check";
  for (const HealthEvent& event : events) {
    const std::string service = to_string(event.service);
    const char* const state = event.up ? "up" : "down";
    if (event.backend) {
      entry.changes.push_back(fmt::format("services[{}].backends[{}]: {}: {}", service,
                                          to_string(*event.backend), state, event.reason));
      continue;
    }
    entry.changes.push_back(fmt::format("services[{}]: quorum {}: {}", service,
                                        event.up ? "reached" : "lost", event.reason));
    const config::Service* its = health_->book().service(event.service);
    if (its != nullptr && vrrp_) vrrp_->service_changed(*its);
  }
  entry.outcome = entry.changes.front();
  if (events.size() > 1) entry.outcome += fmt::format(" (and {} more)", events.size() - 1);
  if (state_) state_->audit.write(entry);
}

HealthControl Daemon::health_control() {
  HealthControl control;
  control.book = &health_->book();
  control.check_now = [this](const config::ServiceKey& service, const config::BackendKey& backend) {
    return health_->check_now(service, backend);
  };
  control.counts = [this] { return health_->counts(); };
  return control;
}

std::vector<uint64_t> Daemon::failures_of(const config::Service& service) const {
  std::vector<uint64_t> failures(service.backends.size());
  if (!state_) return failures;
  const dataplane::ServiceBlock* block = find_block(*state_, config::key_of(service));
  if (block == nullptr) return failures;
  uint32_t hint = 0;
  for (size_t i = 0; i < failures.size(); ++i) {
    const config::BackendKey key = config::key_of(service.backends[i]);
    const uint32_t id = find_backend_id(*state_, *block, key, hint);
    if (id == dataplane::none) continue;
    const BackendFailures its = state_->counters.failures(dataplane::backend_index(id));
    failures[i] = its.refused + its.unanswered;
  }
  return failures;
}

void Daemon::leave_health() {
  if (health_) finish_on_loop(health_->finish(last_scripts_patience), {});
}

}  // namespace headgate::control
