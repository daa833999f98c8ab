// A run of the simulation: who takes part, the trouble, the calm and the take-over in it.
#include "tests/unit/vrrp/simulation.h"

#include <algorithm>
#include <utility>

#include "tests/unit/vrrp/simulation_world.h"

namespace headgate::vrrp::simulation {
namespace {

using namespace std::chrono_literals;

net::IpAddress address(bool is_v6, size_t network, size_t host) {
  const auto last = static_cast<uint8_t>(host);
  if (!is_v6) {
    return net::Ipv4Address::from_host(0x0a000000U | static_cast<uint32_t>(network << 8) | last);
  }
  net::Ipv6Address result{{0xfe, 0x80}};
  result.bytes[14] = static_cast<uint8_t>(network);
  result.bytes[15] = last;
  return result;
}

// What the routers of a run have in common.
struct Style {
  bool is_v6 = false;
  uint16_t interval_cs = 100;
  bool mixed_intervals = false;
  bool all_preempt = false;
  bool equal_priorities = false;
};

uint16_t interval_of_run(World& world) {
  if (world.version == Version::v2) return 100;
  const size_t lot = world.below(20);
  return lot == 0 ? 4 : lot < 5 ? 25 : 100;
}

Settings settings_of_router(World& world, const Style& style, bool may_own) {
  Settings settings{.version = world.version};
  settings.priority =
      style.equal_priorities ? uint8_t{100} : static_cast<uint8_t>(1 + world.below(254));
  if (may_own && world.chance(0.2)) settings.priority = owner_priority;
  const size_t factor = style.mixed_intervals ? 1 + world.below(2) : 1;
  settings.interval_cs = static_cast<uint16_t>(style.interval_cs * factor);
  settings.preempt = style.all_preempt || world.chance(0.5);
  const Duration unit = 10ms * style.interval_cs;
  if (!style.all_preempt && world.chance(0.4)) settings.preempt_delay = unit * (1 + world.below(6));
  settings.lower_priority_no_advert = world.chance(0.2);
  settings.higher_priority_send_advert = world.chance(0.2);
  settings.phase = world.up_to(10ms * settings.interval_cs);
  if (world.chance(0.3)) settings.announce.refresh = unit * (1 + world.below(4));
  settings.announce.delay = unit;
  settings.announce.lower_priority_delay = unit / 2;
  return settings;
}

VirtualRouter virtual_router(Settings settings, bool is_v6, size_t router, size_t member) {
  settings.vrid = static_cast<uint8_t>(51 + member);
  settings.source = address(is_v6, member, 10 + router);
  VirtualRouter own;
  own.settings = settings;
  own.machine = initial_machine(settings);
  own.receiving = {.version = settings.version,
                   .vrid = settings.vrid,
                   .priority = settings.priority,
                   .interval_cs = settings.interval_cs,
                   .addresses = {address(is_v6, member, 100), address(is_v6, member, 101)},
                   .source = settings.source};
  return own;
}

}  // namespace

World::World(uint64_t seed, StepFunction step_function)
    : random(seed), step_function_(step_function) {
  version = chance(0.5) ? Version::v2 : Version::v3;
  members = chance(0.3) ? 2 : 1;
  Style style;
  style.is_v6 = version == Version::v3 && chance(0.5);
  style.interval_cs = interval_of_run(*this);
  style.mixed_intervals = version == Version::v3 && chance(0.3);
  style.all_preempt = chance(0.5);
  style.equal_priorities = chance(0.25);
  priorities_change = !style.equal_priorities || chance(0.3);
  routers.resize(2 + below(4));
  for (size_t i = 0; i < routers.size(); ++i) {
    routers[i].last_serial.resize(routers.size());
    // An owner among routers that are not would pull a sync group apart.
    const Settings settings = settings_of_router(*this, style, i == 0 && members == 1);
    max_interval = std::max<Duration>(max_interval, 10ms * settings.interval_cs);
    max_preempt_delay = std::max(max_preempt_delay, settings.preempt_delay);
    for (size_t member = 0; member < members; ++member)
      routers[i].members.push_back(virtual_router(settings, style.is_v6, i, member));
  }
}

namespace {

// The largest time that a backup waits.
Duration longest_silence(const World& world) {
  return 3 * world.max_interval + std::max<Duration>(world.max_interval, 1s);
}

// After which a calm has settled: one silence until there is a master, preempt_delay from its first
// advert on, and one more silence until the better router has taken over.
Duration settling(const World& world) {
  return 2 * longest_silence(world) + world.max_preempt_delay + 2 * world.max_interval;
}

void trouble_network(World& world) {
  Network& network = world.network;
  network.loss = world.chance(0.5) ? 0.05 : 0.1 * static_cast<double>(world.below(10));
  network.duplicates = 0.1 * static_cast<double>(world.below(4));
  network.damage = 0.05;
  network.loops = 0.2;
  network.jitter = world.chance(0.5) ? world.max_interval * 3 / 2 : Duration::zero();
}

void partition(World& world) {
  world.count(Trouble::partition);
  const size_t sides = 1 + world.below(3);
  for (Router& router : world.routers)
    router.side = world.below(sides);
}

void change_life(World& world, size_t router) {
  if (!world.routers[router].runs) {
    world.start(router);
  } else if (world.chance(0.5)) {
    world.kill(router);
  } else {
    world.stop(router);
  }
}

void trouble(World& world) {
  const size_t router = world.below(world.routers.size());
  Router& box = world.routers[router];
  switch (world.below(9)) {
    case 0:
      trouble_network(world);
      break;
    case 1:
      partition(world);
      break;
    case 2:
    case 3:
      change_life(world, router);
      break;
    case 4:
      if (!box.runs) break;
      if (box.is_paused) {
        world.resume(router, world.chance(0.5));
      } else {
        box.is_paused = true;
        world.count(Trouble::pause);
      }
      break;
    case 5:
      box.clock += world.up_to(6 * world.max_interval);
      world.count(Trouble::clock_jump);
      break;
    case 6:
      world.set_priority(router, static_cast<uint8_t>(1 + world.below(254)));
      break;
    case 7:
      world.set_fault(router, world.below(world.members), world.chance(0.5));
      break;
    default:
      world.step_down(router);
      break;
  }
}

void troubled_time(World& world) {
  const Time end = world.now + 16 * world.max_interval;
  while (world.now < end && !world.is_over()) {
    world.run(world.now + world.up_to(world.max_interval));
    trouble(world);
  }
}

void begin_calm(World& world) {
  world.network = {};
  for (size_t i = 0; i < world.routers.size(); ++i) {
    world.resume(i, world.chance(0.5));
    if (world.chance(0.8)) world.start(i);
    for (size_t member = 0; member < world.members; ++member) {
      if (world.chance(0.8)) world.set_fault(i, member, false);
    }
  }
}

void wait_for_empty_network(World& world) {
  while (!world.is_network_empty() && !world.is_over())
    world.run(world.now + World::delay / 3);
}

// Once nothing is under way any more that was sent in the trouble, most partitions are healed:
// the masters of their sides meet.
void heal(World& world) {
  world.run(world.now + 2 * world.max_interval);
  if (world.chance(0.4)) return;
  world.run(world.now + world.up_to(longest_silence(world)));
  wait_for_empty_network(world);
  for (Router& router : world.routers)
    router.side = 0;
}

std::pair<uint8_t, net::IpAddress> rank(const World& world, size_t router, size_t member) {
  const VirtualRouter& own = world.routers[router].members[member];
  return {own.machine.priority, own.settings.source};
}

// Of the masters of each side and virtual router, those in office when the calm began.
class Incumbents {
 public:
  explicit Incumbents(World& world) : world_(world) {
    for (size_t side = 0; side < world.routers.size(); ++side) {
      for (size_t member = 0; member < world.members; ++member) {
        const auto found = world.masters(side, member);
        if (found.size() > 1) world.count(Trouble::two_masters);
        for (const size_t router : found)
          seats_.push_back({router, member});
      }
    }
  }

