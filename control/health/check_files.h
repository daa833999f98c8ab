// Whether the files that checks name can be used, before a configuration is: a certificate that
// cannot be read is a mistake in the configuration, not a backend that is down.
#pragma once

#include <expected>

#include "config/model.h"
#include "control/error.h"

namespace headgate::control {

// The first mistake, with its service. Each file is read once. Not on a loop.
[[nodiscard]] std::expected<void, Error> check_files(const config::Config& config);

}  // namespace headgate::control
