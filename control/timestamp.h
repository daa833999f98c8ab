// Moments as texts: RFC 3339, UTC, with milliseconds (2026-01-31T23:59:59.999Z).
#pragma once

#include <chrono>
#include <string>

namespace headgate::control {

[[nodiscard]] std::string utc_text(std::chrono::system_clock::time_point moment);

}  // namespace headgate::control
