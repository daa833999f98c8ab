#include "control/reload.h"

#include <utility>

#include <fmt/format.h>

#include "config/reader.h"
#include "control/edits.h"
#include "control/log.h"
#include "control/offload.h"

namespace headgate::control {

namespace asio = boost::asio;

asio::awaitable<std::expected<ChangeOutcome, Error>> reload(State& state, Changes& changes,
                                                            asio::thread_pool& pool,
                                                            std::optional<std::string> file) {
  const std::string path = file.value_or(state.config_path);
  auto work = [path] { return config::read_file(path); };
  auto reading = co_await offload(pool, std::move(work));
  if (!reading) {
    co_return std::unexpected(
        Error{fmt::format("nothing was changed:\n{}", config::to_string(reading.error()))});
  }
  state.override_config(reading->config);
  Edit edit = replace_all(std::move(reading->config));
  auto outcome = co_await changes.submit(std::move(edit));
  if (!outcome) co_return outcome;
  // The reader's warnings have their lines.
  outcome->report.warnings.clear();
  for (const config::Error& warning : reading->warnings) {
    std::string text = to_string(warning);
    outcome->report.warnings.push_back(std::move(text));
  }
  if (file) state.config_path = path;
  co_return outcome;
}

void log_outcome(std::string_view what, const std::expected<ChangeOutcome, Error>& outcome) {
  if (!outcome) {
    log_warning("{}: refused: {}", what, outcome.error().text);
    return;
  }
  const EditReport& report = outcome->report;
  for (const std::string& line : report.changes)
    log_info("{}: {}", what, line);
  for (const std::string& line : report.warnings)
    log_warning("{}: {}", what, line);
  if (report.changes.empty()) log_info("{}: nothing differs from what runs", what);
}

}  // namespace headgate::control
