// Many rtnetlink requests in few system calls, each with its own acknowledgement.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <vector>

#include "control/error.h"
#include "control/rtnl.h"

struct nlmsghdr;

namespace headgate::control {

// The kernel's answer to each: 0 or an errno. It carries them out one by one, in order, and goes on
// after one that failed. The socket is used for nothing else meanwhile.
[[nodiscard]] std::vector<int> request_all(RtnlSocket& socket,
                                           const std::vector<NlMessage>& messages);

// Sends a dump request and gives each message of the answer to `take`; false when the kernel did
// not answer, or the answer was disturbed.
[[nodiscard]] bool request_dump(RtnlSocket& socket, const NlMessage& message,
                                const std::function<void(const nlmsghdr*)>& take);

// Sends a request that is answered by one message, and what `read` makes of that one.
[[nodiscard]] std::optional<bool> request_one(
    RtnlSocket& socket, const NlMessage& message,
    const std::function<std::optional<bool>(const nlmsghdr*)>& read);

}  // namespace headgate::control
