// An Error from errno, with the remedy where there is one.
#pragma once

#include <string>
#include <string_view>

#include "control/error.h"

namespace headgate::control {

// "eth0: cannot send: No such device (the interface is gone)" and so on.
[[nodiscard]] Error socket_error(const std::string& interface, std::string_view what, int code);

}  // namespace headgate::control
