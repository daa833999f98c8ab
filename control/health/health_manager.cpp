#include "control/health/health_manager.h"

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/health/check_files.h"
#include "control/health/health_notifier.h"
#include "control/health/health_state.h"
#include "control/health/passive_watch.h"
#include "control/health/probe_runner.h"
#include "control/log.h"
#include "control/offload.h"

namespace headgate::control {

namespace asio = boost::asio;
using boost::system::error_code;
using config::Config;
using config::ServiceKey;
using std::chrono::milliseconds;

namespace {

// Results that arrive so close together make one snapshot.
constexpr milliseconds settle_delay{2};
constexpr milliseconds save_delay{1000};
constexpr milliseconds passive_period{200};
// Backends that are looked at in one go on the loop.
constexpr size_t backends_in_one_go = 400;

Moment moment_now() {
  const auto ms = [](auto time) {
    return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
  };
  return {.steady_ms = ms(std::chrono::steady_clock::now()),
          .wall_ms = ms(std::chrono::system_clock::now())};
}

void log_event(const HealthEvent& event) {
  const std::string service = to_string(event.service);
  const char* const state = event.up ? "up" : "down";
  if (!event.backend) {
    log_warning("service {}: quorum {}: {}", service, event.up ? "reached" : "lost", event.reason);
  } else if (event.up) {
    log_info("backend {} of {} is {}: {}", to_string(*event.backend), service, state, event.reason);
  } else {
    log_warning("backend {} of {} is {}: {}", to_string(*event.backend), service, state,
                event.reason);
  }
}

// A very large outage has more lines than anyone reads.
void log_events(const std::vector<HealthEvent>& events) {
  constexpr size_t most = 50;
  for (size_t i = 0; i < std::min(events.size(), most); ++i)
    log_event(events[i]);
  if (events.size() > most) log_warning("health: {} more changes", events.size() - most);
}

std::string state_path_of(const Config& config) {
  return config.health.state_file.value_or(config.daemon.run_dir + "/health-state");
}

}  // namespace

struct HealthManager::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& its_loop, asio::thread_pool& its_pool, HealthEnvironment its_environment)
      : loop(its_loop),
        pool(its_pool),
        environment(std::move(its_environment)),
        runner(its_loop, its_pool,
               [this](ProbeId id, const ProbeOutcome& outcome) { return report(id, outcome); }),
        notifier(its_loop),
        settle_timer(its_loop),
        ramp_timer(its_loop),
        save_timer(its_loop),
        passive_timer(its_loop) {}

  std::expected<PoolViews, Error> begin(const std::shared_ptr<const Config>& config,
                                        std::shared_ptr<const Programs> its_programs);
  std::expected<void, Error> take(const std::shared_ptr<const Config>& its_config,
                                  std::shared_ptr<const Programs> its_programs);
  void follow(const std::shared_ptr<const Config>& config, const EditScope& scope,
              std::shared_ptr<const Programs> its_programs);
  asio::awaitable<void> follow_all();
  asio::awaitable<void> put_all(std::shared_ptr<const Config> config);
  void put_named(const Config& config, const std::set<ServiceKey>& keys);
  void put(const config::Service& service, Update& update);
  milliseconds report(ProbeId id, const ProbeOutcome& outcome);
  void apply(const Update& update);
  ProbeOrder order_of(ProbeId id);
  void end(ProbeId id);
  PoolViews views_of(const std::vector<ServiceKey>& keys) const;
  void tell(const std::vector<HealthEvent>& events);
  void schedule();
  void settle_soon();
  void settle();
  void ramp();
  void save_soon();
  asio::awaitable<std::vector<SavedService>> collect();
  asio::awaitable<void> save();
  void watch_passive();
  asio::awaitable<void> look_at_traffic();
  void tell_of_end();
  asio::awaitable<void> finish(milliseconds bound);

  asio::io_context& loop;
  asio::thread_pool& pool;
  HealthEnvironment environment;
  HealthBook book;
  ProbeRunner runner;
  HealthNotifier notifier;
  PassiveWatch passive;
  std::set<ServiceKey> passive_services;
  std::map<ProbeId, DataPath> data_paths;  // whose probes have a target
  bool data_paths_changed = false;
  std::shared_ptr<const Programs> programs;
  std::shared_ptr<const Config> config;

  bool follow_everything = false;
  std::set<ServiceKey> follow_services;
  bool follows = false;

  asio::steady_timer settle_timer;
  asio::steady_timer ramp_timer;
  asio::steady_timer save_timer;
  asio::steady_timer passive_timer;
  Update waiting;  // of results, until they are settled
  bool settles = false;
  bool ramps = false;
  bool saves = false;
  bool save_again = false;
  bool stopped = false;
};

