// One machine in virtual time, with what it asks for as text: "advert 100, claim, announce 5,
// backup>master (master down)".
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vrrp/machine.h"

namespace headgate::vrrp::test {

using namespace std::chrono_literals;

inline net::IpAddress host(uint8_t last) {
  return net::Ipv4Address::from_host(0x0a4d0000U | last);
}

inline std::string text_of(const Action& action) {
  struct Writer {
    std::string operator()(const SendAdvert& send) const {
      return "advert " + std::to_string(send.priority);
    }
    std::string operator()(const Claim&) const { return "claim"; }
    std::string operator()(const Release&) const { return "release"; }
    std::string operator()(const Announce& announce) const {
      return "announce " + std::to_string(announce.repeat);
    }
    std::string operator()(const Transition& way) const {
      return std::string(name_of(way.from)) + '>' + std::string(name_of(way.to)) + " (" +
             std::string(name_of(way.reason)) + ')';
    }
  };
  return std::visit(Writer{}, action);
}

inline std::string text_of(const std::vector<Action>& actions) {
  std::string text;
  for (const Action& action : actions) {
    if (!text.empty()) text += ", ";
    text += text_of(action);
  }
  return text;
}

struct Rig {
  Settings settings;
  Machine machine;
  Time now = 1000s;

  explicit Rig(const Settings& wanted) : settings(wanted), machine(initial_machine(wanted)) {}

  std::string on(const Event& event) {
    Step taken = step(settings, machine, event, now);
    machine = taken.machine;
    return text_of(taken.actions);
  }
  std::string hear(uint8_t priority, uint8_t from, uint16_t interval_cs = 100) {
    return on(AdvertCame{priority, interval_cs, host(from)});
  }
  // To the next deadline, and through it.
  std::string wake() {
    now = next_deadline(machine).value();
    return on(TimerCame{});
  }
  std::string wait(Duration time) {
    now += time;
    return on(TimerCame{});
  }
  [[nodiscard]] Duration left() const { return next_deadline(machine).value() - now; }
};

// Address 10.77.0.10, priority 100, one second.
inline Settings settings_of(Version version, uint8_t priority = 100) {
  return {.version = version, .vrid = 51, .priority = priority, .source = host(10)};
}

inline Rig backup_of(const Settings& settings) {
  Rig rig(settings);
  rig.on(Started{});
  return rig;
}

inline Rig master_of(const Settings& settings) {
  Rig rig = backup_of(settings);
  if (rig.machine.state == State::backup) rig.wake();
  return rig;
}

}  // namespace headgate::vrrp::test
