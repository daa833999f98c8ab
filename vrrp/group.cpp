// What the other members of a sync group are told when one of them has moved.
#include "vrrp/group.h"

#include <algorithm>
#include <optional>

namespace headgate::vrrp {
namespace {

// To a member in state `from`, so that it comes where the group goes. From fault it is two events.
void lead(std::vector<MemberEvent>& events, size_t member, State from, const Transition& way) {
  const auto tell = [&](const Event& event) { events.push_back({member, event}); };
  if (from == State::init) return;
  if (way.to == State::fault) {
    if (from != State::fault) tell(FaultBegan{});
    return;
  }
  if (from == State::fault) tell(FaultEnded{});
  if (way.to == State::master && from != State::master) tell(GroupMoved{State::master});
  if (way.to == State::backup && from == State::master) {
    // One that only moved along would preempt, and take the one that stepped down with it.
    if (way.reason == Reason::step_down) {
      tell(StepDown{});
    } else {
      tell(GroupMoved{State::backup});
    }
  }
}

}  // namespace

std::vector<MemberEvent> follow(std::span<const Member> members, size_t moved,
                                const Transition& transition) {
  std::vector<MemberEvent> events;
  // One that is stopped is no member any more.
  if (transition.to == State::init) return events;
  const bool stays_in_fault = is_in_fault(members);
  // A newcomer (a reload has added it, or it was late) goes where the group is already.
  const auto is_master = [](const Member& member) { return member.state == State::master; };
  if (transition.from == State::init && transition.to == State::backup && !stays_in_fault &&
      std::ranges::any_of(members, is_master)) {
    return {{moved, GroupMoved{State::master}}};
  }
  for (size_t i = 0; i < members.size(); ++i) {
    if (i == moved) continue;
    if (stays_in_fault && transition.to != State::fault) continue;
    lead(events, i, members[i].state, transition);
  }
  return events;
}

bool is_in_fault(std::span<const Member> members) {
  return std::ranges::any_of(members, &Member::own_fault);
}

GroupState state_of(std::span<const Member> members) {
  if (members.empty()) return GroupState::mixed;
  const State first = members.front().state;
  if (!std::ranges::all_of(members, [&](const Member& m) { return m.state == first; })) {
    return GroupState::mixed;
  }
  switch (first) {
    case State::fault:
      return GroupState::fault;
    case State::backup:
      return GroupState::backup;
    case State::master:
      return GroupState::master;
    case State::init:
      break;
  }
  return GroupState::mixed;
}

}  // namespace headgate::vrrp
