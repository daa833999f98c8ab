#include "control/pending_apply.h"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/edits.h"
#include "control/log.h"
#include "control/reload.h"
#include "control/timestamp.h"

namespace headgate::control {

namespace asio = boost::asio;
using std::chrono::milliseconds;

PendingApply::PendingApply(asio::io_context& loop, asio::thread_pool& pool, State& state,
                           Changes& changes)
    : loop_(loop), pool_(pool), state_(state), changes_(changes), timer_(loop) {
  changes_.hold([this] { return why_held(); });
}

PendingApply::~PendingApply() {
  changes_.hold({});
}

asio::awaitable<std::expected<ChangeOutcome, Error>> PendingApply::apply(Peer by, std::string file,
                                                                         milliseconds within) {
  if (stage_ != Stage::none) co_return std::unexpected(Error{why_held()});
  stage_ = Stage::applying;
  file_ = file;
  by_ = by;
  co_await wait_for_reloads(state_);
  path_before_ = state_.config_path;
  file_before_ = state_.file_config;
  const Submission mine{.alone = true, .passes_hold = true};
  std::optional<std::string> named(std::move(file));
  auto outcome = co_await reload(state_, changes_, pool_, std::move(named), mine);
  if (!outcome) {
    stage_ = Stage::none;
    co_return outcome;
  }
  before_ = std::exchange(outcome->before, nullptr);
  wait(within);
  co_return outcome;
}

void PendingApply::wait(milliseconds within) {
  stage_ = Stage::waiting;
  until_ = std::chrono::system_clock::now() + within;
  timer_.expires_after(within);
  std::weak_ptr<PendingApply*> alive = self_;
  asio::co_spawn(loop_, watch(std::move(alive)), asio::detached);
}

asio::awaitable<void> PendingApply::watch(std::weak_ptr<PendingApply*> alive) {
  boost::system::error_code stopped;
  co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, stopped));
  // A confirmation may come while an elapsed timer waits for its turn on the loop.
  if (alive.expired() || stopped || stage_ != Stage::waiting) co_return;
  if (std::chrono::steady_clock::now() < timer_.expiry()) co_return;  // of a later apply
  AuditEntry entry;
  entry.source = AuditSource::timer;
  entry.command = fmt::format("rollback of {}", file_);
  log_warning("{} was not confirmed in time: back to what ran before", file_);
  const auto outcome = co_await take_back();
  if (alive.expired()) co_return;
  log_outcome(entry.command, outcome);
  put_outcome(entry, outcome);
  state_.audit.write(entry);
}

std::expected<std::string, Error> PendingApply::confirm() {
  if (stage_ != Stage::waiting) return std::unexpected(not_waiting());
  stage_ = Stage::none;
  timer_.cancel();
  before_.reset();
  file_before_.reset();
  return file_;
}

asio::awaitable<std::expected<ChangeOutcome, Error>> PendingApply::roll_back() {
  if (stage_ != Stage::waiting) co_return std::unexpected(not_waiting());
  timer_.cancel();
  auto outcome = co_await take_back();
  co_return outcome;
}

asio::awaitable<std::expected<ChangeOutcome, Error>> PendingApply::take_back() {
  stage_ = Stage::taking_back;
  const Submission mine{.alone = true, .passes_hold = true};
  Edit edit = replace_all(std::exchange(before_, nullptr));
  auto outcome = co_await changes_.submit(std::move(edit), mine);
  stage_ = Stage::none;
  // Of one that failed too: the file that nobody confirmed is not to be read again.
  state_.config_path = path_before_;
  state_.file_config = std::exchange(file_before_, nullptr);
  if (outcome) co_return outcome;
  outcome.error().text =
      fmt::format("{} could not be taken back, and goes on running: {}; `headgate reload` reads {}",
                  file_, outcome.error().text, path_before_);
  log_error("{}", outcome.error().text);
  co_return outcome;
}

std::optional<PendingStatus> PendingApply::status() const {
  if (stage_ != Stage::waiting) return std::nullopt;
  const auto left =
      std::chrono::ceil<milliseconds>(timer_.expiry() - std::chrono::steady_clock::now());
  return PendingStatus{file_, by_, until_, std::max(left, milliseconds(0))};
}

// Empty when anything may be changed.
std::string PendingApply::why_held() const {
  if (stage_ == Stage::none) return {};
  if (stage_ == Stage::applying) {
    return fmt::format("nothing was changed: {} is being applied by {}; try again", file_,
                       to_string(by_));
  }
  if (stage_ == Stage::taking_back) {
    return fmt::format("nothing was changed: {} is being taken back; try again", file_);
  }
  return fmt::format(
      "nothing was changed: {} applied {}, which waits for its confirmation until {}: `headgate "
      "confirm` keeps it, `headgate rollback` takes it back",
      to_string(by_), file_, utc_text(until_));
}

Error PendingApply::not_waiting() const {
  if (stage_ == Stage::none) return {"no apply waits for a confirmation"};
  return {why_held()};
}

}  // namespace headgate::control
