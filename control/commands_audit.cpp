// `show audit`: the end of the audit log.
#include <array>
#include <string>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "control/audit_log.h"
#include "control/commands.h"
#include "control/offload.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using protocol::Status;

namespace {

constexpr uint32_t lines_by_default = 20;
constexpr uint32_t most_lines = 10000;

std::string text_of(const json::object& line, std::string_view key) {
  const json::value* value = line.if_contains(key);
  if (value == nullptr) return {};
  return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

// Who it was, for a table: "root (uid 0, process 42)", or the source alone.
std::string who(const json::object& line) {
  if (!line.contains("uid")) return text_of(line, "source");
  const std::string user = text_of(line, "user");
  const std::string ids =
      fmt::format("uid {}, process {}", text_of(line, "uid"), text_of(line, "pid"));
  return user.empty() ? ids : fmt::format("{} ({})", user, ids);
}

asio::awaitable<Status> show_audit(Call& call) {
  const uint32_t last = call.arguments.number_if("last").value_or(lines_by_default);
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (last > most_lines) {
    co_return wrong_usage(fmt::format("last: {} is above {}: read the file", last, most_lines));
  }
  const std::string path = call.state.audit.path();
  if (path.empty()) {
    co_return refused("no audit log is written: `daemon.audit_log` is none");
  }
  auto work = [path, last] {
    std::expected<std::vector<std::string>, Error> pieces;
    auto lines = last_audit_lines(path, last);
    if (!lines) {
      pieces = std::unexpected(lines.error());
      return pieces;
    }
    for (json::object& line : *lines) {
      line["who"] = who(line);
      pieces->push_back(json::serialize(json::array{std::move(line)}));
    }
    return pieces;
  };
  auto pieces = co_await offload(call.pool, std::move(work));
  if (!pieces) co_return refused(pieces.error().text);
  for (std::string& piece : *pieces)
    co_await call.send(std::move(piece));
  Status status;
  status.result["file"] = path;
  status.result["lost"] = call.state.audit.lost();
  if (call.state.audit.lost() > 0) {
    status.message = fmt::format("{} lines could not be written since the daemon's start",
                                 call.state.audit.lost());
  }
  co_return status;
}

constexpr std::array commands{Command{"show audit", show_audit}};

}  // namespace

std::span<const Command> audit_commands() {
  return commands;
}

}  // namespace headgate::control
