// A transition of a virtual router or a sync group, as others are told of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/vrrp_model.h"

namespace headgate::control {

enum class NotifyKind : uint8_t { instance, group };
enum class NotifyState : uint8_t { master, backup, fault, stop };

[[nodiscard]] std::string_view name_of(NotifyKind kind);    // INSTANCE, GROUP
[[nodiscard]] std::string_view name_of(NotifyState state);  // MASTER, BACKUP, FAULT, STOP

struct Notification {
  NotifyKind kind = NotifyKind::instance;
  std::string name;
  NotifyState state = NotifyState::backup;
  uint8_t priority = 0;  // effective
  config::VrrpNotify settings;
};

// As keepalived writes it to its pipe: INSTANCE "VI_1" MASTER 100
[[nodiscard]] std::string fifo_line(const Notification& notification);

}  // namespace headgate::control
