// What health knew, as a JSON file that outlives the daemon: a backend that was down is down after
// a restart, until a check says otherwise.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "control/error.h"
#include "control/health/health_book.h"

namespace headgate::control {

[[nodiscard]] std::string to_text(const std::vector<SavedService>& services);
// An error names what is wrong; a file of another version is one, too.
[[nodiscard]] std::expected<std::vector<SavedService>, Error> parse_health_state(
    std::string_view text);

// A file that is not there holds nothing. Not on a loop.
[[nodiscard]] std::expected<std::vector<SavedService>, Error> read_health_state(
    const std::string& path);
// Replaces the file as a whole, mode 0640; where there is nothing to say there is none. Not on a
// loop, but for the last time.
[[nodiscard]] std::expected<void, Error> write_health_state(
    const std::string& path, const std::vector<SavedService>& services);

}  // namespace headgate::control
