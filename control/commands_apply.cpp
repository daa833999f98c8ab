// The commands around a configuration on probation: `apply`, `confirm`, `rollback` and
// `show pending`.
#include <array>
#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "control/commands.h"
#include "control/log.h"
#include "control/reload.h"
#include "control/timestamp.h"

namespace headgate::control {

namespace asio = boost::asio;
using protocol::Status;

namespace {

constexpr uint32_t longest_wait_ms = 24U * 3600 * 1000;

double seconds(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

void put_pending(const PendingStatus& pending, Status& status) {
  status.result["file"] = pending.file;
  status.result["uid"] = pending.by.uid;
  status.result["pid"] = pending.by.pid;
  status.result["until"] = utc_text(pending.until);
  status.result["left_ms"] = pending.left.count();
}

asio::awaitable<Status> apply(Call& call) {
  const std::optional<std::string> file = call.arguments.text("file");
  const auto within_ms = call.arguments.number_if("confirm_within_ms");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  if (auto mistake = mistake_of_file(call.peer, file)) co_return std::move(*mistake);
  if (!within_ms) {
    const auto outcome = co_await reload(call.state, call.changes, call.pool, file);
    co_return status_of(call, "apply", outcome);
  }
  if (*within_ms == 0 || *within_ms > longest_wait_ms) {
    co_return wrong_usage(
        fmt::format("confirm_within_ms: {} is not from 1 to {}", *within_ms, longest_wait_ms));
  }
  const std::chrono::milliseconds within(*within_ms);
  std::string named = *file;
  const auto outcome = co_await call.pending.apply(call.peer, std::move(named), within);
  Status status = status_of(call, "apply", outcome);
  const auto pending = call.pending.status();
  if (!outcome || !pending) co_return status;
  put_pending(*pending, status);
  status.message +=
      fmt::format("\n`headgate confirm` keeps it; without, it is taken back in {:.3g} s, at {}",
                  seconds(within), utc_text(pending->until));
  co_return status;
}

asio::awaitable<Status> confirm(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  const auto file = call.pending.confirm();
  if (!file) {
    log_warning("confirm ({}): refused: {}", to_string(call.peer), file.error().text);
    co_return refused(file.error().text);
  }
  Status status;
  status.message = fmt::format("{} stays", *file);
  status.result["file"] = *file;
  log_info("confirm ({}): {}", to_string(call.peer), status.message);
  co_return status;
}

asio::awaitable<Status> rollback(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  const auto outcome = co_await call.pending.roll_back();
  co_return status_of(call, "rollback", outcome);
}

asio::awaitable<Status> show_pending(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  Status status;
  const auto pending = call.pending.status();
  status.result["pending"] = pending.has_value();
  if (!pending) {
    status.message = "no apply waits for a confirmation";
    co_return status;
  }
  put_pending(*pending, status);
  status.message = fmt::format(
      "{} applied {}, which waits for its confirmation until {} ({:.0f} s left): `headgate "
      "confirm` keeps it, `headgate rollback` takes it back",
      to_string(pending->by), pending->file, utc_text(pending->until), seconds(pending->left));
  co_return status;
}

constexpr std::array commands{
    Command{"apply", apply, true},
    Command{"confirm", confirm, true},
    Command{"rollback", rollback, true},
    Command{"show pending", show_pending},
};

}  // namespace

std::span<const Command> apply_commands() {
  return commands;
}

}  // namespace headgate::control
