#include "control/config_file.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "control/health/check_files.h"
#include "control/programs.h"

namespace headgate::control {

namespace {

// Only what ends by itself: a pipe or a device that says nothing would keep the pool, and with it
// every change and the daemon's end, waiting without end.
std::expected<config::Reading, std::vector<config::Error>> read(
    const std::string& path, const config::keepalived::Options& foreign) {
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
  auto reading = config::read_file(path, foreign);
  if (!reading) return reading;
  // Names of users and of certificate files are part of what a reload must not get wrong.
  const auto programs = Programs::prepare(reading->config);
  const auto files = check_files(reading->config);
  if (programs && files) return reading;
  config::Error error;
  error.file = path;
  error.message = programs ? files.error().text : programs.error().text;
  return std::unexpected(std::vector{error});
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

}  // namespace

std::expected<config::Reading, Error> read_config_file(const std::string& path,
                                                       const config::keepalived::Options& foreign) {
  auto reading = read(path, foreign);
  if (!reading) return std::unexpected(Error{text_of(reading.error(), path)});
  return std::move(*reading);
}

}  // namespace headgate::control
