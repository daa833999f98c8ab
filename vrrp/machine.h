// One virtual router as RFC 9568 section 6.4 draws it, for both versions:
// (settings, machine, event, now) -> (machine, actions). No socket, no clock, no thread: who runs
// it tells it the time and what happened, does what it asks for in that order, and calls again when
// next_deadline() has come.
//
// The tables of RFC 9568 6.4 to the letter, for both versions, and beyond them:
// - A backup does not preempt while preempt_delay runs, nor after StepDown until it was master
//   again: until then adverts of lower priority count as they do without preemption.
// - A change of priority moves the master-down timer by the difference of the skew times. It never
//   starts it anew: a priority that goes up and down would put off the take-over for ever.
// - A master answers an advert of lower priority with one of its own, in version 2 too, and tells
//   the segment once more where the addresses are.
// - A master that leaves for another reason than a better master sends priority 0.
// - A timer that is seen late fires once: no advert is made up for. The next one is due where it
//   would have been anyhow.
// - Nobody yields to an advert from its own address, and an owner to none at all.
//
//             Started, priority below 255                 master down timer
//   ┌───────┐ ─────────────────────────► ┌────────┐ ─────────────────────────► ┌────────┐
//   │ init, │                            │ backup │                            │ master │
//   │ fault │ ◄───────────────────────── └────────┘ ◄───────────────────────── └────────┘
//   └───────┘  Stopped, FaultBegan                    a better master, StepDown
//
// From init and fault an owner (priority 255) goes to master at once; from fault it is FaultEnded
// that leads on. A router that starts with something down gets FaultBegan in place of Started.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "dataplane/net/address.h"
#include "vrrp/advert.h"

namespace headgate::vrrp {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::nanoseconds;  // since any one moment; never goes back

enum class State : uint8_t {
  init,    // not started, or stopped
  fault,   // may not be master: something that it tracks is down, or maintenance
  backup,  //
  master,
};
[[nodiscard]] std::string_view name_of(State state);

// Gratuitous ARP or unsolicited neighbour advertisements after becoming master.
struct AnnounceSettings {
  uint16_t repeat = 5;  // times for each address, at once
  Duration delay{};     // until the second burst of as many; 0: there is none
  Duration refresh{};   // between bursts while master; 0: none
  uint16_t refresh_repeat = 1;
  // After an advert of lower priority made us defend mastership; 0: none.
  uint16_t lower_priority_repeat = 5;
  Duration lower_priority_delay{};  // until the second burst of as many; 0: there is none

  bool operator==(const AnnounceSettings&) const = default;
};

// What does not change but by configuration.
struct Settings {
  Version version = Version::v3;
  uint8_t vrid = 1;
  uint8_t priority = 100;      // base; 255: owner of the addresses
  uint16_t interval_cs = 100;  // centiseconds; of v2 whole seconds
  net::IpAddress source{};     // primary address: breaks ties, higher wins
  bool preempt = true;         // a backup of higher priority takes over
  Duration preempt_delay{};    // from the start, or from the first sight of a lower master
  bool lower_priority_no_advert = false;     // do not answer adverts of lower priority with one
  bool higher_priority_send_advert = false;  // one more advert before yielding to a better master
  AnnounceSettings announce{};
  // Where in an interval a master's second advert is due, 0 < phase <= interval; spreads the
  // adverts of many virtual routers that became master together. 0: a whole interval.
  Duration phase{};

