// `transaction`: many changes as one snapshot and one line of the audit log.
#include <array>
#include <memory>
#include <string>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "control/commands.h"
#include "control/offload.h"
#include "control/transaction.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using protocol::Status;

namespace {

struct Parsed {
  std::expected<EditList, std::string> edits;
  std::string told;  // for the audit log
};

// The commands as the audit log tells them, as far as they find room there.
std::string told_commands(const json::array& commands, bool all_or_nothing) {
  std::string text = fmt::format("transaction{} of {}:", all_or_nothing ? "" : ", each for itself,",
                                 commands.size());
  for (const json::value& value : commands) {
    if (text.size() > longest_audit_text) break;
    const json::object* object = value.if_object();
    const json::value* name = object == nullptr ? nullptr : object->if_contains("command");
    const json::value* arguments = object == nullptr ? nullptr : object->if_contains("arguments");
    const bool plain =
        name != nullptr && name->is_string() && arguments != nullptr && arguments->is_object();
    text += fmt::format(
        " {};", plain ? command_text(std::string_view(name->get_string()), arguments->get_object())
                      : json::serialize(value));
  }
  text.pop_back();
  return text;
}

json::array refusal_rows(const EditRefusals& refusals) {
  json::array rows;
  for (const EditRefusal& refusal : refusals) {
    rows.push_back({{"index", refusal.index},
                    {"message", refusal.error.text},
                    {"reason", reason_name(refusal.error.reason)}});
  }
  return rows;
}

asio::awaitable<Status> transaction(Call& call) {
  const bool each = call.arguments.flag("each_for_itself");
  auto commands = call.arguments.list("commands");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) {
    call.audit.command = "transaction";
    co_return wrong_usage(mistake);
  }
  auto work = [commands = std::move(commands), each]() mutable {
    Parsed parsed;
    parsed.told = told_commands(commands, !each);
    parsed.edits = parse_transaction(std::move(commands));
    return parsed;
  };
  Parsed parsed = co_await offload(call.pool, std::move(work));
  call.audit.command = std::move(parsed.told);
  if (!parsed.edits) co_return wrong_usage(parsed.edits.error());
  const size_t count = parsed.edits->size();
  if (count == 0) co_return wrong_usage("commands: there is none");
  const auto refusals = std::make_shared<EditRefusals>();
  Edit edit = each ? each_for_itself(std::move(*parsed.edits), refusals)
                   : all_or_nothing(std::move(*parsed.edits), refusals);
  const auto outcome = co_await call.changes.submit(std::move(edit));
  Status status = status_of(call, "transaction", outcome);
  status.result["refused"] = refusal_rows(*refusals);
  if (each && outcome && !refusals->empty()) {
    status.message += fmt::format("; {} of {} commands were refused", refusals->size(), count);
  }
  co_return status;
}

constexpr std::array commands{Command{"transaction", transaction, true, true}};

}  // namespace

std::span<const Command> transaction_commands() {
  return commands;
}

}  // namespace headgate::control
