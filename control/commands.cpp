#include "control/commands.h"

#include <algorithm>
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

Status wrong_usage(std::string message) {
  return {Code::usage, std::move(message), {}};
}

namespace {

const Command* find_command(std::string_view name) {
  for (const auto& list : {show_commands(), change_commands(), vrrp_commands()}) {
    const auto found = std::ranges::find(list, name, &Command::name);
    if (found != list.end()) return &*found;
  }
  return nullptr;
}

Status unknown_command(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& list : {show_commands(), change_commands(), vrrp_commands()}) {
    for (const Command& command : list)
      known.push_back(command.name);
  }
  const std::string_view near = config::nearest(name, known);
  return wrong_usage(fmt::format("there is no command {}{}", config::in_quotes(name),
                                 near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

}  // namespace

asio::awaitable<Status> Commands::run(Peer peer, protocol::Request request, SendRows send) {
  const Command* command = find_command(request.command);
  if (command == nullptr) co_return unknown_command(request.command);
  Call call{state_,         changes_, pool_, peer, Arguments(std::move(request.arguments)),
            std::move(send)};
  co_return co_await command->run(call);
}

}  // namespace headgate::control
