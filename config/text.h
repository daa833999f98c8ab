// Words for messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headgate::config {

// `text` in double quotes, cut when long, with whatever a terminal should not see escaped.
[[nodiscard]] std::string in_quotes(std::string_view text);
// The same as a YAML value: whole, and without quotes where YAML needs none.
[[nodiscard]] std::string as_yaml(std::string_view text);
// The candidate that `text` is most likely a misspelling of, or nothing.
[[nodiscard]] std::string_view nearest(std::string_view text,
                                       const std::vector<std::string_view>& candidates);
// "a, b and c".
[[nodiscard]] std::string join(const std::vector<std::string_view>& words, std::string_view last);

}  // namespace headgate::config
