#include "control/health/probe_socket.h"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

namespace headgate::control {

namespace asio = boost::asio;

namespace {

std::string text_of(int code) {
  return std::generic_category().message(code);
}

bool set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

}  // namespace

SocketAddress::SocketAddress(const net::IpAddress& address, uint16_t port) {
  if (address.is_v6()) {
    bytes_.sin6_family = AF_INET6;
    bytes_.sin6_port = htons(port);
    std::memcpy(&bytes_.sin6_addr, address.bytes.data(), sizeof(bytes_.sin6_addr));
    size_ = sizeof(sockaddr_in6);
    return;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  std::memcpy(&v4.sin_addr, address.bytes.data(), sizeof(v4.sin_addr));
  std::memcpy(&bytes_, &v4, sizeof(v4));
  size_ = sizeof(v4);
}

ProbeEndpoint::ProbeEndpoint(const config::Check& check, const ProbeTarget& target)
    : target_(target),
      address_(target.address, target.port),
      has_source_(check.source || check.source_port),
      has_source_port_(check.source_port.value_or(0) != 0),
      interface_(check.interface.value_or("")),
      mark_(check.mark.value_or(0)) {
  net::IpAddress any;
  any.family = target.address.family;
  source_ = SocketAddress(check.source.value_or(any), check.source_port.value_or(0));
}

std::expected<int, ProbeOutcome> ProbeEndpoint::open(int type, int protocol) const {
  const int fd = ::socket(address_.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0) {
    const int code = errno;
    const bool forbidden = code == EPERM || code == EACCES;
    return std::unexpected(ProbeOutcome{
        .up = false,
        .reason =
            fmt::format("no socket: {}{}", text_of(code), forbidden ? " (needs CAP_NET_RAW)" : ""),
        .asked = false,
    });
  }
  if (auto problem = prepare(fd, type)) {
    ::close(fd);
    return std::unexpected(std::move(*problem));
  }
  return fd;
}

std::optional<ProbeOutcome> ProbeEndpoint::prepare(int fd, int type) const {
  if (mark_ != 0 && !set_option(fd, SOL_SOCKET, SO_MARK, static_cast<int>(mark_))) {
    return probe_failed(
        fmt::format("cannot mark packets: {} (needs CAP_NET_ADMIN)", text_of(errno)), errno);
  }
  if (!interface_.empty() && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface_.c_str(),
                                        static_cast<socklen_t>(interface_.size())) != 0) {
    return probe_failed(fmt::format("interface {}: {}", interface_, text_of(errno)), errno);
  }
  if (!has_source_) return std::nullopt;
  if (has_source_port_) {
    // Several checks may go out from the same port, to different servers.
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  } else if (type == SOCK_STREAM) {
    // The port is chosen at connect, when it need not differ from those to other servers.
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  }
  if (bind(fd, source_.data(), source_.size()) == 0) return std::nullopt;
  return probe_failed(
      fmt::format("cannot go out from the check's source: {}{}", text_of(errno),
                  errno == EADDRNOTAVAIL ? " (this machine does not have the address)" : ""),
      errno);
}

std::string ProbeEndpoint::name() const {
  return target_.port == 0 ? net::to_string(target_.address)
                           : net::endpoint_to_string(target_.address, target_.port);
}

ProbeOutcome ProbeEndpoint::failure(int code) const {
  switch (code) {
    case ECONNREFUSED:
      return probe_down(fmt::format("{} refused the connection", name()));
    case ECONNRESET:
    case EPIPE:
      return probe_down(fmt::format("{} reset the connection", name()));
    case EADDRNOTAVAIL:
    case EADDRINUSE:
      return {.up = false,
              .reason = fmt::format("no local port is free towards {}", name()),
              .asked = false};
    default:
      return probe_failed(fmt::format("{}: {}", name(), text_of(code)), code);
  }
}

std::expected<DatagramSocket, ProbeOutcome> DatagramSocket::open(asio::any_io_executor loop,
                                                                 const ProbeEndpoint& endpoint,
                                                                 int type, int protocol) {
  const auto fd = endpoint.open(type, protocol);
  if (!fd) return std::unexpected(fd.error());
  // Without it IPv4 keeps to itself that a host cannot be reached.
  endpoint.is_v6() ? set_option(*fd, IPPROTO_IPV6, IPV6_RECVERR, 1)
                   : set_option(*fd, IPPROTO_IP, IP_RECVERR, 1);
  if (connect(*fd, endpoint.address().data(), endpoint.address().size()) != 0) {
    const int code = errno;
    ::close(*fd);
    return std::unexpected(endpoint.failure(code));
  }
  DatagramSocket socket(std::move(loop), endpoint);
  boost::system::error_code error;
  socket.descriptor_.assign(*fd, error);
  if (error) {
    ::close(*fd);
    return std::unexpected(endpoint.failure(error.value()));
  }
  return socket;
}

std::optional<ProbeOutcome> DatagramSocket::send(std::span<const uint8_t> bytes) {
  if (::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0) return std::nullopt;
  return failure(errno);
}

asio::awaitable<std::expected<std::optional<size_t>, ProbeOutcome>> DatagramSocket::receive(
    std::span<uint8_t> buffer, ProbeClock::time_point deadline) {
  using Received = std::expected<std::optional<size_t>, ProbeOutcome>;
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  const Deadline end(loop, deadline, [this] { descriptor_.cancel(); });
  while (true) {
    if (end.passed() || ProbeClock::now() >= deadline) co_return std::nullopt;
    // First of all: who is flooded with datagrams gives the loop away between any two.
    boost::system::error_code error;
    co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                                    asio::redirect_error(asio::use_awaitable, error));
    if (error && !end.passed()) co_return Received(std::unexpect, probe_cancelled());
    const ssize_t length = recv(fd(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (length >= 0) co_return static_cast<size_t>(length);
    if (errno != EAGAIN && errno != EINTR) co_return Received(std::unexpect, failure(errno));
  }
}

void DatagramSocket::close() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

ProbeOutcome DatagramSocket::failure(int code) const {
  if (code != ECONNREFUSED) return endpoint_->failure(code);
  return probe_down(fmt::format("{}: port unreachable", endpoint_->name()));
}

}  // namespace headgate::control
