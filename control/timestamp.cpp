#include "control/timestamp.h"

#include <ctime>

#include <fmt/format.h>

namespace headgate::control {

std::string utc_text(std::chrono::system_clock::time_point moment) {
  using std::chrono::floor;
  using std::chrono::milliseconds;
  const auto whole = floor<std::chrono::seconds>(moment);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(whole);
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     floor<milliseconds>(moment - whole).count());
}

}  // namespace headgate::control
