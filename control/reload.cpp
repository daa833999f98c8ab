#include "control/reload.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <sstream>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "control/config_file.h"
#include "control/edits.h"
#include "control/log.h"
#include "control/offload.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// Lines that one change may write into the log.
constexpr size_t most_logged = 100;

// For each of the first lines; a last one says how many more there are.
template <typename Write>
void for_first_lines(const std::vector<std::string>& lines, Write write) {
  for (size_t i = 0; i < std::min(lines.size(), most_logged); ++i)
    write(lines[i]);
  if (lines.size() > most_logged) {
    write(fmt::format("... and {} more", lines.size() - most_logged));
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

// Reloads go one after the other: what a command changed is told from what a file changed by the
// file that was read before. Its holder's turn ends with it.
class Turn {
 public:
  explicit Turn(State& state) : state_(state) { state.reloads = true; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { state_.reloads = false; }

 private:
  State& state_;
};

}  // namespace

asio::awaitable<void> wait_for_reloads(State& state) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (state.reloads) {
    timer.expires_after(std::chrono::milliseconds(2));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<std::expected<ChangeOutcome, Error>> reload(State& state, Changes& changes,
                                                            asio::thread_pool& pool,
                                                            std::optional<std::string> file,
                                                            Submission how) {
  if (std::string why = changes.why_held(); !why.empty() && !how.passes_hold) {
    co_return std::unexpected(Error{std::move(why)});
  }
  co_await wait_for_reloads(state);
  const Turn turn(state);
  const std::string path = file.value_or(state.config_path);
  auto work = [path, foreign = state.foreign] { return read_config_file(path, foreign); };
  auto reading = co_await offload(pool, std::move(work));
  if (!reading) {
    co_return std::unexpected(Error{fmt::format("nothing was changed:\n{}", reading.error().text)});
  }
  state.override_config(reading->config);
  auto wanted = std::make_shared<config::Config>(std::move(reading->config));
  const bool keeps = wanted->daemon.runtime_changes == config::RuntimeChanges::keep;
  const auto lost = std::make_shared<std::vector<std::string>>();
  Edit edit = keeps ? replace_file(state.file_config, wanted, lost) : replace_all(wanted);
  auto outcome = co_await changes.submit(std::move(edit), how);
  if (!outcome) co_return outcome;
  state.file_config = wanted;
  // The reader's warnings have their lines.
  outcome->report.warnings.clear();
  for (const config::Error& warning : reading->warnings) {
    std::string text = to_string(warning);
    outcome->report.warnings.push_back(std::move(text));
  }
  std::ranges::move(*lost, std::back_inserter(outcome->report.warnings));
  if (file) state.config_path = path;
  co_return outcome;
}

void put_outcome(AuditEntry& entry, const std::expected<ChangeOutcome, Error>& outcome) {
  if (!outcome) {
    entry.outcome = fmt::format("{}{}", audit_refused, outcome.error().text);
    return;
  }
  const std::vector<std::string>& lines = outcome->report.changes;
  const size_t told = std::min(lines.size(), most_audit_changes);
  entry.changes.assign(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(told));
  entry.more_changes = lines.size() - told;
  entry.generation = outcome->generation;
  entry.outcome = sentence_of(*outcome);
}

std::string sentence_of(const ChangeOutcome& outcome) {
  if (!outcome.late.empty()) return outcome.late;
  if (outcome.report.changes.empty()) return "nothing differs from what runs";
  return fmt::format("done, generation {}", outcome.generation);
}

void log_outcome(std::string_view what, const std::expected<ChangeOutcome, Error>& outcome) {
  if (!outcome) {
    for_first_lines(lines_of(outcome.error().text),
                    [&](const std::string& line) { log_warning("{}: refused: {}", what, line); });
    return;
  }
  const EditReport& report = outcome->report;
  for_first_lines(report.changes, [&](const auto& line) { log_info("{}: {}", what, line); });
  for_first_lines(report.warnings, [&](const auto& line) { log_warning("{}: {}", what, line); });
  if (report.changes.empty()) log_info("{}: nothing differs from what runs", what);
  if (!outcome->late.empty()) log_warning("{}: {}", what, outcome->late);
}

}  // namespace headgate::control
