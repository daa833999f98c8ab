// What `show connections` needs to know of persistence templates, whose time-out is their
// service's, by the service's id: a search for each would go through all services.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "control/state.h"

namespace headgate::control {

class TemplateTimes {
 public:
  struct Times {
    uint32_t timeout_ticks = 0;  // 0: the service is not persistent, or there is none
    uint32_t firewall_mark = 0;  // 0: none
  };

  // Reads the current snapshot where it is another one than the last time.
  void refresh(const State& state);
  // Nothing for a service that is gone, or that keeps no templates any more.
  [[nodiscard]] std::optional<Times> of(uint32_t service_id) const;

 private:
  std::optional<uint64_t> generation_;
  std::vector<Times> by_id_;
};

}  // namespace headgate::control
