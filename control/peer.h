// Who asks, as the kernel knows it.
#pragma once

#include <string>

#include <sys/types.h>

namespace headgate::control {

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
[[nodiscard]] std::string to_string(const Peer& peer);  // "uid 0, process 42"

}  // namespace headgate::control
