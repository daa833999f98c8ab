// The `show` commands that have files of their own.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "control/commands.h"

namespace headgate::control {

[[nodiscard]] boost::asio::awaitable<protocol::Status> show_backends(Call& call);
[[nodiscard]] boost::asio::awaitable<protocol::Status> show_connections(Call& call);
[[nodiscard]] boost::asio::awaitable<protocol::Status> show_stats(Call& call);
[[nodiscard]] boost::asio::awaitable<protocol::Status> show_drops(Call& call);

}  // namespace headgate::control
