#include "config/error.h"

#include <algorithm>

namespace headgate::config {

std::string to_string(const Error& error) {
  std::string result = error.file;
  if (error.line != 0) {
    if (!result.empty()) result += ':';
    result += std::to_string(error.line);
    if (error.column != 0) result += ':' + std::to_string(error.column);
  }
  if (!result.empty()) result += ": ";
  if (error.severity == Severity::warning) result += "warning: ";
  if (!error.path.empty()) result += error.path + ": ";
  return result + error.message;
}

std::string to_string(const std::vector<Error>& errors) {
  std::string result;
  for (const Error& error : errors)
    result += to_string(error) + '\n';
  return result;
}

bool has_errors(const std::vector<Error>& errors) {
  return std::ranges::any_of(errors,
                             [](const Error& error) { return error.severity == Severity::error; });
}

}  // namespace headgate::config
