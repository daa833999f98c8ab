#include "control/programs.h"

#include <array>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "control/command_line.h"

namespace headgate::control {

namespace {

using Done = std::expected<void, Error>;

Done check_command(std::string_view place, const std::optional<std::string>& command, bool shell) {
  if (!command) return {};
  const auto words = command_words(*command, shell);
  if (words) return {};
  return std::unexpected(Error{fmt::format("{}: {}", place, words.error().text)});
}

Done check_notify(std::string_view place, const config::VrrpNotify& notify) {
  for (const auto* command :
       {&notify.master, &notify.backup, &notify.fault, &notify.stop, &notify.any}) {
    if (Done done = check_command(place, *command, notify.shell); !done) return done;
  }
  return {};
}

Done check_vrrp(const config::Vrrp& vrrp) {
  for (const config::VrrpScript& script : vrrp.scripts) {
    const std::string place = fmt::format("vrrp.scripts '{}'", script.name);
    if (Done done = check_command(place, script.command, script.shell); !done) return done;
  }
  for (const config::VrrpInstance& instance : vrrp.instances) {
    const std::string place = fmt::format("vrrp.instances '{}': notify", instance.name);
    if (Done done = check_notify(place, instance.notify); !done) return done;
  }
  for (const config::VrrpSyncGroup& group : vrrp.sync_groups) {
    const std::string place = fmt::format("vrrp.sync_groups '{}': notify", group.name);
    if (Done done = check_notify(place, group.notify); !done) return done;
  }
  return {};
}

Done check_scripts(std::string_view place, const std::vector<config::Check>& checks) {
  for (const config::Check& check : checks) {
    const std::string its = fmt::format("{}: checks: script.command", place);
    if (Done done = check_command(its, check.script.command, check.script.shell); !done) {
      return done;
    }
  }
  return {};
}

Done check_service(const config::Service& service) {
  const std::string place = fmt::format("service '{}'", config::name_of(service));
  const config::ServiceNotify& notify = service.notify;
  const std::string told = fmt::format("{}: notify", place);
  for (const auto* command : {&notify.backend_up, &notify.backend_down, &notify.quorum_up,
                              &notify.quorum_down, &notify.any}) {
    if (Done done = check_command(told, *command, notify.shell); !done) return done;
  }
  if (Done done = check_scripts(place, service.checks); !done) return done;
  for (const config::Backend& backend : service.backends) {
    if (!backend.notify && backend.checks.empty()) continue;
    const std::string its = fmt::format("{}: backend '{}'", place, config::name_of(backend));
    if (Done done = check_scripts(its, backend.checks); !done) return done;
    if (!backend.notify) continue;
    for (const auto* command : {&backend.notify->up, &backend.notify->down}) {
      if (Done done = check_command(its, *command, notify.shell); !done) return done;
    }
  }
  return {};
}

using UserName = const std::optional<std::string>*;

std::vector<UserName> user_names(const config::Config& config) {
  std::vector<UserName> names{&config.vrrp.script_user};
  for (const config::VrrpScript& script : config.vrrp.scripts)
    names.push_back(&script.user);
  for (const config::VrrpInstance& instance : config.vrrp.instances)
    names.push_back(&instance.notify.user);
  for (const config::VrrpSyncGroup& group : config.vrrp.sync_groups)
    names.push_back(&group.notify.user);
  for (const config::Service& service : config.services) {
    names.push_back(&service.notify.user);
    for (const config::Check& check : service.checks)
      names.push_back(&check.script.user);
    for (const config::Backend& backend : service.backends) {
      for (const config::Check& check : backend.checks)
        names.push_back(&check.script.user);
    }
  }
  return names;
}

Done add_user(std::map<std::string, ProgramUser>& users, const std::optional<std::string>& name) {
  if (!name || users.contains(*name)) return {};
  std::expected<ProgramUser, Error> user = resolve_user(*name);
  if (!user) return std::unexpected(user.error());
  users.emplace(*name, std::move(*user));
  return {};
}

}  // namespace

std::expected<std::shared_ptr<const Programs>, Error> Programs::prepare(
    const config::Config& config) {
  if (Done done = check_vrrp(config.vrrp); !done) return std::unexpected(done.error());
  for (const config::Service& service : config.services) {
    if (Done done = check_service(service); !done) return std::unexpected(done.error());
  }
  auto programs = std::make_shared<Programs>();
  for (const UserName name : user_names(config)) {
    if (Done done = add_user(programs->users_, *name); !done) return std::unexpected(done.error());
  }
  const auto& script_user = config.vrrp.script_user;
  programs->default_user_ = script_user ? programs->users_.at(*script_user) : default_script_user();
  return programs;
}

std::expected<std::optional<ProgramUser>, Error> Programs::user_of(
    const std::optional<std::string>& user) const {
  if (!user) return default_user_;
  const auto found = users_.find(*user);
  if (found != users_.end()) return found->second;
  return std::unexpected(Error{fmt::format("user '{}' was not looked up", *user)});
}

}  // namespace headgate::control
