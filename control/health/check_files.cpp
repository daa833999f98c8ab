#include "control/health/check_files.h"

#include <set>
#include <string>

#include <fmt/format.h>

#include "control/health/prober.h"

namespace headgate::control {

namespace {

using Done = std::expected<void, Error>;

Done check(const std::vector<config::Check>& checks, const config::Service& service,
           std::set<std::string>& seen) {
  for (const config::Check& check : checks) {
    if (check.type != config::CheckType::https || !check.http.verify || !check.http.ca_file ||
        !seen.insert(*check.http.ca_file).second) {
      continue;
    }
    const ProbeTarget nobody{.address = service.address, .port = 1};
    const auto made = make_prober(check, nobody);
    if (made) continue;
    return std::unexpected(Error{
        fmt::format("service '{}': checks: {}", config::name_of(service), made.error().text)});
  }
  return {};
}

}  // namespace

Done check_files(const config::Config& config) {
  std::set<std::string> seen;
  for (const config::Service& service : config.services) {
    if (Done done = check(service.checks, service, seen); !done) return done;
    for (const config::Backend& backend : service.backends) {
      if (Done done = check(backend.checks, service, seen); !done) return done;
    }
  }
  return {};
}

}  // namespace headgate::control
