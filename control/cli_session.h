// One client of the command line's server: its frames, its time limits. Internal to cli_server.
#pragma once

#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "control/cli_server.h"
#include "control/protocol.h"

namespace headgate::control {

class CliSession : public std::enable_shared_from_this<CliSession> {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;

  // `counters` outlive the session.
  CliSession(Socket socket, const CliServerLimits& limits, CliServerCounters& counters);

  // Until the client leaves, misbehaves or close() is called.
  boost::asio::awaitable<void> run(Handler handler);
  void close();

 private:
  // Which limit a wait has; `none` cancels it.
  enum class Wait : uint8_t { none, idle, request, write };

  [[nodiscard]] boost::asio::awaitable<std::optional<protocol::Frame>> next_frame();
  [[nodiscard]] boost::asio::awaitable<void> answer(const Handler& handler, std::string payload);
  [[nodiscard]] boost::asio::awaitable<void> send(protocol::FrameType type, std::string payload);
  // A last word to a client that broke the rules; then the connection ends.
  [[nodiscard]] boost::asio::awaitable<void> reject(std::string message);
  void limit(Wait wait);

  Socket socket_;
  CliServerLimits limits_;
  CliServerCounters& counters_;
  Peer peer_;
  boost::asio::steady_timer timer_;
  Wait waiting_ = Wait::none;
  uint64_t wait_serial_ = 0;  // a timer that already fired for an earlier wait is ignored
  bool timed_out_ = false;
  bool closed_ = false;
  protocol::FrameDecoder decoder_{protocol::max_request_bytes};
};

}  // namespace headgate::control
