#include "control/vrrp/notifier.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace headgate::control {

namespace asio = boost::asio;

namespace {

const std::optional<std::string>& own_command(const Notification& notification) {
  switch (notification.state) {
    case NotifyState::master:
      return notification.settings.master;
    case NotifyState::backup:
      return notification.settings.backup;
    case NotifyState::fault:
      return notification.settings.fault;
    case NotifyState::stop:
      break;
  }
  return notification.settings.stop;
}

std::vector<std::string> general_arguments(const Notification& notification) {
  return {std::string(name_of(notification.kind)), notification.name,
          std::string(name_of(notification.state)), std::to_string(notification.priority)};
}

}  // namespace

Notifier::Notifier(asio::io_context& loop, NotifierOptions options)
    : queue_(loop, {.at_once = options.at_once, .queued = options.queued}), cores_(options.cores) {}

void Notifier::set_programs(std::shared_ptr<const Programs> programs) {
  programs_before_ = std::move(programs_);
  programs_ = std::move(programs);
}

void Notifier::notify(const Notification& notification) {
  add(notification, own_command(notification), {});
  add(notification, notification.settings.any, general_arguments(notification));
}

void Notifier::add(const Notification& notification, const std::optional<std::string>& command,
                   const std::vector<std::string>& arguments) {
  if (!command) return;
  const config::VrrpNotify& settings = notification.settings;
  queue_.add_command({.title = fmt::format("{} {}", name_of(notification.kind), notification.name),
                      .state = std::string(name_of(notification.state)),
                      .command = *command,
                      .arguments = arguments,
                      .shell = settings.shell,
                      .user = user_of(settings.user),
                      .timeout = std::chrono::seconds(settings.timeout_s),
                      .cores = cores_});
}

// A virtual router that a reload removed tells of its end with settings of before.
std::expected<std::optional<ProgramUser>, Error> Notifier::user_of(
    const std::optional<std::string>& name) const {
  if (!programs_) return std::unexpected(Error{"no users were looked up"});
  auto user = programs_->user_of(name);
  if (!user && programs_before_) user = programs_before_->user_of(name);
  return user;
}

}  // namespace headgate::control
