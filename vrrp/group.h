// Sync groups: virtual routers that are master together or not at all. Pure, as the machine is: who
// runs the members tells the group each transition and gets the events for the other members.
//
// A member in fault keeps the others from being master: they are in fault with it. A member that
// becomes master takes the others along, and so does one that yields; but one that only starts
// joins the others.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "vrrp/machine.h"

namespace headgate::vrrp {

struct Member {
  State state = State::init;
  bool own_fault = false;  // something that it tracks itself is down
};

struct MemberEvent {
  size_t member = 0;  // index
  Event event;
};

// `members` as they are after `moved` went through `transition`. The events are for the other
// members, in order, or for one that has just started while the others are master; stepping them
// leads to transitions that need no further call.
[[nodiscard]] std::vector<MemberEvent> follow(std::span<const Member> members, size_t moved,
                                              const Transition& transition);

// The group is in fault while any member is by itself.
[[nodiscard]] bool is_in_fault(std::span<const Member> members);

enum class GroupState : uint8_t { mixed, fault, backup, master };
[[nodiscard]] std::string_view name_of(GroupState state);
// What all members are; `mixed` in the midst of a move.
[[nodiscard]] GroupState state_of(std::span<const Member> members);

}  // namespace headgate::vrrp
