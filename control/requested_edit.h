// The edit that a command of the control protocol asks for, alone or in a transaction.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "control/arguments.h"
#include "control/change_plan.h"

namespace headgate::control {

// `command` is one that changes services, backends or time-outs: service add, edit and delete,
// backend add, edit and delete, flush, timeouts set. The arguments are done with. The error is a
// sentence for the peer: the request itself is wrong.
[[nodiscard]] std::expected<Edit, std::string> requested_edit(std::string_view command,
                                                              Arguments& arguments);

}  // namespace headgate::control
