// Writes a configuration as YAML that reads back as the same configuration.
#pragma once

#include <string>

#include "config/model.h"

namespace headgate::config {

// Keys that hold their default are left out, so that what an operator set stands out.
[[nodiscard]] std::string to_yaml(const Config& config);

}  // namespace headgate::config