std::expected<PoolViews, Error> HealthManager::Impl::begin(
    const std::shared_ptr<const Config>& its_config, std::shared_ptr<const Programs> its_programs) {
  if (auto usable = check_files(*its_config); !usable) return std::unexpected(usable.error());
  if (auto done = take(its_config, std::move(its_programs)); !done) {
    return std::unexpected(done.error());
  }
  auto saved = read_health_state(state_path_of(*config));
  if (saved) {
    book.restore(std::move(*saved));
  } else {
    log_warning("what was known of backends is lost: {}", saved.error().text);
  }
  Update update;
  for (const config::Service& service : config->services)
    put(service, update);
  PoolViews views = views_of(update.pools);
  update.pools.clear();
  apply(update);
  watch_passive();
  return views;
}

std::expected<void, Error> HealthManager::Impl::take(
    const std::shared_ptr<const Config>& its_config, std::shared_ptr<const Programs> its_programs) {
  config = its_config;
  programs = std::move(its_programs);
  runner.set_scripts_at_once(config->health.scripts_at_once);
  return notifier.configure(*config, programs);
}

void HealthManager::Impl::put(const config::Service& service, Update& update) {
  book.put_service(service, moment_now(), update);
  const ServiceKey key = config::key_of(service);
  if (service.passive) {
    passive_services.insert(key);
  } else {
    passive_services.erase(key);
  }
}

void HealthManager::Impl::follow(const std::shared_ptr<const Config>& its_config,
                                 const EditScope& scope,
                                 std::shared_ptr<const Programs> its_programs) {
  if (auto done = take(its_config, std::move(its_programs)); !done) {
    log_error("health: {}", done.error().text);
  }
  follow_everything |= scope.everything || scope.settings;
  follow_services.insert(scope.services.begin(), scope.services.end());
  if (follows || stopped || (!follow_everything && follow_services.empty())) return;
  follows = true;
  asio::co_spawn(loop, follow_all(), [self = shared_from_this()](const std::exception_ptr& error) {
    self->follows = false;
    if (error) std::rethrow_exception(error);
  });
}

// What comes meanwhile is seen at the next turn.
asio::awaitable<void> HealthManager::Impl::follow_all() {
  while ((follow_everything || !follow_services.empty()) && !stopped) {
    const bool everything = std::exchange(follow_everything, false);
    const std::set<ServiceKey> keys = std::exchange(follow_services, {});
    const std::shared_ptr<const Config> wanted = config;
    if (everything) {
      co_await put_all(wanted);
    } else {
      put_named(*wanted, keys);
    }
    watch_passive();
  }
}

asio::awaitable<void> HealthManager::Impl::put_all(std::shared_ptr<const Config> wanted) {
  std::set<ServiceKey> gone;
  for (const ServiceKey& key : book.services())
    gone.insert(key);
  size_t looked_at = 0;
  for (const config::Service& service : wanted->services) {
    const ServiceKey key = config::key_of(service);
    gone.erase(key);
    const config::Service* known = book.service(key);
    if (known == nullptr || *known != service) {
      Update update;
      put(service, update);
      apply(update);
      looked_at += service.backends.size() * 4;
    }
    looked_at += service.backends.size() + 1;
    if (looked_at < backends_in_one_go) continue;
    looked_at = 0;
    co_await yield_to_loop();
    if (stopped) co_return;
  }
  put_named(Config{}, gone);
}

void HealthManager::Impl::put_named(const Config& wanted, const std::set<ServiceKey>& keys) {
  std::set<ServiceKey> left = keys;
  Update update;
  for (const config::Service& service : wanted.services) {
    const ServiceKey key = config::key_of(service);
    if (left.erase(key) == 0) continue;
    put(service, update);
  }
  for (const ServiceKey& key : left) {
    book.remove_service(key, update);
    passive_services.erase(key);
    passive.forget(key);
  }
  apply(update);
}

