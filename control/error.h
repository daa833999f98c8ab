// What went wrong in the control plane, in one line that names the place and the remedy.
#pragma once

#include <cstdint>
#include <string>

namespace headgate::control {

// What programs tell apart; people read the text.
enum class Reason : uint8_t {
  other,
  service_exists,
  no_such_service,
  backend_exists,
  no_such_backend,
};

struct Error {
  std::string text{};
  Reason reason = Reason::other;
};

}  // namespace headgate::control
