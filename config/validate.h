// The rules that hold between the fields of a configuration, wherever it came from: a file, the CLI
// or another program. Errors name the path only; reader.h adds the position.
#pragma once

#include <vector>

#include "config/error.h"
#include "config/model.h"

namespace headgate::config {

// Brings a configuration into the form that the rest of the daemon reads, with a warning for each
// thing that the operator wrote and does not get: backends and sorry servers get their service's
// port where they name none, and in DR and IPIP always, since neither mode can change it; Maglev
// table sizes become prime. Call it before validate(), on everything that did not come from
// read_file().
[[nodiscard]] std::vector<Error> normalize(Config& config);

// All mistakes and warnings; the configuration can be used when has_errors() says no. `running`, if
// there is one, was validated before: the ranges of services that are the same in it are not looked
// at again.
[[nodiscard]] std::vector<Error> validate(const Config& config, const Config* running = nullptr);

}  // namespace headgate::config