milliseconds HealthManager::Impl::report(ProbeId id, const ProbeOutcome& outcome) {
  const milliseconds next = book.result(id, outcome, moment_now(), waiting);
  if (!waiting.events.empty() || !book.settled()) settle_soon();
  return next;
}

void HealthManager::Impl::apply(const Update& update) {
  for (const ProbeId id : update.ended)
    end(id);
  std::vector<ProbeOrder> orders;
  orders.reserve(update.started.size());
  for (const ProbeId id : update.started)
    orders.push_back(order_of(id));
  runner.start(std::move(orders));
  if (std::exchange(data_paths_changed, false)) environment.data_path_changed();
  if (!update.pools.empty()) environment.pools_changed(views_of(update.pools));
  if (!update.events.empty()) tell(update.events);
  schedule();
}

ProbeOrder HealthManager::Impl::order_of(ProbeId id) {
  const ProbeSpec& spec = book.probe(id);
  ProbeOrder order{.id = id, .check = spec.check};
  if (spec.data_path) {
    order.target = environment.data_path_target(spec);
    if (order.target) data_paths.emplace(id, *spec.data_path);
    data_paths_changed = true;
  } else {
    order.target = spec.target;
  }
  if (spec.check.type == config::CheckType::script) {
    order.user = programs->user_of(spec.check.script.user);
  }
  return order;
}

void HealthManager::Impl::end(ProbeId id) {
  runner.end(id);
  const auto path = data_paths.find(id);
  if (path == data_paths.end()) return;
  environment.data_path_released(path->second);
  data_paths.erase(path);
  data_paths_changed = true;
}

PoolViews HealthManager::Impl::views_of(const std::vector<ServiceKey>& keys) const {
  PoolViews views;
  for (const ServiceKey& key : keys)
    views.insert_or_assign(key, book.view(key));
  return views;
}

void HealthManager::Impl::tell(const std::vector<HealthEvent>& events) {
  log_events(events);
  for (const HealthEvent& event : events) {
    if (const config::Service* service = book.service(event.service)) {
      notifier.tell(event, *service);
    }
  }
  environment.told(events);
  save_soon();
}

// With what else comes in the next moment: a thousand backends that fall silent together make one
// snapshot, and one line in the audit log.
void HealthManager::Impl::settle_soon() {
  if (stopped || std::exchange(settles, true)) return;
  settle_timer.expires_after(settle_delay);
  settle_timer.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error) self->settle();
  });
}

void HealthManager::Impl::schedule() {
  if (stopped) return;
  if (!book.settled()) settle_soon();
  if (book.ramping() && !std::exchange(ramps, true)) {
    ramp_timer.expires_after(HealthBook::ramp_step);
    ramp_timer.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->ramp();
    });
  }
}

void HealthManager::Impl::settle() {
  settles = false;
  Update update = std::exchange(waiting, {});
  book.settle(moment_now(), update);
  apply(update);
}

void HealthManager::Impl::ramp() {
  ramps = false;
  Update update;
  book.ramp(moment_now(), update);
  apply(update);
}

void HealthManager::Impl::save_soon() {
  if (stopped) return;
  if (std::exchange(saves, true)) {
    save_again = true;
    return;
  }
  save_timer.expires_after(save_delay);
  save_timer.async_wait([self = shared_from_this()](const error_code& error) {
    if (error) return;
    asio::co_spawn(self->loop, self->save(), [self](const std::exception_ptr& failure) {
      self->saves = false;
      if (failure) std::rethrow_exception(failure);
      if (std::exchange(self->save_again, false)) self->save_soon();
    });
  });
}

asio::awaitable<std::vector<SavedService>> HealthManager::Impl::collect() {
  std::vector<SavedService> services;
  size_t looked_at = 0;
  for (const ServiceKey& key : book.services()) {
    const config::Service* service = book.service(key);
    if (service == nullptr) continue;  // gone meanwhile
    if (auto saved = book.saved(key)) services.push_back(std::move(*saved));
    looked_at += service->backends.size() + 1;
    if (looked_at < backends_in_one_go) continue;
    looked_at = 0;
    co_await yield_to_loop();
  }
  co_return services;
}

