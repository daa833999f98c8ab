// What people who know LVS and keepalived write, and what it is called here: for messages.
#pragma once

#include <string_view>
#include <vector>

namespace headgate::config {

// The key among `known`, those of one section, that is meant by `word`; empty when there is none.
[[nodiscard]] std::string_view foreign_key(std::string_view word,
                                           const std::vector<std::string_view>& known);

}  // namespace headgate::config
