// Why something could not be set up, and what to do about it. For start-up and control code only:
// packets get verdicts, never errors.
#pragma once

#include <string>
#include <utility>

namespace headgate::dataplane {

struct Error {
  std::string message;  // names the place: a port, an interface, a file
  std::string remedy;   // what to type or to change; empty when there is nothing to say

  // "eth1: holds 192.0.2.1/24: move the address to the twin"
  [[nodiscard]] std::string text() const {
    return remedy.empty() ? message : message + ": " + remedy;
  }
};

}  // namespace headgate::dataplane
