#include "control/cli_server.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>
#include <unordered_set>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control/cli_session.h"
#include "control/log.h"

namespace headgate::control {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::system::error_code;

std::string to_string(const Peer& peer) {
  return fmt::format("uid {}, process {}", peer.uid, peer.pid);
}

struct CliServer::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& loop, std::string socket_path, Handler request_handler,
       const CliServerLimits& server_limits)
      : path(std::move(socket_path)),
        acceptor(loop),
        handler(std::move(request_handler)),
        limits(server_limits) {}

  asio::awaitable<void> accept();
  asio::awaitable<void> serve(std::shared_ptr<CliSession> session);
  void turn_away(stream_protocol::socket client);
  void stop();

  std::string path;
  stream_protocol::acceptor acceptor;
  Handler handler;
  CliServerLimits limits;
  CliServerCounters counters;
  std::unordered_set<std::shared_ptr<CliSession>> sessions;
  bool stopped = false;
};

namespace {

Error failure(const std::string& path, std::string_view what) {
  return {fmt::format("{}: {}", path, what)};
}

// Makes way for a socket at `path`: removes the one of a daemon that is no more.
std::expected<void, Error> clear_path(const std::string& path, const sockaddr_un& address) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return std::unexpected(failure(path, std::strerror(errno)));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return std::unexpected(
        failure(path, "is there and not a socket; remove it, or name another with --socket"));
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool alive = probe >= 0 && (connect(probe, reinterpret_cast<const sockaddr*>(&address),
                                            sizeof(address)) == 0 ||
                                    errno == EAGAIN);
  if (probe >= 0) close(probe);
  if (alive) {
    return std::unexpected(
        failure(path, "another daemon listens here; give this one a --run-dir of its own"));
  }
  if (unlink(path.c_str()) != 0) return std::unexpected(failure(path, std::strerror(errno)));
  return {};
}

// A listening socket with `mode` from its first moment on.
std::expected<int, Error> open_listener(const std::string& path, uint16_t mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return std::unexpected(failure(path, "longer than a socket's path may be (107 characters)"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (auto cleared = clear_path(path, address); !cleared) {
    return std::unexpected(cleared.error());
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // The mode before bind() is what the file gets, less the umask, which chmod() makes good.
  if (fd >= 0 && fchmod(fd, mode) == 0 &&
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      chmod(path.c_str(), mode) == 0 && ::listen(fd, 64) == 0) {
    return fd;
  }
  Error error = failure(path, fmt::format("no socket can be made: {}; choose another place with "
                                          "daemon.socket or --socket",
                                          std::strerror(errno)));
  if (fd >= 0) close(fd);
  return std::unexpected(std::move(error));
}

}  // namespace

std::expected<std::unique_ptr<CliServer>, Error> CliServer::listen(asio::io_context& loop,
                                                                   const std::string& path,
                                                                   uint16_t mode, Handler handler,
                                                                   CliServerLimits limits) {
  auto fd = open_listener(path, mode);
  if (!fd) return std::unexpected(fd.error());
  auto impl = std::make_shared<Impl>(loop, path, std::move(handler), limits);
  impl->acceptor.assign(stream_protocol(), *fd);
  asio::co_spawn(loop, impl->accept(), asio::detached);
  return std::unique_ptr<CliServer>(new CliServer(std::move(impl)));
}

CliServer::CliServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

CliServer::~CliServer() {
  impl_->stop();
  unlink(impl_->path.c_str());
}

const CliServerCounters& CliServer::counters() const {
  return impl_->counters;
}

uint32_t CliServer::clients() const {
  return static_cast<uint32_t>(impl_->sessions.size());
}

asio::awaitable<void> CliServer::Impl::accept() {
  const auto self = shared_from_this();
  asio::steady_timer pause(acceptor.get_executor());
  while (!stopped) {
    error_code error;
    stream_protocol::socket client =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (stopped) co_return;
    if (error) {
      // Out of descriptors, most likely: clients that leave give some back.
      log_warning("{}: cannot take a client: {}", path, error.message());
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    ++counters.accepted;
    if (sessions.size() >= limits.clients) {
      turn_away(std::move(client));
      continue;
    }
    auto session = std::make_shared<CliSession>(std::move(client), limits, counters);
    sessions.insert(session);
    asio::co_spawn(acceptor.get_executor(), serve(session), asio::detached);
  }
}

asio::awaitable<void> CliServer::Impl::serve(std::shared_ptr<CliSession> session) {
  const auto self = shared_from_this();
  try {
    co_await session->run(handler);
  } catch (const std::exception& error) {
    log_error("command line: {}", error.what());
    session->close();
  }
  sessions.erase(session);
}

void CliServer::Impl::turn_away(stream_protocol::socket client) {
  ++counters.refused_busy;
  const protocol::Status status{
      protocol::Code::refused,
      fmt::format("the daemon serves {} clients already; try again, or end some of them",
                  limits.clients),
      {}};
  const std::string bytes =
      protocol::encode({protocol::FrameType::status, protocol::to_payload(status)});
  // It fits into the empty buffer of a new socket; if not, the client learns it by the close.
  [[maybe_unused]] const ssize_t sent =
      send(client.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void CliServer::Impl::stop() {
  stopped = true;
  error_code ignored;
  acceptor.close(ignored);  // NOLINT(bugprone-unused-return-value)
  for (const auto& session : sessions)
    session->close();
}

}  // namespace headgate::control
