// Reads a configuration file, in YAML or as keepalived writes it. Every mistake of a file is found
// in one run: syntax, unknown and duplicate keys, values, and the rules of validate.h, each with
// its line and column.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/keepalived/keepalived.h"
#include "config/model.h"

namespace headgate::config {

inline constexpr std::string_view default_config_path = "/etc/headgate/headgate.yaml";

// A usable configuration, normalised (normalize() of validate.h), and what to warn the operator of.
struct Reading {
  Config config;
  std::vector<Error> warnings;
  // Of a keepalived.conf: the same once more, with what they are about.
  std::vector<keepalived::Note> notes;
};

// On failure: all errors and warnings, in the order of the file, with at least one error.
// Neither throws, whatever the input holds. Takes up to a second for 40,000 backends: the control
// thread hands it to a helper pool.
// What the file holds says which of the two it is (keepalived::is_keepalived); `foreign` is for a
// keepalived.conf alone.
[[nodiscard]] std::expected<Reading, std::vector<Error>> read_file(
    const std::string& path, const keepalived::Options& foreign = {});
// YAML; `name` stands for the file in errors.
[[nodiscard]] std::expected<Reading, std::vector<Error>> read_text(std::string_view text,
                                                                   std::string_view name);

}  // namespace headgate::config
