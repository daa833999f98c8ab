// The life of the routers, and what holds at each of their steps:
// - a virtual router in fault, or whose group is, is not master;
// - addresses are claimed and released in turn, and held exactly by a master;
// - adverts come from masters only, with their priority, or 0 from one that leaves;
// - a backup that does not preempt, or not yet, or that has stepped down, waits until it has heard
//   nobody for the master-down time;
// - a timer that was looked at is not due any more, and makes one advert at most;
// - the members of a sync group are in one state.
#include "tests/unit/vrrp/simulation_world.h"

#include <algorithm>
#include <variant>

namespace headgate::vrrp::simulation {
namespace {

template <typename T>
size_t count_of(const std::vector<Action>& actions) {
  return static_cast<size_t>(std::ranges::count_if(
      actions, [](const Action& action) { return std::holds_alternative<T>(action); }));
}

}  // namespace

Duration skew_of(const VirtualRouter& own) {
  const Duration unit =
      own.settings.version == Version::v2 ? std::chrono::seconds(1) : own.heard_interval;
  return (256 - own.machine.priority) * unit / 256;
}

Duration silence_of(const VirtualRouter& own) {
  return 3 * own.heard_interval + skew_of(own);
}

void World::require(bool holds, const std::string& what) {
  if (holds || is_over()) return;
  report.violation = std::to_string(now.count() / 1000) + " us: " + what;
}

bool World::is_in_fault(size_t router, size_t member) const {
  const auto& all = routers[router].members;
  if (members == 1) return all[member].own_fault;
  return vrrp::is_in_fault(group_of(router));
}

std::vector<Member> World::group_of(size_t router) const {
  std::vector<Member> group;
  for (const VirtualRouter& member : routers[router].members)
    group.push_back({.state = member.machine.state, .own_fault = member.own_fault});
  return group;
}

bool World::is_able(size_t router) const {
  return routers[router].runs && !is_in_fault(router, 0);
}

bool World::is_master(size_t router, size_t member) const {
  return routers[router].runs && routers[router].members[member].machine.state == State::master;
}

std::vector<size_t> World::masters(size_t side, size_t member) const {
  std::vector<size_t> found;
  for (size_t i = 0; i < routers.size(); ++i) {
    if (routers[i].side == side && is_master(i, member)) found.push_back(i);
  }
  return found;
}

size_t World::able(size_t side) const {
  size_t count = 0;
  for (size_t i = 0; i < routers.size(); ++i)
    count += routers[i].side == side && is_able(i) ? 1 : 0;
  return count;
}

void World::check_masters() {
  for (size_t side = 0; side < routers.size(); ++side) {
    const size_t wanted = able(side) > 0 ? 1 : 0;
    for (size_t member = 0; member < members; ++member) {
      const size_t found = masters(side, member).size();
      require(found == wanted,
              std::to_string(found) + " masters where there should be " + std::to_string(wanted));
    }
  }
}

void World::start(size_t router) {
  Router& box = routers[router];
  if (box.runs) return;
  box.runs = true;
  count(Trouble::start);
  for (size_t member = 0; member < members; ++member) {
    if (is_in_fault(router, member)) {
      apply(router, member, FaultBegan{});
    } else {
      apply(router, member, Started{});
    }
  }
}

void World::kill(size_t router) {
  Router& box = routers[router];
  if (!box.runs) return;
  count(Trouble::kill);
  box.runs = box.is_paused = false;
  box.inbox.clear();
  for (VirtualRouter& member : box.members) {
    const uint8_t priority = member.machine.priority;
    member.machine = initial_machine(member.settings);
    member.machine.priority = priority;
    member.claims = member.stepped_down = false;
  }
}

void World::stop(size_t router) {
  Router& box = routers[router];
  if (!box.runs || box.is_paused) return;
  count(Trouble::stop);
  for (size_t member = 0; member < members; ++member)
    apply(router, member, Stopped{});
  for (VirtualRouter& member : box.members)
    member.stepped_down = false;
  box.runs = false;
}

void World::set_fault(size_t router, size_t member, bool is_down) {
  Router& box = routers[router];
  if (box.is_paused || box.members[member].own_fault == is_down) return;
  box.members[member].own_fault = is_down;
  count(Trouble::fault);
  if (!box.runs) return;
  if (is_down) {
    apply(router, member, FaultBegan{});
  } else if (!is_in_fault(router, member)) {
    apply(router, member, FaultEnded{});
  }
}

void World::set_priority(size_t router, uint8_t priority) {
  Router& box = routers[router];
  if (box.is_paused || box.members[0].machine.priority == owner_priority) return;
  if (!priorities_change) return;
  count(Trouble::priority);
  for (size_t member = 0; member < members; ++member)
    apply(router, member, PriorityChanged{priority});
}

void World::step_down(size_t router) {
  Router& box = routers[router];
  if (!box.runs || box.is_paused || !is_master(router, 0)) return;
  count(Trouble::step_down);
  for (VirtualRouter& member : box.members)
    member.stepped_down = true;
  apply(router, 0, StepDown{});
}

void World::resume(size_t router, bool timers_first) {
  Router& box = routers[router];
  if (!box.is_paused) return;
  box.is_paused = false;
  for (size_t member = 0; timers_first && member < members; ++member)
    apply(router, member, TimerCame{});
  std::vector<Packet> inbox;
  inbox.swap(box.inbox);
  for (const Packet& packet : inbox)
    deliver(packet);
}

void World::run(Time until) {
  while (!is_over()) {
    Time timer_at = Time::max();
    size_t router = 0;
    size_t member = 0;
    for (size_t i = 0; i < routers.size(); ++i) {
      if (!routers[i].runs || routers[i].is_paused) continue;
      for (size_t j = 0; j < members; ++j) {
        const auto due = next_deadline(routers[i].members[j].machine);
        if (!due || *due - routers[i].clock >= timer_at) continue;
        timer_at = *due - routers[i].clock;
        router = i;
        member = j;
      }
    }
    const bool is_packet = !packets_.empty() && packets_.top().at <= timer_at;
    const Time next = is_packet ? packets_.top().at : timer_at;
    if (next > until) break;
    now = std::max(now, next);
    if (is_packet) {
      const Packet packet = packets_.top();
      packets_.pop();
      deliver(packet);
    } else {
      apply(router, member, TimerCame{});
    }
    if (is_settled) check_masters();
  }
  now = std::max(now, until);
}

void World::apply(size_t router, size_t member, const Event& event) {
  if (is_over()) return;
  const VirtualRouter& moved = routers[router].members[member];
  const State before = moved.machine.state;
  perform(router, member, event);
  const State after = moved.machine.state;
  if (members == 1 || before == after) return;
  const Transition way{before, after, moved.machine.reason};
  for (const auto& [other, told] : follow(group_of(router), member, way)) {
    count(Trouble::group_move);
    perform(router, other, told);
  }
  for (const VirtualRouter& other : routers[router].members) {
    require(
        other.machine.state == after || other.machine.state == State::init || after == State::init,
        "a sync group in two states");
  }
}

void World::perform(size_t router, size_t member, const Event& event) {
  VirtualRouter& own = routers[router].members[member];
  const Machine before = own.machine;
  ++report.steps;
  Step taken = step_function_(own.settings, own.machine, event, local(router));
  own.machine = taken.machine;
  for (const Action& action : taken.actions)
    act(router, member, action);
  check_step(router, member, before, event, taken);
  if (before.state == State::backup && own.machine.state == State::master &&
      std::holds_alternative<TimerCame>(event)) {
    check_patience(router, member, before);
  }
  keep_track(router, member, before, event);
  if (own.machine.state == State::master) own.stepped_down = false;
}

void World::act(size_t router, size_t member, const Action& action) {
  VirtualRouter& own = routers[router].members[member];
  if (const auto* advert = std::get_if<SendAdvert>(&action)) {
    send(router, member, advert->priority);
  } else if (std::holds_alternative<Claim>(action)) {
    require(!own.claims, "a second claim without a release");
    own.claims = true;
  } else if (std::holds_alternative<Release>(action)) {
    require(own.claims, "a release without a claim");
    own.claims = false;
  }
}

void World::check_step(size_t router, size_t member, const Machine& before, const Event& event,
                       const Step& taken) {
  const VirtualRouter& own = routers[router].members[member];
  const State after = own.machine.state;
  require(own.claims == (after == State::master), "addresses claimed by no master");
  require(after != State::master || !is_in_fault(router, member), "a master in fault");
  const size_t transitions = count_of<Transition>(taken.actions);
  require(transitions == (before.state == after ? 0U : 1U), "a change of state that is not told");
  require(transitions == 0 || std::holds_alternative<Transition>(taken.actions.back()),
          "a change of state that is not told last");
  for (const Action& action : taken.actions) {
    const auto* advert = std::get_if<SendAdvert>(&action);
    if (advert == nullptr) continue;
    require(before.state == State::master || after == State::master, "an advert of no master");
    const bool leaves = before.state == State::master && after != State::master;
    require(advert->priority == own.machine.priority || (leaves && advert->priority == 0),
            "an advert of another priority");
  }
  if (!std::holds_alternative<TimerCame>(event)) return;
  require(count_of<SendAdvert>(taken.actions) <= 1, "a burst of adverts");
  const auto due = next_deadline(own.machine);
  require(!due || *due > local(router), "a timer that stays due");
}

void World::check_patience(size_t router, size_t member, const Machine& before) {
  const VirtualRouter& own = routers[router].members[member];
  const Duration delay_of_own = own.settings.preempt_delay;
  const bool is_delayed = delay_of_own > Duration::zero() &&
                          (!own.delay_from || local(router) - *own.delay_from < delay_of_own);
  const bool may_preempt = own.settings.preempt && !own.stepped_down && !is_delayed;
  require(may_preempt || before.master_left || local(router) >= own.silent_from + silence_of(own),
          "a router preempts that must not");
}

void World::keep_track(size_t router, size_t member, const Machine& before, const Event& event) {
  VirtualRouter& own = routers[router].members[member];
  if (own.machine.state != State::backup) return;
  const Duration interval = std::chrono::milliseconds(10) * own.settings.interval_cs;
  if (before.state != State::backup) {
    own.silent_from = local(router);
    own.heard_interval = interval;
    own.delay_from.reset();
    if (before.state != State::master) own.delay_from = local(router);
  }
  const auto* advert = std::get_if<AdvertCame>(&event);
  if (advert == nullptr || advert->priority == 0) return;
  own.silent_from = local(router);
  if (version == Version::v3) {
    own.heard_interval = std::chrono::milliseconds(10) * advert->interval_cs;
  }
  if (advert->priority >= own.machine.priority) {
    own.delay_from.reset();
  } else if (!own.delay_from) {
    own.delay_from = local(router);
  }
}

void World::send(size_t router, size_t member, uint8_t priority) {
  const VirtualRouter& own = routers[router].members[member];
  const Advert advert{.version = own.settings.version,
                      .vrid = own.settings.vrid,
                      .priority = priority,
                      .interval_cs = own.settings.interval_cs,
                      .addresses = own.receiving.addresses};
  Packet packet{.from = router, .member = member};
  packet.message = encode(advert, own.settings.source, own.settings.source);
  for (packet.to = 0; packet.to < routers.size(); ++packet.to) {
    if (packet.to == router) {
      if (!chance(network.loops)) continue;
      count(Trouble::loop);
    }
    if (routers[packet.to].side == routers[router].side) post(packet);
  }
}

void World::post(const Packet& packet) {
  if (chance(network.loss)) {
    count(Trouble::loss);
    return;
  }
  size_t copies = 1;
  if (chance(network.duplicates)) {
    count(Trouble::duplicate);
    ++copies;
  }
  for (size_t i = 0; i < copies; ++i) {
    Packet copy = packet;
    copy.serial = ++serial_;
    copy.at = now + delay;
    if (network.jitter > Duration::zero() && chance(0.5)) {
      copy.at += up_to(network.jitter);
      count(Trouble::delay);
    }
    if (chance(network.damage)) {
      copy.message[below(copy.message.size())] ^= static_cast<uint8_t>(1 + below(255));
      count(Trouble::damage);
    }
    packets_.push(std::move(copy));
  }
}

void World::deliver(const Packet& packet) {
  Router& box = routers[packet.to];
  if (!box.runs) return;
  if (box.is_paused) {
    box.inbox.push_back(packet);
    return;
  }
  uint64_t& last = box.last_serial[packet.from];
  if (packet.serial < last) count(Trouble::reordering);
  last = std::max(last, packet.serial);
  const VirtualRouter& own = box.members[packet.member];
  const net::IpAddress& source = routers[packet.from].members[packet.member].settings.source;
  const auto accepted = receive(
      own.receiving,
      {.message = packet.message, .source = source, .destination = source, .ttl = advert_ttl});
  if (!accepted) return;
  require(packet.from != packet.to, "an advert of its own is heard");
  const Advert& advert = accepted->advert;
  apply(packet.to, packet.member, AdvertCame{advert.priority, advert.interval_cs, source});
}

}  // namespace headgate::vrrp::simulation
