// Blanks at both ends of a piece of text.
#pragma once

#include <algorithm>
#include <string_view>

namespace headgate::config::keepalived {

[[nodiscard]] inline std::string_view trimmed(std::string_view text, std::string_view blanks) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text.substr(0, text.find_last_not_of(blanks) + 1);  // npos + 1 is 0: nothing is left
}

}  // namespace headgate::config::keepalived
