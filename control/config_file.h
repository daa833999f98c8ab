// A configuration file as the running daemon reads it: for a reload, and to look at what one would
// do.
#pragma once

#include <expected>
#include <string>

#include "config/reader.h"
#include "control/error.h"

namespace headgate::control {

// The error holds the mistakes, a line each; of very many the first ones. Blocks: for the helper
// pool. A pipe or a device is refused.
[[nodiscard]] std::expected<config::Reading, Error> read_config_file(
    const std::string& path, const config::keepalived::Options& foreign);

}  // namespace headgate::control