  bool operator==(const Settings&) const = default;
};

// Why a transition took place; name_of() says it in words for logs and `show vrrp`.
enum class Reason : uint8_t {
  none,
  started,
  stopped,
  owner,            // priority 255
  master_down,      // no advert for the master-down time, or only of lower priority
  master_left,      // the master sent priority 0, and the skew time passed
  higher_priority,  // an advert of a better master
  higher_address,   // an advert of equal priority from a higher address
  step_down,        // by hand
  fault,            // FaultBegan
  fault_ended,      //
  group,            // with its sync group
};
[[nodiscard]] std::string_view name_of(Reason reason);

// The state of a virtual router: a value, compared and copied freely.
struct Machine {
  State state = State::init;
  uint8_t priority = 100;  // effective: 1..254, or 255 of an owner
  Reason reason = Reason::none;
  Time since{};                     // of the last transition
  uint16_t master_interval_cs = 0;  // v3: as the master advertises it; v2: the configured one
  net::IpAddress master{};  // source of the last advert that counted; family none: nobody, or us
  uint8_t master_priority = 0;
  bool master_left = false;  // the master-down timer runs for the skew time after priority 0
  bool yields = false;       // after StepDown: does not preempt until it was master again
  bool preempts = false;     // preempt_delay is over
  // Timers; empty: not running.
  std::optional<Time> advert_at{};       // master
  std::optional<Time> master_down_at{};  // backup
  std::optional<Time> preempt_at{};      // backup, with preempt_delay
  std::optional<Time> announce_at{};     // master: the second burst
  uint16_t announce_repeat = 0;          // of that burst
  std::optional<Time> refresh_at{};      // master

  bool operator==(const Machine&) const = default;
};

// ---- events

struct Started {};  // Machine::priority is set before, by initial_machine() or PriorityChanged
struct Stopped {};
struct TimerCame {};  // next_deadline() is not later than now
struct AdvertCame {   // accepted by receive.h
  uint8_t priority = 0;
  uint16_t interval_cs = 0;
  net::IpAddress source{};
};
struct PriorityChanged {  // effective priority, by tracking or configuration
  uint8_t priority = 0;
};
struct FaultBegan {};  // in init: it is Started, into fault
struct FaultEnded {};
struct StepDown {};  // master: leave, and preempt nobody until it was master again, which it will
                     // be after the master-down time if nobody else is
struct GroupMoved {  // another member of the sync group went there: backup or master
  State to = State::backup;
};
struct Reconfigured {};  // `settings` differ from those of the last step in other things than
                         // priority: timers are set anew as far as they depend on it. Another
                         // version, VRID or family is another virtual router: Stopped, Started.

using Event = std::variant<Started, Stopped, TimerCame, AdvertCame, PriorityChanged, FaultBegan,
                           FaultEnded, StepDown, GroupMoved, Reconfigured>;

// ---- actions

struct SendAdvert {
  uint8_t priority = 0;
  bool operator==(const SendAdvert&) const = default;
};
struct Claim {  // the addresses are ours: answer for them, take their traffic
  bool operator==(const Claim&) const = default;
};
struct Release {  // they are not any more
  bool operator==(const Release&) const = default;
};
struct Announce {  // gratuitous ARP or NA: each address, `repeat` times
  uint16_t repeat = 0;
  bool operator==(const Announce&) const = default;
};
struct Transition {  // the state has changed; comes last
  State from = State::init;
  State to = State::init;
  Reason reason = Reason::none;
  bool operator==(const Transition&) const = default;
};
using Action = std::variant<SendAdvert, Claim, Release, Announce, Transition>;

// A machine in init with the priority of `settings`.
[[nodiscard]] Machine initial_machine(const Settings& settings);

struct Step {
  Machine machine;
  std::vector<Action> actions;
};

[[nodiscard]] Step step(const Settings& settings, Machine machine, const Event& event, Time now);

// The earliest of the running timers.
[[nodiscard]] std::optional<Time> next_deadline(const Machine& machine);

// Times of RFC 9568 section 6.1 and RFC 3768 section 6.1. Of v3 by the interval that the master
// advertises, of v2 by the configured one; the skew of v2 is (256 - priority) / 256 s.
[[nodiscard]] Duration skew_time(const Settings& settings, const Machine& machine);
[[nodiscard]] Duration master_down_time(const Settings& settings, const Machine& machine);

// The effective priority: base and weights, clamped to 1..254; an owner's stays 255.
[[nodiscard]] uint8_t effective_priority(uint8_t base, int weights);

}  // namespace headgate::vrrp
