#include "control/vrrp/vrrp_manager.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "control/log.h"
#include "control/mailer.h"
#include "control/notify_fifo.h"
#include "control/vrrp/file_tracker.h"
#include "control/vrrp/notifier.h"
#include "control/vrrp/process_tracker.h"
#include "control/vrrp/script_tracker.h"
#include "control/vrrp/transition_mail.h"
#include "control/vrrp/vrrp_thread.h"
#include "control/worker_watch.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds watch_period{100};

// One that has a backend which takes connections.
bool is_up(const config::Service& service) {
  return std::ranges::any_of(service.backends, config::takes_part);
}

}  // namespace

struct VrrpManager::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& its_loop, VrrpEnvironment its_environment)
      : loop(its_loop), environment(std::move(its_environment)) {}

  std::expected<void, Error> start_thread();
  void configure_trackers(const config::Vrrp& vrrp);
  void tell_services(const config::Config& config);
  void tell_service(const config::Service& service);
  void notify(const Notification& notification);
  void watch();

  asio::io_context& loop;
  VrrpEnvironment environment;
  config::Vrrp vrrp;
  std::string router_id;
  std::shared_ptr<const Programs> programs;

  std::unique_ptr<VrrpThread> thread;
  std::optional<ScriptTracker> scripts;
  std::optional<FileTracker> files;
  std::optional<ProcessTracker> processes;
  std::optional<Notifier> notifier;
  std::unique_ptr<NotifyFifo> fifo;
  std::optional<Mailer> mailer;
  asio::steady_timer timer{loop};
  WorkerWatch workers;
  std::string worker_trouble;
  std::map<std::string, bool> links;
  std::map<std::string, bool> services;
  bool left = false;
};

VrrpManager::VrrpManager(asio::io_context& loop, VrrpEnvironment environment)
    : impl_(std::make_shared<Impl>(loop, std::move(environment))) {}

VrrpManager::~VrrpManager() {
  impl_->timer.cancel();
  impl_->thread.reset();
}

std::expected<void, Error> VrrpManager::configure(const config::Config& config,
                                                  const std::shared_ptr<const Programs>& programs) {
  Impl& impl = *impl_;
  if (impl.left) return {};  // a reload that was under way as the daemon was told to stop
  if (!impl.thread) {
    if (config.vrrp.instances.empty()) {
      remove_stale_addresses(impl.environment.state_path);
      return {};
    }
    if (auto started = impl.start_thread(); !started) return started;
  }
  impl.router_id = config.vrrp.router_id.value_or(config.daemon.name);
  impl.tell_services(config);
  if (config.vrrp == impl.vrrp && impl.programs) return {};
  if (auto opened = follow_path(impl.fifo, config.vrrp.notify_fifo, "vrrp.notify_fifo"); !opened) {
    return opened;
  }
  impl.vrrp = config.vrrp;
  impl.programs = programs;
  impl.notifier->set_programs(programs);
  follow_settings(impl.mailer, config.vrrp.mail);
  impl.configure_trackers(config.vrrp);
  impl.thread->configure(plan_vrrp(config));
  return {};
}

void VrrpManager::service_changed(const config::Service& service) {
  if (impl_->thread && !impl_->left) impl_->tell_service(service);
}

bool VrrpManager::runs() const {
  return impl_->thread != nullptr;
}

asio::awaitable<VrrpStatus> VrrpManager::status() {
  return impl_->thread->status();
}

asio::awaitable<std::expected<std::string, Error>> VrrpManager::failover(std::string name) {
  return impl_->thread->failover(std::move(name));
}

asio::awaitable<std::expected<std::string, Error>> VrrpManager::maintenance(bool on) {
  return impl_->thread->maintenance(on);
}

void VrrpManager::leave() {
  impl_->left = true;
  impl_->timer.cancel();
  impl_->scripts.reset();
  impl_->files.reset();
  impl_->processes.reset();
  if (impl_->thread) impl_->thread->stop();
}

