// The command line of `headgate`: words and options to one request for the daemon.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "control/protocol.h"

namespace headgate::cli {

// Exit statuses of `headgate`, beyond those of protocol::Code.
inline constexpr int exit_unreachable = 3;

struct Invocation {
  std::string socket{control::protocol::default_socket_path};
  bool json = false;
  bool exact = false;
  bool rates = false;  // of lists with traffic: by the second
  std::chrono::seconds timeout{60};
  control::protocol::Request request;
};

// Why nothing is to be sent: help was asked for, or the line cannot be understood.
struct Ending {
  int exit_status = 0;
  std::string text;  // for stdout when exit_status is 0, else for stderr
};

// `arguments` without the program's name. `default_socket` comes from the environment, or is empty.
[[nodiscard]] std::expected<Invocation, Ending> parse(const std::vector<std::string>& arguments,
                                                      std::string_view default_socket);

// "30", "30s", "5m", "2h", "1d" as seconds.
[[nodiscard]] std::expected<uint64_t, std::string> parse_duration(std::string_view text);
// The same and "500ms", as milliseconds.
[[nodiscard]] std::expected<uint64_t, std::string> parse_duration_ms(std::string_view text);

}  // namespace headgate::cli
