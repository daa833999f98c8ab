#include "control/health/health_notifier.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace headgate::control {

namespace {

std::string_view protocol_of(const config::ServiceKey& key) {
  return key.protocol == static_cast<uint8_t>(config::Protocol::udp) ? "udp" : "tcp";
}

std::string text_of(const config::ServiceKey& key) {
  if (key.firewall_mark != 0) return fmt::format("FWM {}", key.firewall_mark);
  return fmt::format("[{}]:{}:{}", net::to_string(key.address), protocol_of(key), key.port);
}

std::string text_of(const config::BackendKey& backend, const config::ServiceKey& service) {
  return fmt::format("[{}]:{}:{}", net::to_string(backend.address), protocol_of(service),
                     backend.port);
}

std::string_view state_of(const HealthEvent& event) {
  return event.up ? "UP" : "DOWN";
}

// Of the event: the backend's, or else the service's.
const std::optional<std::string>& own_command(const HealthEvent& event,
                                              const config::Service& service) {
  const config::ServiceNotify& notify = service.notify;
  if (!event.backend) return event.up ? notify.quorum_up : notify.quorum_down;
  const auto backend = std::ranges::find_if(service.backends, [&](const config::Backend& other) {
    return config::key_of(other) == *event.backend;
  });
  if (backend != service.backends.end() && backend->notify) {
    const auto& own = event.up ? backend->notify->up : backend->notify->down;
    if (own) return own;
  }
  return event.up ? notify.backend_up : notify.backend_down;
}

std::string line_of(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += word;
  }
  return line;
}

}  // namespace

std::vector<std::string> words_of(const HealthEvent& event) {
  const std::string state(state_of(event));
  if (!event.backend) return {"VS", text_of(event.service), state};
  return {"RS", text_of(*event.backend, event.service), text_of(event.service), state};
}

MailMessage mail_of(std::string_view router_id, const HealthEvent& event) {
  const std::string service = text_of(event.service);
  const std::string who = event.backend
                              ? fmt::format("Realserver {} of virtual server {}",
                                            text_of(*event.backend, event.service), service)
                              : fmt::format("Virtual server {}", service);
  MailMessage mail;
  mail.subject = fmt::format("[{}] {} - {}", router_id, who, state_of(event));
  mail.body = fmt::format("{}: {}\n", who, event.reason);
  return mail;
}

std::expected<void, Error> HealthNotifier::configure(const config::Config& config,
                                                     std::shared_ptr<const Programs> programs) {
  programs_ = std::move(programs);
  router_id_ = config.vrrp.router_id.value_or(config.daemon.name);
  follow_settings(mailer_, config.vrrp.mail);
  return follow_path(fifo_, config.health.notify_fifo, "health.notify_fifo");
}

void HealthNotifier::tell(const HealthEvent& event, const config::Service& service) {
  if (event.first && !service.notify.at_start) return;
  const std::vector<std::string> words = words_of(event);
  if (fifo_) fifo_->write(line_of(words));
  run(event, service, own_command(event, service), {});
  run(event, service, service.notify.any, words);
  if (mailer_ && service.notify.mail) mailer_->send(mail_of(router_id_, event));
}

void HealthNotifier::run(const HealthEvent& event, const config::Service& service,
                         const std::optional<std::string>& command,
                         const std::vector<std::string>& arguments) {
  if (!command || !programs_) return;
  const config::ServiceNotify& notify = service.notify;
  queue_.add_command({.title = text_of(event.service),
                      .state = std::string(state_of(event)),
                      .command = *command,
                      .arguments = arguments,
                      .shell = notify.shell,
                      .user = programs_->user_of(notify.user),
                      .timeout = std::chrono::seconds(notify.timeout_s),
                      .cores = std::nullopt});
}

}  // namespace headgate::control
