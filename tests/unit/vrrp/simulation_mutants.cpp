// Nineteen ways to get the machine wrong, each around the real one.
#include <algorithm>
#include <variant>

#include "tests/unit/vrrp/simulation.h"

namespace headgate::vrrp::simulation {
namespace {

template <typename T>
void remove(std::vector<Action>& actions) {
  std::erase_if(actions, [](const Action& action) { return std::holds_alternative<T>(action); });
}

bool hears(const Machine& machine, State state, const Event& event) {
  return machine.state == state && std::holds_alternative<AdvertCame>(event);
}

uint8_t priority_of(const Event& event) {
  return std::get<AdvertCame>(event).priority;
}

Step skew_subtracted(const Settings& settings, Machine machine, const Event& event, Time now) {
  const auto before = machine.master_down_at;
  Step taken = step(settings, machine, event, now);
  Machine& after = taken.machine;
  const bool is_new = after.master_down_at && after.master_down_at != before;
  if (is_new && !after.master_left && !std::holds_alternative<PriorityChanged>(event)) {
    *after.master_down_at -= 2 * skew_time(settings, after);
  }
  return taken;
}

Step skew_of_higher_priority_longer(const Settings& settings, Machine machine, const Event& event,
                                    Time now) {
  const auto before = machine.master_down_at;
  Step taken = step(settings, machine, event, now);
  Machine& after = taken.machine;
  if (after.master_down_at && after.master_down_at != before) {
    Machine inverted = after;
    inverted.priority = static_cast<uint8_t>(256 - std::max<int>(1, after.priority));
    *after.master_down_at += skew_time(settings, inverted) - skew_time(settings, after);
  }
  return taken;
}

Step skew_of_the_other_version(const Settings& settings, Machine machine, const Event& event,
                               Time now) {
  Settings other = settings;
  other.version = settings.version == Version::v2 ? Version::v3 : Version::v2;
  return step(other, machine, event, now);
}

Step tie_to_lower_address(const Settings& settings, Machine machine, const Event& event, Time now) {
  if (!hears(machine, State::master, event) || priority_of(event) != machine.priority ||
      machine.priority == owner_priority) {
    return step(settings, machine, event, now);
  }
  AdvertCame advert = std::get<AdvertCame>(event);
  advert.priority = static_cast<uint8_t>(advert.source > settings.source ? advert.priority - 1
                                                                         : advert.priority + 1);
  if (advert.priority == 0) return {machine, {}};
  return step(settings, machine, advert, now);
}

Step priority_0_ignored(const Settings& settings, Machine machine, const Event& event, Time now) {
  if (hears(machine, State::backup, event) && priority_of(event) == 0) return {machine, {}};
  return step(settings, machine, event, now);
}

Step priority_0_not_sent(const Settings& settings, Machine machine, const Event& event, Time now) {
  Step taken = step(settings, machine, event, now);
  std::erase(taken.actions, Action{SendAdvert{0}});
  return taken;
}

Step preempts_though_told_not_to(const Settings& settings, Machine machine, const Event& event,
                                 Time now) {
  Settings other = settings;
  other.preempt = true;
  return step(other, machine, event, now);
}

Step preempts_without_delay(const Settings& settings, Machine machine, const Event& event,
                            Time now) {
  Settings other = settings;
  other.preempt_delay = {};
  return step(other, machine, event, now);
}

Step never_preempts(const Settings& settings, Machine machine, const Event& event, Time now) {
  Settings other = settings;
  other.preempt = false;
  return step(other, machine, event, now);
}

Step master_in_fault(const Settings& settings, Machine machine, const Event& event, Time now) {
  if (machine.state == State::master && std::holds_alternative<FaultBegan>(event)) {
    return {machine, {}};
  }
  return step(settings, machine, event, now);
}

Step timer_not_reset(const Settings& settings, Machine machine, const Event& event, Time now) {
  const auto before = machine.master_down_at;
  const bool is_heard = hears(machine, State::backup, event) && priority_of(event) != 0;
  Step taken = step(settings, machine, event, now);
  if (is_heard) taken.machine.master_down_at = before;
  return taken;
}

Step interval_not_adopted(const Settings& settings, Machine machine, const Event& event, Time now) {
  Event changed = event;
  if (auto* advert = std::get_if<AdvertCame>(&changed)) advert->interval_cs = settings.interval_cs;
  return step(settings, machine, changed, now);
}

Step never_yields(const Settings& settings, Machine machine, const Event& event, Time now) {
  if (hears(machine, State::master, event) && priority_of(event) > machine.priority) {
    return {machine, {}};
  }
  return step(settings, machine, event, now);
}

Step no_release(const Settings& settings, Machine machine, const Event& event, Time now) {
  Step taken = step(settings, machine, event, now);
  remove<Release>(taken.actions);
  return taken;
}

Step comes_back_after_step_down(const Settings& settings, Machine machine, const Event& event,
                                Time now) {
  Step taken = step(settings, machine, event, now);
  taken.machine.yields = false;
  return taken;
}

Step priority_change_restarts_timer(const Settings& settings, Machine machine, const Event& event,
                                    Time now) {
  Step taken = step(settings, machine, event, now);
  if (machine.state == State::backup && std::holds_alternative<PriorityChanged>(event)) {
    taken.machine.master_down_at = now + master_down_time(settings, taken.machine);
  }
  return taken;
}

Step adverts_made_up_for(const Settings& settings, Machine machine, const Event& event, Time now) {
  const auto due = machine.advert_at;
  Step taken = step(settings, machine, event, now);
  if (due && *due <= now && std::holds_alternative<TimerCame>(event)) {
    taken.machine.advert_at = *due + std::chrono::milliseconds(10) * settings.interval_cs;
  }
  return taken;
}

Step group_ignored(const Settings& settings, Machine machine, const Event& event, Time now) {
  if (std::holds_alternative<GroupMoved>(event)) return {machine, {}};
  return step(settings, machine, event, now);
}

Step old_priority_in_adverts(const Settings& settings, Machine machine, const Event& event,
                             Time now) {
  Step taken = step(settings, machine, event, now);
  for (Action& action : taken.actions) {
    auto* advert = std::get_if<SendAdvert>(&action);
    if (advert != nullptr && advert->priority != 0) advert->priority = settings.priority;
  }
  return taken;
}

}  // namespace

const std::array<Mutant, mutant_count>& mutants() {
  static const std::array<Mutant, mutant_count> all{{
      {"skew_subtracted", skew_subtracted},
      {"skew_of_higher_priority_longer", skew_of_higher_priority_longer},
      {"skew_of_the_other_version", skew_of_the_other_version},
      {"tie_to_lower_address", tie_to_lower_address},
      {"priority_0_ignored", priority_0_ignored},
      {"priority_0_not_sent", priority_0_not_sent},
      {"preempts_though_told_not_to", preempts_though_told_not_to},
      {"preempts_without_delay", preempts_without_delay},
      {"never_preempts", never_preempts},
      {"master_in_fault", master_in_fault},
      {"timer_not_reset", timer_not_reset},
      {"interval_not_adopted", interval_not_adopted},
      {"never_yields", never_yields},
      {"no_release", no_release},
      {"comes_back_after_step_down", comes_back_after_step_down},
      {"priority_change_restarts_timer", priority_change_restarts_timer},
      {"adverts_made_up_for", adverts_made_up_for},
      {"group_ignored", group_ignored},
      {"old_priority_in_adverts", old_priority_in_adverts},
  }};
  return all;
}

}  // namespace headgate::vrrp::simulation
