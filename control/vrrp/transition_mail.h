// The mail that tells of a transition, in keepalived's form:
// `[router_id] VRRP Instance NAME - Entering MASTER STATE`.
#pragma once

#include <string_view>

#include "control/mailer.h"
#include "control/vrrp/notification.h"

namespace headgate::control {

[[nodiscard]] MailMessage transition_mail(std::string_view router_id,
                                          const Notification& notification);

}  // namespace headgate::control
