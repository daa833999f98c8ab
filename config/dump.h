// Writes a configuration as YAML that reads back as the same configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model.h"

namespace headgate::config {

// `omit` leaves out keys that hold their default, so that what an operator set stands out; `write`
// shows what is in force.
enum class Defaults : uint8_t { omit, write };

// Holds for every configuration that normalize() went over and validate() has no errors for.
[[nodiscard]] std::string to_yaml(const Config& config, Defaults defaults = Defaults::omit);

// A remark on what is at `path` (services[2].persistence), or would be there.
struct Comment {
  std::string path;  // empty: on the whole
  std::string text;
};

// The same with each comment before the line of its path; where that is left out, in its place.
[[nodiscard]] std::string to_yaml(const Config& config, const std::vector<Comment>& comments);

}  // namespace headgate::config
