// Writes a configuration as YAML that reads back as the same configuration.
#pragma once

#include <cstdint>
#include <string>

#include "config/model.h"

namespace headgate::config {

// `omit` leaves out keys that hold their default, so that what an operator set stands out; `write`
// shows what is in force.
enum class Defaults : uint8_t { omit, write };

// Holds for every configuration that normalize() went over and validate() has no errors for.
[[nodiscard]] std::string to_yaml(const Config& config, Defaults defaults = Defaults::omit);

}  // namespace headgate::config
