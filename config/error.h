// A mistake in a configuration: where it is, and what is wrong with a remedy. Its text is one line:
// `headgate.yaml:12:9: services[2].port: 70000 is above 65535`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace headgate::config {

// A warning says what happens instead of what was written; the configuration is used.
enum class Severity : uint8_t { error, warning };

struct Error {
  std::string file;     // empty: not from a file (a change at run time)
  uint32_t line = 0;    // from 1; 0: no position
  uint32_t column = 0;  // from 1, in characters; 0: the line as a whole
  std::string path;     // services[2].port, indexes from 0, or a foreign keyword; empty: the whole
  std::string message;  // names the offending value and what was expected
  Severity severity = Severity::error;

  bool operator==(const Error&) const = default;
};

[[nodiscard]] std::string to_string(const Error& error);
// One line each, in the order given.
[[nodiscard]] std::string to_string(const std::vector<Error>& errors);
[[nodiscard]] bool has_errors(const std::vector<Error>& errors);

}  // namespace headgate::config
