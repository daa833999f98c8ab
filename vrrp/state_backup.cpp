// Backup: RFC 9568 section 6.4.2.
#include <variant>

#include "vrrp/turn.h"

namespace headgate::vrrp {
namespace {

bool may_preempt(const Turn& turn) {
  const bool waits = turn.settings.preempt_delay > Duration::zero() && !turn.machine.preempts;
  return turn.settings.preempt && !turn.machine.yields && !waits;
}

// preempt_delay counts from the first sight of a lower master; with a better one it is for nothing.
void watch_preemption(Turn& turn, bool master_is_lower) {
  Machine& machine = turn.machine;
  if (turn.settings.preempt_delay == Duration::zero()) return;
  if (!master_is_lower) {
    machine.preempts = false;
    machine.preempt_at.reset();
  } else if (!machine.preempts && !machine.preempt_at) {
    machine.preempt_at = turn.now + turn.settings.preempt_delay;
  }
}

void hear(Turn& turn, const AdvertCame& advert) {
  Machine& machine = turn.machine;
  if (advert.priority == leaving_priority) {
    machine.master_down_at = turn.now + skew_time(turn.settings, machine);
    machine.master_left = true;
    return;
  }
  const bool is_lower = advert.priority < machine.priority;
  watch_preemption(turn, is_lower);
  // The master-down timer runs on: that is how a router preempts.
  machine.lower_master = is_lower && may_preempt(turn);
  if (machine.lower_master) return;
  accept_master(turn, advert);
}

Reason why_master(const Machine& machine) {
  if (machine.master_left) return Reason::master_left;
  return machine.lower_master ? Reason::preemption : Reason::master_down;
}

void look_at_timers(Turn& turn) {
  Machine& machine = turn.machine;
  if (is_due(turn, machine.preempt_at)) {
    machine.preempt_at.reset();
    machine.preempts = true;
  }
  if (is_due(turn, machine.master_down_at)) {
    become_master(turn, why_master(machine));
  }
}

void change_priority(Turn& turn, uint8_t priority) {
  Machine& machine = turn.machine;
  if (priority == machine.priority) return;
  const Duration skew_before = skew_time(turn.settings, machine);
  machine.priority = priority;
  if (priority == owner_priority) {
    become_master(turn, Reason::owner);
    return;
  }
  *machine.master_down_at += skew_time(turn.settings, machine) - skew_before;
}

void take_over_settings(Turn& turn) {
  Machine& machine = turn.machine;
  const Settings& settings = turn.settings;
  const bool by_own_interval =
      settings.version == Version::v2 || machine.master.family == net::Family::none;
  if (by_own_interval && machine.master_interval_cs != settings.interval_cs) {
    machine.master_interval_cs = settings.interval_cs;
    machine.master_down_at = turn.now + master_down_time(settings, machine);
  }
  if (!machine.preempt_at) return;
  // When the delay began is not known any more; it does not become longer than it would have been.
  const Time latest = turn.now + settings.preempt_delay;
  if (settings.preempt_delay == Duration::zero()) machine.preempt_at.reset();
  if (machine.preempt_at && latest < *machine.preempt_at) machine.preempt_at = latest;
}

}  // namespace

void step_backup(Turn& turn, const Event& event) {
  if (const auto* advert = std::get_if<AdvertCame>(&event)) {
    hear(turn, *advert);
  } else if (std::holds_alternative<TimerCame>(event)) {
    look_at_timers(turn);
  } else if (const auto* changed = std::get_if<PriorityChanged>(&event)) {
    change_priority(turn, changed->priority);
  } else if (std::holds_alternative<FaultBegan>(event)) {
    become_idle(turn, State::fault, Reason::fault);
  } else if (std::holds_alternative<Stopped>(event)) {
    become_idle(turn, State::init, Reason::stopped);
  } else if (std::holds_alternative<Reconfigured>(event)) {
    take_over_settings(turn);
  } else if (const auto* moved = std::get_if<GroupMoved>(&event)) {
    if (moved->to == State::master) become_master(turn, Reason::group);
  }
}

}  // namespace headgate::vrrp
