// real_server: a backend and its checks.
#pragma once

#include <optional>
#include <string>

#include "config/keepalived/checks.h"
#include "config/keepalived/draft.h"

namespace headgate::config::keepalived {

// What a service and its backends share while they are read.
struct ServerState {
  CheckDefaults checks;
  std::optional<bool> service_mail;  // smtp_alert of the virtual_server
  std::optional<bool> backend_mail;  // of any real_server
  bool first_user = true;            // no command was read yet
};

// NAT, DR, TUN, FNAT; `type gue` and the like after TUN are an error.
[[nodiscard]] std::optional<Mode> read_method(Draft& draft, const Statement& statement);

// `path` is that of the backend; it is added to `service`.
void read_real_server(Draft& draft, const Statement& block, Service& service, ServerState& state,
                      const std::string& service_path);

}  // namespace headgate::config::keepalived
