// `$NAME=value` of a keepalived.conf, and the lists that write a line several times.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::config::keepalived {

// The bounds of what a small file can blow up to are max_keepalived_* in config/limits.h.
class Definitions {
 public:
  // `name` is known to be a name.
  void set(std::string_view name, std::string_view value);
  // The line with every `${NAME}` and every `$NAME` before a blank replaced, again and again until
  // none is left; what is not defined stays. An error for definitions that contain themselves.
  [[nodiscard]] std::expected<std::string, std::string> replace(std::string_view line) const;

 private:
  // Whether anything was replaced.
  bool replace_once(std::string_view line, std::string& out) const;

  std::map<std::string, std::string, std::less<>> values_;
};

// The name that a line `$NAME=...` defines, or nothing.
[[nodiscard]] std::string_view defined_name(std::string_view line);

// One round of a list: what its names stand for.
using Round = std::vector<std::pair<std::string, std::string>>;
struct Repetition {
  std::vector<Round> rounds;
  std::string_view rest;  // the line that is repeated
};

// A line that begins with ~SEQ(, ~SEQx( or ~LST(.
[[nodiscard]] bool is_repetition(std::string_view line);
[[nodiscard]] std::expected<Repetition, std::string> parse_repetition(std::string_view line);

}  // namespace headgate::config::keepalived
