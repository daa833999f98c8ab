// What commands may ask of health. All on the control loop; null: nobody checks anything.
#pragma once

#include <cstdint>
#include <functional>

#include "config/model.h"

namespace headgate::control {

class HealthBook;

// Attempts of all checks, since the start.
struct HealthCounts {
  uint64_t attempts = 0;     // that have ended
  uint64_t failed = 0;       // of them
  uint64_t late_max_ms = 0;  // the latest beginning of one, after its time
  uint64_t at_once_max = 0;  // under way
};

struct HealthControl {
  const HealthBook* book = nullptr;
  // Asks a backend's checks out of turn; false: it has none.
  std::function<bool(const config::ServiceKey& service, const config::BackendKey& backend)>
      check_now = [](const config::ServiceKey&, const config::BackendKey&) { return false; };
  std::function<HealthCounts()> counts = [] { return HealthCounts{}; };
};

}  // namespace headgate::control
