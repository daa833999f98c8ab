// How the control thread asks the thread that runs the virtual routers. Empty functions: there are
// no virtual routers.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "control/error.h"
#include "control/vrrp_status.h"

namespace headgate::control {

struct VrrpControl {
  // What was done, in a sentence for people, or why it was not.
  using Outcome = boost::asio::awaitable<std::expected<std::string, Error>>;

  std::function<boost::asio::awaitable<VrrpStatus>()> status;
  // Steps down: the named instance or sync group leaves mastership to another router.
  std::function<Outcome(std::string name)> failover;
  // On: all leave, and stay away until it is off again.
  std::function<Outcome(bool on)> maintenance;
};

}  // namespace headgate::control
