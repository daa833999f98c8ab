// What the daemon does for `headgate`: one function a command. docs/control-protocol.md lists their
// arguments and results.
#pragma once

#include <span>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json/array.hpp>

#include "control/arguments.h"
#include "control/changes.h"
#include "control/cli_server.h"
#include "control/protocol.h"
#include "control/state.h"

namespace headgate::control {

// One request on its way.
struct Call {
  State& state;
  Changes& changes;
  boost::asio::thread_pool& pool;
  Peer peer;
  Arguments arguments;
  SendRows send;

  [[nodiscard]] boost::asio::awaitable<void> send_rows(boost::json::array rows);
};

struct Command {
  std::string_view name;
  boost::asio::awaitable<protocol::Status> (*run)(Call& call);
};

// Each file of commands has its list.
[[nodiscard]] std::span<const Command> show_commands();
[[nodiscard]] std::span<const Command> change_commands();
[[nodiscard]] std::span<const Command> vrrp_commands();

[[nodiscard]] protocol::Status refused(std::string message);
[[nodiscard]] protocol::Status wrong_usage(std::string message);

// Rows that go into one frame, and are put together without a pause.
inline constexpr size_t rows_per_piece = 128;

class Commands {
 public:
  // All outlive the object.
  Commands(State& state, Changes& changes, boost::asio::thread_pool& pool)
      : state_(state), changes_(changes), pool_(pool) {}

  [[nodiscard]] boost::asio::awaitable<protocol::Status> run(Peer peer, protocol::Request request,
                                                             SendRows send);

 private:
  State& state_;
  Changes& changes_;
  boost::asio::thread_pool& pool_;
};

}  // namespace headgate::control
