// Who a program runs as: names of users and groups turned into numbers ahead of time, as the child
// between clone and exec may not ask the name service, and the loop may not wait for it.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "control/error.h"

namespace headgate::control {

struct ProgramUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary ones, as at a login; with USER:GROUP only GROUP
  std::string name;           // as it was given, for the log

  bool operator==(const ProgramUser&) const = default;
};

// `USER` or `USER:GROUP`, each a name or a number. Asks the name service, which may take long: not
// on a loop.
[[nodiscard]] std::expected<ProgramUser, Error> resolve_user(std::string_view text);

// Whom scripts run as when nobody says: the user keepalived_script where there is one, as with
// keepalived; empty: the daemon's own. Asks the name service, too.
[[nodiscard]] std::optional<ProgramUser> default_script_user();

}  // namespace headgate::control
