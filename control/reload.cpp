#include "control/reload.h"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "config/reader.h"
#include "control/edits.h"
#include "control/log.h"
#include "control/offload.h"
#include "control/vrrp/programs.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// Only what ends by itself: a pipe or a device that says nothing would keep the pool, and with it
// every change and the daemon's end, waiting without end.
std::expected<config::Reading, std::vector<config::Error>> read(const std::string& path) {
  using Type = std::filesystem::file_type;
  std::error_code ignored;
  const Type type = std::filesystem::status(path, ignored).type();
  if (type == Type::fifo || type == Type::character || type == Type::block ||
      type == Type::socket) {
    config::Error error;
    error.file = path;
    error.message = "is no ordinary file; the daemon reads no pipes and no devices";
    return std::unexpected(std::vector{error});
  }
  auto reading = config::read_file(path);
  if (!reading) return reading;
  // Names of users are part of what a reload must not get wrong.
  if (const auto programs = VrrpPrograms::prepare(reading->config.vrrp); !programs) {
    config::Error error;
    error.file = path;
    error.message = programs.error().text;
    return std::unexpected(std::vector{error});
  }
  return reading;
}

// A line each; of very many, which a wrong file can have, the first ones.
std::string text_of(const std::vector<config::Error>& errors, const std::string& path) {
  constexpr size_t most = 1000;
  std::string text;
  for (size_t i = 0; i < std::min(errors.size(), most); ++i) {
    if (i > 0) text += '\n';
    text += config::to_string(errors[i]);
  }
  if (errors.size() > most) {
    text += fmt::format("\n... and {} more; `headgated --check {}` shows all", errors.size() - most,
                        path);
  }
  return text;
}

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

}  // namespace

asio::awaitable<std::expected<ChangeOutcome, Error>> reload(State& state, Changes& changes,
                                                            asio::thread_pool& pool,
                                                            std::optional<std::string> file) {
  const std::string path = file.value_or(state.config_path);
  auto work = [path] { return read(path); };
  auto reading = co_await offload(pool, std::move(work));
  if (!reading) {
    co_return std::unexpected(
        Error{fmt::format("nothing was changed:\n{}", text_of(reading.error(), path))});
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
    for_first_lines(lines_of(outcome.error().text),
                    [&](const std::string& line) { log_warning("{}: refused: {}", what, line); });
    return;
  }
  const EditReport& report = outcome->report;
  for_first_lines(report.changes, [&](const auto& line) { log_info("{}: {}", what, line); });
  for_first_lines(report.warnings, [&](const auto& line) { log_warning("{}: {}", what, line); });
  if (report.changes.empty()) log_info("{}: nothing differs from what runs", what);
}

}  // namespace headgate::control
