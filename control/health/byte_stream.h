// A connection to one server for the length of an attempt, plain or with TLS. Whatever goes wrong
// comes back as the attempt's outcome, in words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "control/health/deadline.h"
#include "control/health/probe_socket.h"
#include "control/health/probers.h"

namespace headgate::control {

using StreamStep = std::optional<ProbeOutcome>;  // empty: it went well
using StreamRead = std::expected<size_t, ProbeOutcome>;

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // All of it.
  [[nodiscard]] virtual boost::asio::awaitable<StreamStep> write(std::string_view bytes) = 0;
  // What comes next; 0: the end.
  [[nodiscard]] virtual boost::asio::awaitable<StreamRead> read_some(std::span<char> buffer) = 0;
};

// When an attempt has to be over, and the time it was given, for the words.
struct AttemptTime {
  ProbeClock::time_point end;
  std::chrono::milliseconds timeout;

  static AttemptTime from_now(std::chrono::milliseconds timeout) {
    return {ProbeClock::now() + timeout, timeout};
  }
};

// Closes with a reset, as what it waited for is done or does not matter any more.
class TcpStream : public ByteStream {
 public:
  TcpStream(const boost::asio::any_io_executor& loop, const ProbeEndpoint& endpoint,
            const AttemptTime& time);

  [[nodiscard]] boost::asio::awaitable<StreamStep> connect();
  boost::asio::awaitable<StreamStep> write(std::string_view bytes) override;
  boost::asio::awaitable<StreamRead> read_some(std::span<char> buffer) override;

  // For TLS above it.
  using Socket = boost::asio::ip::tcp::socket;
  [[nodiscard]] Socket& socket() { return socket_; }
  // Says what `error` means while waiting for `what` ("connect to", "TLS handshake with"; empty:
  // for an answer).
  [[nodiscard]] ProbeOutcome failure(const boost::system::error_code& error,
                                     std::string_view what = {}) const;
  [[nodiscard]] bool time_is_over() const { return deadline_.passed(); }
  [[nodiscard]] const ProbeEndpoint& endpoint() const { return *endpoint_; }
  void note_question() { answered_ = false; }
  void note_answer() { answered_ = true; }

 private:
  const ProbeEndpoint* endpoint_;
  AttemptTime time_;
  Socket socket_;
  Deadline deadline_;
  bool answered_ = false;  // something has come since the last question
};

}  // namespace headgate::control
