#include "control/vrrp/notification.h"

#include <array>

#include <fmt/format.h>

namespace headgate::control {

std::string_view name_of(NotifyKind kind) {
  return kind == NotifyKind::instance ? "INSTANCE" : "GROUP";
}

std::string_view name_of(NotifyState state) {
  constexpr std::array<std::string_view, 4> names{"MASTER", "BACKUP", "FAULT", "STOP"};
  return names[static_cast<size_t>(state)];
}

std::string fifo_line(const Notification& notification) {
  return fmt::format("{} \"{}\" {} {}", name_of(notification.kind), notification.name,
                     name_of(notification.state), notification.priority);
}

}  // namespace headgate::control
