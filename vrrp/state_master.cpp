// Master, "Active" in RFC 9568: section 6.4.3.
#include <algorithm>
#include <variant>

#include "vrrp/turn.h"

namespace headgate::vrrp {
namespace {

void send_advert(Turn& turn, uint8_t priority) {
  turn.actions.emplace_back(SendAdvert{priority});
}

// The first moment after now on the grid of `period` through `due`: however late a timer is seen,
// it comes once, and adverts keep their place among those of the other virtual routers.
Time next_on_grid(Time due, Duration period, Time now) {
  return due + period * ((now - due) / period + 1);
}

void yield(Turn& turn, const AdvertCame& advert) {
  if (turn.settings.higher_priority_send_advert) send_advert(turn, turn.machine.priority);
  become_backup(turn, advert.priority > turn.machine.priority ? Reason::higher_priority
                                                              : Reason::higher_address);
  accept_master(turn, advert);
}

// Another master that is not better. A second burst that is on its way keeps its time: adverts that
// go on coming would put it off for ever.
void defend(Turn& turn) {
  const AnnounceSettings& announce = turn.settings.announce;
  Machine& machine = turn.machine;
  if (!turn.settings.lower_priority_no_advert) send_advert(turn, machine.priority);
  if (announce.lower_priority_repeat == 0) return;
  turn.actions.emplace_back(Announce{announce.lower_priority_repeat});
  if (announce.lower_priority_delay == Duration::zero()) return;
  if (!machine.announce_at) machine.announce_at = turn.now + announce.lower_priority_delay;
  machine.announce_repeat = std::max(machine.announce_repeat, announce.lower_priority_repeat);
}

void hear(Turn& turn, const AdvertCame& advert) {
  Machine& machine = turn.machine;
  if (advert.priority == leaving_priority) {
    send_advert(turn, machine.priority);
    machine.advert_at = turn.now + advert_interval(turn.settings);
    return;
  }
  const bool is_better =
      advert.priority > machine.priority ||
      (advert.priority == machine.priority && advert.source > turn.settings.source);
  if (is_better && machine.priority != owner_priority) {
    yield(turn, advert);
  } else {
    defend(turn);
  }
}

void look_at_timers(Turn& turn) {
  Machine& machine = turn.machine;
  const AnnounceSettings& announce = turn.settings.announce;
  if (is_due(turn, machine.advert_at)) {
    send_advert(turn, machine.priority);
    machine.advert_at = next_on_grid(*machine.advert_at, advert_interval(turn.settings), turn.now);
  }
  if (is_due(turn, machine.announce_at)) {
    turn.actions.emplace_back(Announce{machine.announce_repeat});
    machine.announce_at.reset();
    machine.announce_repeat = 0;
  }
  if (is_due(turn, machine.refresh_at)) {
    turn.actions.emplace_back(Announce{announce.refresh_repeat});
    machine.refresh_at = next_on_grid(*machine.refresh_at, announce.refresh, turn.now);
  }
}

// Nothing comes later than it would have, nor later than the new settings have it.
void take_over_settings(Turn& turn) {
  Machine& machine = turn.machine;
  const Duration refresh = turn.settings.announce.refresh;
  machine.master_interval_cs = turn.settings.interval_cs;
  machine.advert_at = std::min(*machine.advert_at, turn.now + advert_interval(turn.settings));
  if (refresh == Duration::zero()) {
    machine.refresh_at.reset();
  } else {
    machine.refresh_at = std::min(machine.refresh_at.value_or(Time::max()), turn.now + refresh);
  }
}

// Not for a better master: the others are told, so that they need not wait.
void leave(Turn& turn, State to, Reason reason) {
  send_advert(turn, leaving_priority);
  if (to == State::backup) {
    become_backup(turn, reason);
  } else {
    become_idle(turn, to, reason);
  }
}

}  // namespace

void step_master(Turn& turn, const Event& event) {
  if (const auto* advert = std::get_if<AdvertCame>(&event)) {
    hear(turn, *advert);
  } else if (std::holds_alternative<TimerCame>(event)) {
    look_at_timers(turn);
  } else if (const auto* changed = std::get_if<PriorityChanged>(&event)) {
    turn.machine.priority = changed->priority;  // the next advert says so
  } else if (std::holds_alternative<FaultBegan>(event)) {
    leave(turn, State::fault, Reason::fault);
  } else if (std::holds_alternative<Stopped>(event)) {
    leave(turn, State::init, Reason::stopped);
  } else if (std::holds_alternative<StepDown>(event)) {
    leave(turn, State::backup, Reason::step_down);
    turn.machine.yields = true;
  } else if (std::holds_alternative<Reconfigured>(event)) {
    take_over_settings(turn);
  } else if (const auto* moved = std::get_if<GroupMoved>(&event)) {
    if (moved->to == State::backup) leave(turn, State::backup, Reason::group);
  }
}

}  // namespace headgate::vrrp
