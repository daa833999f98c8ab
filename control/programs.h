// Users and commands of a configuration's scripts, looked up before it is put to use: the name
// service may be slow, and a reload with an unknown user is refused as a whole.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/model.h"
#include "control/error.h"
#include "control/program_user.h"

namespace headgate::control {

class Programs {
 public:
  // Checks that each command can be split into words, and finds each user. Not on a loop.
  [[nodiscard]] static std::expected<std::shared_ptr<const Programs>, Error> prepare(
      const config::Config& config);

  // Of a `user` key; empty: whom scripts run as by default. Empty answer: the daemon's own user. An
  // error for a name that prepare() did not see: a script must not run as root by mistake.
  [[nodiscard]] std::expected<std::optional<ProgramUser>, Error> user_of(
      const std::optional<std::string>& user) const;

 private:
  std::map<std::string, ProgramUser> users_;
  std::optional<ProgramUser> default_user_;
};

}  // namespace headgate::control
