#include "control/health/byte_stream.h"

#include <cerrno>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

namespace headgate::control {

namespace asio = boost::asio;

TcpStream::TcpStream(const asio::any_io_executor& loop, const ProbeEndpoint& endpoint,
                     const AttemptTime& time)
    : endpoint_(&endpoint), time_(time), socket_(loop), deadline_(loop, time.end, [this] {
        boost::system::error_code ignored;
        socket_.cancel(ignored);
      }) {}

asio::awaitable<StreamStep> TcpStream::connect() {
  const auto fd = endpoint_->open(SOCK_STREAM, IPPROTO_TCP);
  if (!fd) co_return fd.error();
  const linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  const SocketAddress& address = endpoint_->address();
  const int status = ::connect(*fd, address.data(), address.size());
  const int code = status == 0 || errno == EINPROGRESS ? 0 : errno;
  boost::system::error_code error;
  // After connect(): an unconnected socket would count as ready.
  socket_.assign(endpoint_->is_v6() ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), *fd, error);
  if (error) {
    close(*fd);
    co_return failure(error);
  }
  if (code != 0) co_return endpoint_->failure(code);
  if (status != 0) {
    co_await socket_.async_wait(Socket::wait_write,
                                asio::redirect_error(asio::use_awaitable, error));
  }
  if (error || time_is_over()) co_return failure(error, "connect to");
  int pending = 0;
  socklen_t size = sizeof(pending);
  getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &pending, &size);
  if (pending != 0) co_return endpoint_->failure(pending);
  co_return std::nullopt;
}

asio::awaitable<StreamStep> TcpStream::write(std::string_view bytes) {
  note_question();
  if (time_is_over()) co_return failure({});
  boost::system::error_code error;
  const asio::const_buffer buffer = asio::buffer(bytes);
  co_await asio::async_write(socket_, buffer, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failure(error);
  co_return std::nullopt;
}

asio::awaitable<StreamRead> TcpStream::read_some(std::span<char> buffer) {
  if (time_is_over()) co_return StreamRead(std::unexpect, failure({}));
  boost::system::error_code error;
  const asio::mutable_buffer space(buffer.data(), buffer.size());
  const size_t count =
      co_await socket_.async_read_some(space, asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof) co_return 0;
  if (error) co_return StreamRead(std::unexpect, failure(error));
  note_answer();
  co_return count;
}

ProbeOutcome TcpStream::failure(const boost::system::error_code& error,
                                std::string_view what) const {
  const std::string name = endpoint_->name();
  if (time_is_over()) {
    const std::string time = duration_text(time_.timeout);
    if (!what.empty()) return probe_down(fmt::format("{} {} timed out after {}", what, name, time));
    if (answered_) {
      return probe_down(fmt::format("the answer of {} was not complete within {}", name, time));
    }
    return probe_down(fmt::format("no answer from {} within {}", name, time));
  }
  if (error == asio::error::operation_aborted) return probe_cancelled();
  return endpoint_->failure(error.value());
}

}  // namespace headgate::control
