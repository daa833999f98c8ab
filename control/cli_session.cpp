#include "control/cli_session.h"

#include <array>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

#include "control/log.h"

namespace headgate::control {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

Peer peer_of(CliSession::Socket& socket) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return {};
  }
  return {credentials.pid, credentials.uid, credentials.gid};
}

}  // namespace

CliSession::CliSession(Socket socket, const CliServerLimits& limits, CliServerCounters& counters)
    : socket_(std::move(socket)),
      limits_(limits),
      counters_(counters),
      peer_(peer_of(socket_)),
      timer_(socket_.get_executor()) {}

void CliSession::close() {
  closed_ = true;
  limit(Wait::none);
  error_code ignored;
  socket_.close(ignored);  // NOLINT(bugprone-unused-return-value)
}

asio::awaitable<void> CliSession::run(Handler handler) {
  const auto self = shared_from_this();
  try {
    while (!closed_) {
      std::optional<protocol::Frame> frame = co_await next_frame();
      if (!frame) break;
      if (frame->type != protocol::FrameType::request) {
        ++counters_.bad_frames;
        co_await reject("a client sends frames of type request only");
        break;
      }
      co_await answer(handler, std::move(frame->payload));
    }
  } catch (const boost::system::system_error& error) {
    log_debug("command line, {}: {}", to_string(peer_), error.code().message());
  }
  close();
}

// The next whole frame; nothing when the conversation is over.
asio::awaitable<std::optional<protocol::Frame>> CliSession::next_frame() {
  while (true) {
    auto frame = decoder_.next();
    if (!frame) {
      ++counters_.bad_frames;
      co_await reject(std::string(protocol::to_string(frame.error())));
      co_return std::nullopt;
    }
    if (*frame) {
      limit(Wait::none);
      co_return std::move(*frame);
    }
    // A request has one limit for the whole of it, however many pieces it comes in.
    const Wait wanted = decoder_.in_frame() ? Wait::request : Wait::idle;
    if (waiting_ != Wait::request || wanted != Wait::request) limit(wanted);
    std::array<char, 16384> buffer;
    error_code error;
    const size_t got = co_await socket_.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    if (timed_out_ && !closed_) {
      const bool in_request = waiting_ == Wait::request;
      if (in_request) {
        ++counters_.timeouts;
        co_await reject("the rest of the request did not come in time");
      }
      co_return std::nullopt;
    }
    if (error) {
      if (decoder_.in_frame()) ++counters_.cut_short;
      co_return std::nullopt;
    }
    decoder_.feed({buffer.data(), got});
  }
}

asio::awaitable<void> CliSession::answer(const Handler& handler, std::string payload) {
  auto request = protocol::parse_request(payload);
  protocol::Status status;
  if (!request) {
    ++counters_.bad_requests;
    status.code = protocol::Code::usage;
    status.message = request.error();
  } else {
    ++counters_.requests;
    SendRows send_rows = [this](std::string rows) {
      return send(protocol::FrameType::data, std::move(rows));
    };
    status = co_await handler(peer_, std::move(*request), std::move(send_rows));
  }
  std::string text = protocol::to_payload(status);
  co_await send(protocol::FrameType::status, std::move(text));
}

asio::awaitable<void> CliSession::send(protocol::FrameType type, std::string payload) {
  const auto header = protocol::encode_header(type, static_cast<uint32_t>(payload.size()));
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(header), asio::buffer(payload)};
  limit(Wait::write);
  error_code error;
  co_await asio::async_write(socket_, buffers, asio::redirect_error(asio::use_awaitable, error));
  const bool stuck = timed_out_;
  limit(Wait::none);
  if (!error && !stuck) co_return;
  if (stuck) ++counters_.timeouts;
  throw boost::system::system_error(error ? error : asio::error::timed_out);
}

asio::awaitable<void> CliSession::reject(std::string message) {
  log_debug("command line, {}: {}", to_string(peer_), message);
  const protocol::Status status{protocol::Code::usage, std::move(message), {}};
  std::string text = protocol::to_payload(status);
  co_await send(protocol::FrameType::status, std::move(text));
}

void CliSession::limit(Wait wait) {
  waiting_ = wait;
  timed_out_ = false;
  const uint64_t serial = ++wait_serial_;
  timer_.cancel();
  if (wait == Wait::none || closed_) return;
  timer_.expires_after(wait == Wait::idle      ? limits_.idle
                       : wait == Wait::request ? limits_.request
                                               : limits_.write);
  timer_.async_wait([weak = weak_from_this(), serial](const error_code& error) {
    const auto self = weak.lock();
    if (!self || error || serial != self->wait_serial_) return;
    self->timed_out_ = true;
    error_code ignored;
    self->socket_.cancel(ignored);  // NOLINT(bugprone-unused-return-value)
  });
}

}  // namespace headgate::control
