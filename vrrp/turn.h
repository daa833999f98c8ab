// Inside the machine: one step while it is being taken, and the moves that several states make.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "vrrp/machine.h"

namespace headgate::vrrp {

struct Turn {
  const Settings& settings;
  Machine& machine;
  Time now;
  std::vector<Action>& actions;
};

// What each state makes of an event.
void step_idle(Turn& turn, const Event& event);  // init and fault
void step_backup(Turn& turn, const Event& event);
void step_master(Turn& turn, const Event& event);

// From init or fault into the election: an owner is master at once.
void start(Turn& turn, Reason reason);

// All timers stop, and what only the old state knew is forgotten.
void become_master(Turn& turn, Reason reason);
void become_backup(Turn& turn, Reason reason);  // with the timer at the master-down time
void become_idle(Turn& turn, State to, Reason reason);

// The master of this advert is accepted: its interval adopted, the master-down timer set anew.
void accept_master(Turn& turn, const AdvertCame& advert);

[[nodiscard]] Duration interval_of(uint16_t interval_cs);
[[nodiscard]] Duration advert_interval(const Settings& settings);  // of ours

[[nodiscard]] inline bool is_due(const Turn& turn, const std::optional<Time>& timer) {
  return timer && *timer <= turn.now;
}

}  // namespace headgate::vrrp
