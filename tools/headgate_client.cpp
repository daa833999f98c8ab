#include "tools/headgate_client.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <poll.h>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace headgate::cli {

namespace protocol = control::protocol;
namespace json = boost::json;

namespace {

class Connection {
 public:
  Connection(std::string path, std::chrono::milliseconds timeout)
      : path_(std::move(path)),
        timeout_(timeout),
        fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] std::expected<void, std::string> open();
  [[nodiscard]] std::expected<void, std::string> send(std::string_view bytes);
  // The next frame of the reply.
  [[nodiscard]] std::expected<protocol::Frame, std::string> receive();

 private:
  [[nodiscard]] std::expected<void, std::string> wait(short events) const;
  [[nodiscard]] std::string failure(std::string_view what) const {
    return fmt::format("{}: {}", path_, what);
  }

  std::string path_;
  std::chrono::milliseconds timeout_;
  int fd_;
  protocol::FrameDecoder decoder_{protocol::max_reply_bytes};
};

std::expected<void, std::string> Connection::open() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) {
    return std::unexpected(failure("longer than a socket's path may be"));
  }
  std::memcpy(address.sun_path, path_.data(), path_.size());
  if (fd_ < 0) return std::unexpected(failure(std::strerror(errno)));
  // A full backlog makes a blocking connect wait without end; this bounds it.
  const timeval limit{timeout_.count() / 1000, timeout_.count() % 1000 * 1000};
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return {};
  switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
      return std::unexpected(
          failure("no daemon listens here; start headgated (headgated --config FILE), or name its "
                  "socket with --socket"));
    case EACCES:
      return std::unexpected(
          failure("permission denied; run as root, or as a member of the socket's group, which "
                  "chgrp gives it"));
    case EAGAIN:
      return std::unexpected(failure("the daemon takes no connections; is it overloaded?"));
    default:
      return std::unexpected(failure(std::strerror(errno)));
  }
}

std::expected<void, std::string> Connection::wait(short events) const {
  pollfd entry{fd_, events, 0};
  int ready = 0;
  do {
    ready = poll(&entry, 1, static_cast<int>(timeout_.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) return {};
  if (ready < 0) return std::unexpected(failure(std::strerror(errno)));
  return std::unexpected(failure(fmt::format(
      "the daemon gave no answer for {} s; what was asked for may still happen (see --timeout)",
      timeout_.count() / 1000)));
}

std::expected<void, std::string> Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (auto ready = wait(POLLOUT); !ready) return ready;
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    // A daemon that refuses has answered before it closed: receive() finds the answer.
    if (sent < 0 && errno == EPIPE) return {};
    if (sent < 0) return std::unexpected(failure(std::strerror(errno)));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

std::expected<protocol::Frame, std::string> Connection::receive() {
  while (true) {
    auto frame = decoder_.next();
    if (!frame) return std::unexpected(failure(protocol::to_string(frame.error())));
    if (*frame) return std::move(**frame);
    if (auto ready = wait(POLLIN); !ready) return std::unexpected(ready.error());
    std::array<char, 65536> buffer;
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return std::unexpected(failure(std::strerror(errno)));
    if (got == 0) {
      return std::unexpected(
          failure("the daemon closed the connection before it answered; its "
                  "log says why"));
    }
    decoder_.feed({buffer.data(), static_cast<size_t>(got)});
  }
}

}  // namespace

std::expected<protocol::Status, std::string> exchange(
    const std::string& socket_path, const protocol::Request& request,
    std::chrono::milliseconds timeout, const std::function<void(const json::array&)>& on_rows) {
  Connection connection(socket_path, timeout);
  if (auto opened = connection.open(); !opened) return std::unexpected(opened.error());
  const protocol::Frame asked{protocol::FrameType::request, protocol::to_payload(request)};
  if (auto sent = connection.send(protocol::encode(asked)); !sent) {
    return std::unexpected(sent.error());
  }
  while (true) {
    auto frame = connection.receive();
    if (!frame) return std::unexpected(frame.error());
    if (frame->type == protocol::FrameType::status) {
      auto status = protocol::parse_status(frame->payload);
      if (!status) return std::unexpected(socket_path + ": " + status.error());
      return std::move(*status);
    }
    json::error_code error;
    json::value rows = json::parse(frame->payload, error);
    if (error || !rows.is_array()) {
      return std::unexpected(socket_path + ": the daemon sent rows that are not a JSON array");
    }
    on_rows(rows.as_array());
  }
}

}  // namespace headgate::cli