asio::awaitable<void> HealthManager::Impl::save() {
  std::vector<SavedService> services = co_await collect();
  const std::string path = state_path_of(*config);
  auto work = [path, services = std::move(services)] { return write_health_state(path, services); };
  const auto written = co_await offload(pool, std::move(work));
  if (!written) log_error("health: {}", written.error().text);
}

void HealthManager::Impl::watch_passive() {
  if (passive_services.empty() || stopped) return;
  passive_timer.expires_after(passive_period);
  passive_timer.async_wait([self = shared_from_this()](const error_code& error) {
    if (error) return;
    asio::co_spawn(self->loop, self->look_at_traffic(), [self](const std::exception_ptr& failure) {
      if (failure) std::rethrow_exception(failure);
      self->watch_passive();
    });
  });
}

asio::awaitable<void> HealthManager::Impl::look_at_traffic() {
  size_t looked_at = 0;
  for (const ServiceKey& key : std::set(passive_services)) {
    const config::Service* service = book.service(key);
    if (service == nullptr) continue;
    const std::vector<uint64_t> failures = environment.failures(*service);
    for (const size_t i : passive.look(*service, failures, moment_now().steady_ms)) {
      const config::BackendKey backend = config::key_of(service->backends[i]);
      log_info("backend {} of {} is suspect: its connections are refused or stay unanswered",
               to_string(backend), to_string(key));
      for (const ProbeId id : book.probes_of(key, backend))
        runner.hurry(id);
    }
    looked_at += service->backends.size() + 1;
    if (looked_at < backends_in_one_go) continue;
    looked_at = 0;
    co_await yield_to_loop();
  }
}

// keepalived's omega.
void HealthManager::Impl::tell_of_end() {
  const WallMs now = moment_now().wall_ms;
  for (const ServiceKey& key : book.services()) {
    const config::Service* service = book.service(key);
    if (!service->notify.at_stop || !has_pool(*service)) continue;
    for (const config::Backend& backend : service->backends) {
      const BackendLife* life = book.life(key, config::key_of(backend));
      if (life == nullptr || !life->up || !backend.enabled) continue;
      HealthEvent event{.service = key, .backend = config::key_of(backend)};
      event.reason = "the daemon ends";
      event.at = now;
      notifier.tell(event, *service);
    }
    HealthEvent event{.service = key, .backend = std::nullopt};
    event.reason = "the daemon ends";
    event.at = now;
    notifier.tell(event, *service);
  }
}

asio::awaitable<void> HealthManager::Impl::finish(milliseconds bound) {
  stopped = true;
  for (asio::steady_timer* timer : {&settle_timer, &ramp_timer, &save_timer, &passive_timer})
    timer->cancel();
  tell_of_end();
  const std::vector<SavedService> services = co_await collect();
  const auto written = write_health_state(state_path_of(*config), services);
  if (!written) log_error("health: {}", written.error().text);
  co_await notifier.finish(bound);
  asio::steady_timer timer(loop);
  error_code ignored;
  while (!runner.stop()) {
    timer.expires_after(milliseconds(2));
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

HealthManager::HealthManager(asio::io_context& loop, asio::thread_pool& pool,
                             HealthEnvironment environment)
    : impl_(std::make_shared<Impl>(loop, pool, std::move(environment))) {}

HealthManager::~HealthManager() {
  impl_->stopped = true;
}

std::expected<PoolViews, Error> HealthManager::begin(const std::shared_ptr<const Config>& config,
                                                     std::shared_ptr<const Programs> programs) {
  return impl_->begin(config, std::move(programs));
}

void HealthManager::follow(const std::shared_ptr<const Config>& config, const EditScope& scope,
                           std::shared_ptr<const Programs> programs) {
  impl_->follow(config, scope, std::move(programs));
}

const HealthBook& HealthManager::book() const {
  return impl_->book;
}

HealthCounts HealthManager::counts() const {
  return impl_->runner.counts();
}

bool HealthManager::check_now(const ServiceKey& service, const config::BackendKey& backend) {
  const std::vector<ProbeId> probes = impl_->book.probes_of(service, backend);
  for (const ProbeId id : probes)
    impl_->runner.hurry(id);
  return !probes.empty();
}

asio::awaitable<void> HealthManager::finish(milliseconds bound) {
  return impl_->finish(bound);
}

}  // namespace headgate::control
