// What the tests of the configuration share.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/model.h"

namespace headgate::config {

// Errors and warnings of reading `text` as t.yaml, one line each.
[[nodiscard]] std::vector<std::string> problems_of(std::string_view text);
// The same for the text of one section after a port: what is wrong is in that section only. The
// section begins on line 2. Where it has services of mark 7, there are rules for both families too.
[[nodiscard]] std::vector<std::string> problems_after_port(std::string_view text);
// The configuration of a text that has neither errors nor warnings; fails the test otherwise.
[[nodiscard]] Config read_good(std::string_view text);
// The same of a text that may have warnings.
[[nodiscard]] Config read_good_but_warnings(std::string_view text);

[[nodiscard]] std::vector<std::string> lines_of(const std::vector<Error>& errors);

// A configuration that validate() has nothing against, with a random part of its keys set.
[[nodiscard]] Config random_config(std::mt19937& random);
// Puts virtual routers into a configuration that has its ports and services.
void random_vrrp(std::mt19937& random, Config& config);
// Puts health checks, and what they decide on, into a configuration that has its services.
void random_health(std::mt19937& random, Config& config);

// The whole of a file below the source's root.
[[nodiscard]] std::string source_file(std::string_view path);

}  // namespace headgate::config
