#include "control/vrrp/programs.h"

#include <array>
#include <string_view>

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

Done check_commands(const config::Vrrp& vrrp) {
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

Done add_user(std::map<std::string, ProgramUser>& users, const std::optional<std::string>& name) {
  if (!name || users.contains(*name)) return {};
  std::expected<ProgramUser, Error> user = resolve_user(*name);
  if (!user) return std::unexpected(user.error());
  users.emplace(*name, std::move(*user));
  return {};
}

}  // namespace

std::expected<std::shared_ptr<const VrrpPrograms>, Error> VrrpPrograms::prepare(
    const config::Vrrp& vrrp) {
  if (Done done = check_commands(vrrp); !done) return std::unexpected(done.error());
  auto programs = std::make_shared<VrrpPrograms>();
  std::vector<const std::optional<std::string>*> names{&vrrp.script_user};
  for (const config::VrrpScript& script : vrrp.scripts)
    names.push_back(&script.user);
  for (const config::VrrpInstance& instance : vrrp.instances) {
    names.push_back(&instance.notify.user);
  }
  for (const config::VrrpSyncGroup& group : vrrp.sync_groups)
    names.push_back(&group.notify.user);
  for (const std::optional<std::string>* name : names) {
    if (Done done = add_user(programs->users_, *name); !done) return std::unexpected(done.error());
  }
  programs->default_user_ =
      vrrp.script_user ? programs->users_.at(*vrrp.script_user) : default_script_user();
  return programs;
}

std::expected<std::optional<ProgramUser>, Error> VrrpPrograms::user_of(
    const std::optional<std::string>& user) const {
  if (!user) return default_user_;
  const auto found = users_.find(*user);
  if (found != users_.end()) return found->second;
  return std::unexpected(Error{fmt::format("user '{}' was not looked up", *user)});
}

}  // namespace headgate::control
