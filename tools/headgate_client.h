// One request over the daemon's unix socket, and its reply as it comes in.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <string>

#include <boost/json/array.hpp>

#include "control/protocol.h"

namespace headgate::cli {

// `on_rows` gets the rows of each data frame. On failure: one line that names the socket and says
// what to do. `timeout` bounds each wait for the daemon, not the whole reply.
[[nodiscard]] std::expected<control::protocol::Status, std::string> exchange(
    const std::string& socket_path, const control::protocol::Request& request,
    std::chrono::milliseconds timeout,
    const std::function<void(const boost::json::array&)>& on_rows);

}  // namespace headgate::cli
