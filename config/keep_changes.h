// What a reload makes run with `daemon.runtime_changes: keep`: what commands changed since the file
// was last read stays, on top of what the file says now.
//
//   base ──commands──> running        base ──the file's author──> wanted
//     └─────────── both together: keep_changes() ───────────────────┘
//
// Commands change services, backends and time-outs. Of these each key, backend and service that
// differs between base and running is taken from running, everything else from wanted. A service
// that the file has no longer goes, with all that was changed about it. All three have gone through
// normalize().
#pragma once

#include <string>
#include <vector>

#include "config/model.h"

namespace headgate::config {

struct KeptChanges {
  Config config;
  std::vector<std::string> lost;  // a line for each service that went with its changes
};

[[nodiscard]] KeptChanges keep_changes(const Config& base, const Config& running, Config wanted);

}  // namespace headgate::config