asio::awaitable<void> VrrpManager::finish(std::chrono::milliseconds bound) {
  if (impl_->notifier) co_await impl_->notifier->finish(bound);
}

std::expected<void, Error> VrrpManager::Impl::start_thread() {
  VrrpHooks hooks;
  hooks.set_ownership = environment.set_ownership;
  // The last of them come when the manager is about to go.
  hooks.notify = [self = weak_from_this()](const Notification& notification) {
    if (const auto impl = self.lock()) impl->notify(notification);
  };
  auto started = VrrpThread::start(loop, environment.state_path, environment.devices_beneath,
                                   std::move(hooks));
  if (!started) return std::unexpected(started.error());
  thread = std::move(*started);
  notifier.emplace(loop);
  scripts.emplace(loop, [this](const std::string& name, bool up, const std::string& reason) {
    if (thread) thread->tracked(TrackedKind::script, name, {up, up ? "" : reason});
  });
  files.emplace(loop, [this](const std::string& name, int32_t value) {
    if (thread) thread->tracked(TrackedKind::file, name, {value, ""});
  });
  processes.emplace(loop, [this](const std::string& name, bool up) {
    if (thread) thread->tracked(TrackedKind::process, name, {up, ""});
  });
  watch();
  return {};
}

// The values that are known at once are told at once, so that what starts up does not start down.
void VrrpManager::Impl::configure_trackers(const config::Vrrp& wanted) {
  scripts->configure(wanted.scripts, programs);
  files->configure(wanted.files);
  processes->configure(wanted.processes);
  for (const config::VrrpScript& script : wanted.scripts) {
    const bool up = scripts->up(script.name);
    const std::string text = scripts->known(script.name) ? "" : "no result yet";
    thread->tracked(TrackedKind::script, script.name, {up, up ? "" : text});
  }
  for (const config::VrrpFile& file : wanted.files)
    thread->tracked(TrackedKind::file, file.name, {files->value(file.name), ""});
  for (const config::VrrpProcess& process : wanted.processes)
    thread->tracked(TrackedKind::process, process.name, {processes->up(process.name), ""});
}

void VrrpManager::Impl::tell_services(const config::Config& config) {
  std::set<std::string> names;
  for (const config::Service& service : config.services) {
    names.insert(config::name_of(service));
    tell_service(service);
  }
  std::erase_if(services, [&](const auto& entry) {
    const bool gone = !names.contains(entry.first);
    if (gone) thread->tracked(TrackedKind::service, entry.first, {0, ""});
    return gone;
  });
}

void VrrpManager::Impl::tell_service(const config::Service& service) {
  const std::string name = config::name_of(service);
  const bool up = is_up(service) && environment.service_up(config::key_of(service));
  const auto [known, is_new] = services.try_emplace(name, !up);
  if (std::exchange(known->second, up) == up && !is_new) return;
  thread->tracked(TrackedKind::service, name, {up, ""});
}

void VrrpManager::Impl::notify(const Notification& notification) {
  notifier->notify(notification);
  if (fifo) fifo->write(fifo_line(notification));
  if (mailer && notification.settings.mail) mailer->send(transition_mail(router_id, notification));
}

// Links and workers, some times a second.
void VrrpManager::Impl::watch() {
  for (const auto& [interface, up] : environment.port_links()) {
    const auto [known, is_new] = links.try_emplace(interface, up);
    if (std::exchange(known->second, up) == up && !is_new) continue;
    thread->port_link(interface, up);
  }
  std::string trouble = workers.sample(environment.worker_polls(), environment.worker_cores,
                                       std::chrono::steady_clock::now());
  if (std::exchange(worker_trouble, trouble) != trouble) thread->worker_trouble(trouble);
  timer.expires_after(watch_period);
  timer.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
    const auto impl = self.lock();
    if (!error && impl && impl->thread && !impl->left) impl->watch();
  });
}

}  // namespace headgate::control
