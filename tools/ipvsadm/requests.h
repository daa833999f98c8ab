// Changes as requests to the daemon, and its refusals in ipvsadm's words.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "control/protocol.h"
#include "tools/ipvsadm/options.h"

namespace headgate::ipvsadm {

// Whether the command changes services, servers or time-outs, and is made by one request that a
// transaction can hold.
[[nodiscard]] bool is_change(Command command);

// The request of a change; nothing where there is nothing to change. An error is what the daemon
// cannot do, a sentence that says so.
[[nodiscard]] std::expected<std::optional<control::protocol::Request>, std::string> change_request(
    const Invocation& invocation);

// What ipvsadm says to a refusal: by the daemon's reason where it has one, else the daemon's words.
[[nodiscard]] std::string refusal_text(Command command, std::string_view reason,
                                       std::string_view message);

}  // namespace headgate::ipvsadm
