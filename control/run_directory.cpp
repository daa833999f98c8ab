#include "control/run_directory.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace headgate::control {
namespace {

std::string lock_path(const std::string& directory) {
  return directory + "/headgated.lock";
}

Error failed(const std::string& what, const std::string& path) {
  return {fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
}

// The process id that the holder of the lock wrote into it.
std::string holder_of(int fd) {
  std::string text(32, '\0');
  const ssize_t count = pread(fd, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text.empty() ? "unknown" : text;
}

}  // namespace

std::expected<RunDirectory, Error> RunDirectory::take(const std::string& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) {
    return std::unexpected(Error{fmt::format(
        "{}: the run directory cannot be made: {}; choose another with daemon.run_dir or --run-dir",
        path, failure.message())});
  }
  const std::string lock = lock_path(path);
  const int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return std::unexpected(failed("the lock cannot be opened", lock));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = holder_of(fd);
    close(fd);
    return std::unexpected(Error{fmt::format(
        "{}: another headgated (process {}) uses this run directory; stop it, or give this one "
        "its own with daemon.run_dir or --run-dir",
        path, holder)});
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    const Error error = failed("the lock cannot be written", lock);
    close(fd);
    return std::unexpected(error);
  }
  return RunDirectory(path, fd);
}

RunDirectory::RunDirectory(RunDirectory&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

RunDirectory::~RunDirectory() {
  if (fd_ < 0) return;
  // The file stays: whoever has it open already would else lock one that nobody else finds.
  static_cast<void>(ftruncate(fd_, 0));
  close(fd_);
}

}  // namespace headgate::control
