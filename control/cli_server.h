// The server behind `headgate`: takes requests from the unix socket and answers them in frames of
// the control protocol. No client can block the daemon or make it hold much: what is read is
// bounded by a request's size, what is written by one frame (the next one waits until it is taken),
// the time of both is limited, and so is the number of clients.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "control/error.h"
#include "control/peer.h"
#include "control/protocol.h"

namespace headgate::control {

// Sends one piece of a list, a JSON array as text; resumes when the client took it (or the socket's
// buffer did). Throws boost::system::system_error when the client is gone or stuck, which ends the
// command.
using SendRows = std::function<boost::asio::awaitable<void>(std::string rows)>;
using Handler = std::function<boost::asio::awaitable<protocol::Status>(
    Peer peer, protocol::Request request, SendRows send)>;

struct CliServerLimits {
  uint32_t clients = 64;
  std::chrono::milliseconds idle{60000};     // between two requests of a client
  std::chrono::milliseconds request{10000};  // from a request's first byte to its last
  std::chrono::milliseconds write{10000};    // for one frame
};

struct CliServerCounters {
  uint64_t accepted = 0;
  uint64_t refused_busy = 0;  // too many clients
  uint64_t bad_frames = 0;    // not the protocol, another version, too long
  uint64_t bad_requests = 0;  // frames that hold no request
  uint64_t timeouts = 0;      // half a request, or a reply that is not taken
  uint64_t cut_short = 0;     // closed in the middle of a request
  uint64_t requests = 0;
};

class CliServer {
 public:
  // Listens at `path` with `mode`; a socket that a dead daemon left there is replaced, anything
  // else is an error. Until the destructor runs `handler` may be called, on `loop`.
  [[nodiscard]] static std::expected<std::unique_ptr<CliServer>, Error> listen(
      boost::asio::io_context& loop, const std::string& path, uint16_t mode, Handler handler,
      CliServerLimits limits = {});
  ~CliServer();  // closes all clients and removes the socket
  CliServer(const CliServer&) = delete;
  CliServer& operator=(const CliServer&) = delete;

  [[nodiscard]] const CliServerCounters& counters() const;
  [[nodiscard]] uint32_t clients() const;

 private:
  struct Impl;
  explicit CliServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
