#include "control/commands.h"

#include <algorithm>
#include <array>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "config/text.h"

namespace headgate::control {

namespace asio = boost::asio;
using protocol::Code;
using protocol::Status;

asio::awaitable<void> Call::send_rows(boost::json::array rows) {
  std::string text = boost::json::serialize(rows);
  co_await send(std::move(text));
}

Status refused(std::string message) {
  return {Code::refused, std::move(message), {}};
}

std::string_view reason_name(Reason reason) {
  switch (reason) {
    case Reason::other:
      return {};
    case Reason::service_exists:
      return "service_exists";
    case Reason::no_such_service:
      return "no_such_service";
    case Reason::backend_exists:
      return "backend_exists";
    case Reason::no_such_backend:
      return "no_such_backend";
  }
  return {};
}

Status refused(const Error& error) {
  Status status = refused(error.text);
  if (error.reason != Reason::other) status.result["reason"] = reason_name(error.reason);
  return status;
}

Status wrong_usage(std::string message) {
  return {Code::usage, std::move(message), {}};
}

std::optional<Status> mistake_of_file(const Peer& peer, const std::optional<std::string>& file) {
  // The daemon reads with its own rights, and a mistake shows what is in the file.
  if (file && peer.uid != 0 && peer.uid != geteuid()) {
    return refused("only root may name a file; without one the daemon reads its own again");
  }
  if (file && !file->starts_with('/')) return wrong_usage("file: must be an absolute path");
  return std::nullopt;
}

boost::json::array first_lines(const std::vector<std::string>& lines, size_t most) {
  boost::json::array array;
  for (const std::string& line : lines) {
    if (array.size() == most) {
      array.emplace_back(fmt::format("... and {} more", lines.size() - most));
      break;
    }
    array.emplace_back(line);
  }
  return array;
}

namespace {

auto all_commands() {
  return std::array{show_commands(),   change_commands(), transaction_commands(), vrrp_commands(),
                    health_commands(), audit_commands(),  plan_commands(),        apply_commands()};
}

const Command* find_command(std::string_view name) {
  for (const auto& list : all_commands()) {
    const auto found = std::ranges::find(list, name, &Command::name);
    if (found != list.end()) return &*found;
  }
  return nullptr;
}

Status unknown_command(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& list : all_commands()) {
    for (const Command& command : list)
      known.push_back(command.name);
  }
  const std::string_view near = config::nearest(name, known);
  return wrong_usage(fmt::format("there is no command {}{}", config::in_quotes(name),
                                 near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

std::string outcome_of(const Status& status) {
  if (status.code != Code::ok) return fmt::format("{}{}", audit_refused, status.message);
  return status.message.empty() ? "done" : status.message;
}

}  // namespace

std::expected<Chosen, Status> chosen(Call& call, const config::Config& config) {
  const auto name = call.arguments.text_if("service");
  const auto backend = call.arguments.text_if("backend");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) {
    return std::unexpected(wrong_usage(mistake));
  }
  if (backend && !name) return std::unexpected(wrong_usage("backend: say of which service"));
  const auto services = named_services(config, name);
  if (!services) return std::unexpected(refused(services.error()));
  Chosen result{.services = *services, .all = !name, .backend = std::nullopt};
  if (!backend) return result;
  const auto index = find_backend(config.services[services->begin], *backend);
  if (!index) return std::unexpected(refused(index.error()));
  result.backend = *index;
  return result;
}

asio::awaitable<Status> Commands::run(Peer peer, protocol::Request request, SendRows send) {
  const Command* command = find_command(request.command);
  if (command == nullptr) co_return unknown_command(request.command);
  std::string told;
  if (command->audited && !command->long_arguments) {
    told = command_text(request.command, request.arguments);
  }
  Call call{state_,         changes_, pool_,
            pending_,       peer,     Arguments(std::move(request.arguments)),
            std::move(send)};
  Status status = co_await command->run(call);
  if (command->audited) {
    call.audit.source = AuditSource::cli;
    call.audit.peer = peer;
    if (!command->long_arguments) call.audit.command = std::move(told);
    if (call.audit.outcome.empty()) call.audit.outcome = outcome_of(status);
    state_.audit.write(call.audit);
  }
  co_return status;
}

}  // namespace headgate::control
