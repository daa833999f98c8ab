// The lines of a keepalived.conf as a tree of statements. A statement ends with its line or at a
// brace; `{` on the next line still belongs to it.
#pragma once

#include <vector>

#include "config/keepalived/source.h"
#include "config/keepalived/statement.h"

namespace headgate::config::keepalived {

// Adds what is wrong with quotes and braces to `source.errors`.
[[nodiscard]] std::vector<Statement> parse_tree(Source& source);

}  // namespace headgate::config::keepalived
