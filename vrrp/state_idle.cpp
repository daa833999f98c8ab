// Init and fault: RFC 9568 section 6.4.1. Adverts and timers mean nothing here.
#include <variant>

#include "vrrp/turn.h"

namespace headgate::vrrp {

void step_idle(Turn& turn, const Event& event) {
  const bool in_fault = turn.machine.state == State::fault;
  if (const auto* changed = std::get_if<PriorityChanged>(&event)) {
    turn.machine.priority = changed->priority;
  } else if (in_fault) {
    if (std::holds_alternative<FaultEnded>(event)) start(turn, Reason::fault_ended);
    if (std::holds_alternative<Stopped>(event)) become_idle(turn, State::init, Reason::stopped);
  } else {
    if (std::holds_alternative<Started>(event)) start(turn, Reason::started);
    if (std::holds_alternative<FaultBegan>(event)) become_idle(turn, State::fault, Reason::fault);
  }
}

}  // namespace headgate::vrrp