  // None of them has given way to one of lower priority, or of a lower address.
  void check() const {
    for (const auto& [router, member] : seats_) {
      for (const size_t master : world_.masters(world_.routers[router].side, member)) {
        world_.require(rank(world_, master, member) >= rank(world_, router, member),
                       "a master gave way to a lower one");
      }
    }
  }

 private:
  World& world_;
  std::vector<std::pair<size_t, size_t>> seats_;
};

void check_preemption(World& world) {
  for (size_t i = 0; i < world.routers.size(); ++i) {
    const VirtualRouter& own = world.routers[i].members[0];
    if (!world.is_able(i) || !own.settings.preempt || own.stepped_down) continue;
    for (const size_t master : world.masters(world.routers[i].side, 0)) {
      world.require(world.routers[master].members[0].machine.priority >= own.machine.priority,
                    "a router that should preempt does not");
    }
  }
}

void calm_time(World& world) {
  begin_calm(world);
  heal(world);
  const Incumbents incumbents(world);
  world.run(world.now + settling(world));
  world.check_masters();
  incumbents.check();
  check_preemption(world);
  world.is_settled = true;
  world.run(world.now + world.max_interval + world.up_to(world.max_interval));
  wait_for_empty_network(world);
  world.is_settled = false;
}

enum class Way : uint8_t { kill, stop, fault, step_down };

// When the router takes over, by the formulas alone.
Time deadline(const World& world, size_t router, Way way, Time told_at) {
  Time earliest = Time::max();
  for (const VirtualRouter& own : world.routers[router].members) {
    const Time silent_from = own.silent_from - world.routers[router].clock;
    earliest = std::min(earliest,
                        way == Way::kill ? silent_from + silence_of(own) : told_at + skew_of(own));
  }
  return earliest;
}

void leave(World& world, size_t master, Way way) {
  switch (way) {
    case Way::kill:
      world.kill(master);
      break;
    case Way::stop:
      world.stop(master);
      break;
    case Way::fault:
      world.set_fault(master, world.below(world.members), true);
      break;
    case Way::step_down:
      world.step_down(master);
      break;
  }
}

struct Succession {
  Time at = Time::max();
  std::vector<size_t> heirs;  // more than one with equal priorities

