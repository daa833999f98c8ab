#include "control/notify_fifo.h"

#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

#include "control/log.h"

namespace headgate::control {

namespace {

std::unexpected<Error> failure(std::string_view key, const std::string& path, std::string_view what,
                               int error) {
  return std::unexpected(
      Error{fmt::format("{} {}: {}: {}", key, path, what, std::generic_category().message(error))});
}

}  // namespace

std::expected<std::unique_ptr<NotifyFifo>, Error> NotifyFifo::open(const std::string& path,
                                                                   std::string_view key) {
  const bool made = mkfifo(path.c_str(), 0600) == 0;
  if (!made && errno != EEXIST) return failure(key, path, "cannot be made", errno);
  // Reading as well as writing: so it opens without a reader, and a write never raises SIGPIPE.
  const int fd = ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    const int error = errno;
    if (made) unlink(path.c_str());
    return failure(key, path, "cannot be opened", error);
  }
  struct stat kind{};
  if (fstat(fd, &kind) != 0 || !S_ISFIFO(kind.st_mode)) {
    close(fd);
    return std::unexpected(Error{
        fmt::format("{} {}: this is not a pipe; remove it, or name another path", key, path)});
  }
  return std::unique_ptr<NotifyFifo>(new NotifyFifo(path, key, fd, made));
}

NotifyFifo::NotifyFifo(std::string path, std::string_view key, int fd, bool made)
    : path_(std::move(path)), key_(key), fd_(fd), made_(made) {}

NotifyFifo::~NotifyFifo() {
  struct stat ours{};
  struct stat there{};
  // Another daemon may have put its own in its place.
  const bool same = fstat(fd_, &ours) == 0 && lstat(path_.c_str(), &there) == 0 &&
                    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
  if (made_ && same) unlink(path_.c_str());
  close(fd_);
}

void NotifyFifo::write(std::string_view text) {
  const std::string line = fmt::format("{}\n", text);
  // Lines of up to PIPE_BUF bytes are written as a whole or not at all.
  if (::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return;
  ++dropped_;
  log_warning("{} {}: nobody reads it; lines are dropped", key_, path_);
}

std::expected<void, Error> follow_path(std::unique_ptr<NotifyFifo>& fifo,
                                       const std::optional<std::string>& path,
                                       std::string_view key) {
  if (!path) {
    fifo.reset();
    return {};
  }
  if (fifo && fifo->path() == *path) return {};
  auto opened = NotifyFifo::open(*path, key);
  if (!opened) return std::unexpected(opened.error());
  fifo = std::move(*opened);
  return {};
}

}  // namespace headgate::control
