// The state machine's dispatch, and the moves from state to state.
#include "vrrp/machine.h"

#include <variant>

#include "vrrp/turn.h"

namespace headgate::vrrp {
namespace {

bool is_our_own(const Settings& settings, const Event& event) {
  const auto* advert = std::get_if<AdvertCame>(&event);
  return advert != nullptr && advert->source == settings.source;
}

// Into `to` with all that belongs to the old state undone.
void move(Turn& turn, State to, Reason reason) {
  const Machine& old = turn.machine;
  turn.machine = Machine{.state = to,
                         .priority = old.priority,
                         .reason = reason,
                         .since = turn.now,
                         .master_interval_cs = turn.settings.interval_cs,
                         .yields = old.yields && (to == State::backup || to == State::fault)};
}

void add_second_burst(Turn& turn) {
  const AnnounceSettings& announce = turn.settings.announce;
  if (announce.repeat > 0 && announce.delay > Duration::zero()) {
    turn.machine.announce_at = turn.now + announce.delay;
    turn.machine.announce_repeat = announce.repeat;
  }
  if (announce.refresh > Duration::zero()) turn.machine.refresh_at = turn.now + announce.refresh;
}

}  // namespace

Machine initial_machine(const Settings& settings) {
  return Machine{.priority = settings.priority};
}

Step step(const Settings& settings, Machine machine, const Event& event, Time now) {
  Step result{.machine = machine, .actions = {}};
  if (is_our_own(settings, event)) return result;
  Turn turn{settings, result.machine, now, result.actions};
  switch (result.machine.state) {
    case State::init:
    case State::fault:
      step_idle(turn, event);
      break;
    case State::backup:
      step_backup(turn, event);
      break;
    case State::master:
      step_master(turn, event);
      break;
  }
  return result;
}

void start(Turn& turn, Reason reason) {
  if (turn.machine.priority == owner_priority) {
    become_master(turn, Reason::owner);
    return;
  }
  become_backup(turn, reason);
  if (turn.settings.preempt_delay > Duration::zero()) {
    turn.machine.preempt_at = turn.now + turn.settings.preempt_delay;
  }
}

// RFC 9568 6.4.1 and 6.4.2; the advert goes out before the addresses are claimed, so that another
// master leaves them as early as can be.
void become_master(Turn& turn, Reason reason) {
  const State from = turn.machine.state;
  const Settings& settings = turn.settings;
  move(turn, State::master, reason);
  const Duration interval = advert_interval(settings);
  const bool spread = settings.phase > Duration::zero() && settings.phase < interval;
  turn.machine.advert_at = turn.now + (spread ? settings.phase : interval);
  add_second_burst(turn);
  turn.actions.emplace_back(SendAdvert{turn.machine.priority});
  turn.actions.emplace_back(Claim{});
  if (settings.announce.repeat > 0) turn.actions.emplace_back(Announce{settings.announce.repeat});
  turn.actions.emplace_back(Transition{from, State::master, reason});
}

void become_backup(Turn& turn, Reason reason) {
  const State from = turn.machine.state;
  if (from == State::master) turn.actions.emplace_back(Release{});
  move(turn, State::backup, reason);
  turn.machine.master_down_at = turn.now + master_down_time(turn.settings, turn.machine);
  turn.actions.emplace_back(Transition{from, State::backup, reason});
}

void become_idle(Turn& turn, State to, Reason reason) {
  const State from = turn.machine.state;
  if (from == State::master) turn.actions.emplace_back(Release{});
  move(turn, to, reason);
  turn.actions.emplace_back(Transition{from, to, reason});
}

void accept_master(Turn& turn, const AdvertCame& advert) {
  Machine& machine = turn.machine;
  machine.master = advert.source;
  machine.master_priority = advert.priority;
  machine.master_left = false;
  if (turn.settings.version == Version::v3 && advert.interval_cs != 0) {
    machine.master_interval_cs = advert.interval_cs;
  }
  machine.master_down_at = turn.now + master_down_time(turn.settings, machine);
}

}  // namespace headgate::vrrp
