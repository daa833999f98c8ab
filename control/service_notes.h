// What `show connections` needs to know of services, by their ids: a search for each entry of the
// table would go through all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "control/state.h"

namespace headgate::control {

class ServiceNotes {
 public:
  // Reads the current snapshot where it is another one than the last time.
  void refresh(const State& state);
  // How long a template of the service lives; nothing where it is gone, or keeps none any more.
  [[nodiscard]] std::optional<uint32_t> persistence_ticks(uint32_t service_id) const;
  [[nodiscard]] uint32_t mark_of(uint32_t service_id) const;  // 0: none

 private:
  struct Note {
    uint32_t persistence_ticks = 0;
    uint32_t firewall_mark = 0;
  };
  std::optional<uint64_t> generation_;
  std::vector<Note> by_id_;
};

}  // namespace headgate::control