  void add(size_t router, Time due) {
    if (due < at) heirs.clear();
    if (due <= at) heirs.push_back(router);
    at = std::min(at, due);
  }
};

// Who follows `former`, that left at `left_at`, and when.
Succession succession(const World& world, size_t former, Way way, Time left_at) {
  Succession result;
  const size_t side = world.routers[former].side;
  for (size_t i = 0; i < world.routers.size(); ++i) {
    if (i == former || world.routers[i].side != side || !world.is_able(i)) continue;
    result.add(i, deadline(world, i, way, left_at + World::delay));
  }
  if (way == Way::step_down) {
    result.add(former, left_at + silence_of(world.routers[former].members[0]));
  }
  return result;
}

void check_successor(World& world, size_t side, const Succession& heirs) {
  world.run(heirs.at - 1ns);
  world.require(world.masters(side, 0).empty(), "a take-over too early");
  world.run(heirs.at);
  const auto found = world.masters(side, 0);
  world.require(!found.empty(), "a take-over too late");
  for (const size_t router : found) {
    world.require(std::ranges::find(heirs.heirs, router) != heirs.heirs.end(),
                  "a take-over by another router");
  }
  world.count(Trouble::take_over);
}

void take_over(World& world) {
  const size_t side = world.routers[world.below(world.routers.size())].side;
  const auto found = world.masters(side, 0);
  if (found.empty() || world.is_over()) return;
  const size_t master = found.front();
  const auto way = static_cast<Way>(world.below(4));
  const Time left_at = world.now;
  leave(world, master, way);
  world.run(left_at + World::delay);
  const size_t changed = world.below(world.routers.size());
  if (changed != master && world.chance(0.5)) {
    world.set_priority(changed, static_cast<uint8_t>(1 + world.below(254)));
  }
  const Succession heirs = succession(world, master, way, left_at);
  if (heirs.heirs.empty()) return;
  check_successor(world, side, heirs);
  world.run(world.now + settling(world));
  world.check_masters();
  check_preemption(world);
  if (way == Way::step_down && world.able(side) > 1) {
    world.require(!world.is_master(master, 0), "a router came back that had stepped down");
  }
}

}  // namespace

Report simulate(uint64_t seed, StepFunction step_function) {
  World world(seed, step_function);
  const Time began = world.now;
  for (size_t i = 0; i < world.routers.size(); ++i)
    world.start(i);
  while (world.now - began < 60s && !world.is_over()) {
    troubled_time(world);
    calm_time(world);
    take_over(world);
  }
  world.report.simulated = world.now - began;
  return world.report;
}

}  // namespace headgate::vrrp::simulation
