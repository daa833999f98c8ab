// What went wrong in the control plane, in one line that names the place and the remedy.
#pragma once

#include <string>

namespace headgate::control {

struct Error {
  std::string text;
};

}  // namespace headgate::control
