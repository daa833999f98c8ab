// The snapshot's settings from the configuration: seconds as ticks, and shares of each worker.
#pragma once

#include <cstdint>

#include "config/model.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

[[nodiscard]] dataplane::Settings make_settings(const config::Config& config, uint32_t workers);

}  // namespace headgate::control
