// The commands of virtual routers. They run on a thread of their own: each command asks it through
// VrrpControl and waits for its answer, while the loop goes on.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/text.h"
#include "control/commands.h"
#include "control/log.h"
#include "control/vrrp_rows.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using protocol::Status;

namespace {

constexpr const char* not_configured =
    "no virtual router is configured: add one to `vrrp.instances`, and reload";

bool is_member(const VrrpGroupStatus& group, const std::string& name) {
  return std::ranges::find(group.members, name) != group.members.end();
}

// Keeps what `name` stands for: a virtual router with its group, or a group with its members.
// Returns false when there is neither.
bool keep_named(VrrpStatus& status, const std::string& name) {
  const auto of_group = [&](const VrrpInstanceStatus& instance) { return instance.group == name; };
  const auto named = [&](const VrrpInstanceStatus& instance) { return instance.name == name; };
  if (std::ranges::any_of(status.instances, named)) {
    std::erase_if(status.instances, [&](const auto& instance) { return !named(instance); });
    std::erase_if(status.groups, [&](const auto& group) { return !is_member(group, name); });
    return true;
  }
  std::erase_if(status.groups, [&](const auto& group) { return group.name != name; });
  std::erase_if(status.instances, [&](const auto& instance) { return !of_group(instance); });
  return !status.groups.empty();
}

Status unknown_name(const std::string& name, const std::vector<std::string>& known) {
  const std::vector<std::string_view> words(known.begin(), known.end());
  const std::string_view near = config::nearest(name, words);
  return refused(fmt::format("there is no virtual router or sync group {}{}",
                             config::in_quotes(name),
                             near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

std::vector<std::string> names_of(const VrrpStatus& status) {
  std::vector<std::string> names;
  names.reserve(status.instances.size() + status.groups.size());
  for (const VrrpInstanceStatus& instance : status.instances)
    names.push_back(instance.name);
  for (const VrrpGroupStatus& group : status.groups)
    names.push_back(group.name);
  return names;
}

asio::awaitable<Status> show_vrrp(Call& call) {
  const std::optional<std::string> name = call.arguments.text_if("name");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (!call.state.surroundings.vrrp.status) co_return refused(not_configured);
  VrrpStatus vrrp = co_await call.state.surroundings.vrrp.status();
  if (name) {
    const std::vector<std::string> known = names_of(vrrp);
    if (!keep_named(vrrp, *name)) co_return unknown_name(*name, known);
  }
  json::array rows;
  for (const VrrpInstanceStatus& instance : vrrp.instances) {
    rows.push_back(vrrp_row(instance));
    if (rows.size() == rows_per_piece) co_await call.send_rows(std::exchange(rows, {}));
  }
  if (!rows.empty()) co_await call.send_rows(std::move(rows));
  Status status;
  status.result["maintenance"] = vrrp.maintenance;
  json::array& groups = status.result["groups"].emplace_array();
  for (const VrrpGroupStatus& group : vrrp.groups)
    groups.push_back(vrrp_group_row(group));
  co_return status;
}

Status status_of(const Peer& peer, std::string_view command,
                 const std::expected<std::string, Error>& outcome) {
  if (!outcome) {
    log_warning("{} ({}): {}", command, to_string(peer), outcome.error().text);
    return refused(outcome.error().text);
  }
  log_info("{} ({}): {}", command, to_string(peer), *outcome);
  Status status;
  status.message = *outcome;
  return status;
}

asio::awaitable<Status> vrrp_failover(Call& call) {
  std::string name = call.arguments.text("name");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (!call.state.surroundings.vrrp.failover) co_return refused(not_configured);
  const std::string command = fmt::format("vrrp failover {}", name);
  const auto outcome = co_await call.state.surroundings.vrrp.failover(std::move(name));
  co_return status_of(call.peer, command, outcome);
}

asio::awaitable<Status> vrrp_maintenance(Call& call) {
  const bool given = call.arguments.has("on");
  const bool on = call.arguments.flag("on");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (!given) co_return wrong_usage("on: is missing");
  if (!call.state.surroundings.vrrp.maintenance) co_return refused(not_configured);
  const std::string command = fmt::format("vrrp maintenance {}", on ? "on" : "off");
  const auto outcome = co_await call.state.surroundings.vrrp.maintenance(on);
  co_return status_of(call.peer, command, outcome);
}

constexpr std::array commands{
    Command{"show vrrp", show_vrrp},
    Command{"vrrp failover", vrrp_failover, true},
    Command{"vrrp maintenance", vrrp_maintenance, true},
};

}  // namespace

std::span<const Command> vrrp_commands() {
  return commands;
}

}  // namespace headgate::control
