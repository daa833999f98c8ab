// Scripts: what stands behind `script`, `notify_up`, `misc_path` and the like.
#pragma once

#include <optional>
#include <string>

#include "config/keepalived/draft.h"

namespace headgate::config::keepalived {

struct Command {
  std::string text;                 // as a command of the configuration
  std::optional<std::string> user;  // USER or USER:GROUP that stands behind it
};

// A quoted string is a command with its arguments; behind an unquoted one stand a user and a group.
// keepalived runs all without a shell; a string with a shell's operators would not do there what
// its author meant, and is given to bash here, with a note at `path`.
[[nodiscard]] std::optional<Command> command(Draft& draft, const Statement& statement,
                                             const std::string& path);
// `USER [GROUP]` from the word at `index` on.
[[nodiscard]] std::optional<std::string> user(Draft& draft, const Statement& statement,
                                              size_t index);
// Puts the user of one of several commands into the one place that holds it for all.
void share_user(Draft& draft, const Statement& statement, const Command& command,
                std::optional<std::string>& user, bool first);

}  // namespace headgate::config::keepalived
