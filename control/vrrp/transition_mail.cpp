#include "control/vrrp/transition_mail.h"

#include <fmt/format.h>

namespace headgate::control {

MailMessage transition_mail(std::string_view router_id, const Notification& notification) {
  const bool group = notification.kind == NotifyKind::group;
  const std::string_view kind = group ? "VRRP Group" : "VRRP Instance";
  const std::string_view state = name_of(notification.state);
  MailMessage mail;
  mail.subject = notification.state == NotifyState::stop
                     ? fmt::format("[{}] {} {} - Stopping", router_id, kind, notification.name)
                     : fmt::format("[{}] {} {} - Entering {} STATE", router_id, kind,
                                   notification.name, state);
  mail.body = fmt::format("{} {}: {}, priority {}\n", kind, notification.name, state,
                          notification.priority);
  return mail;
}

}  // namespace headgate::control
