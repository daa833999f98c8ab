#include "control/audit_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "control/log.h"

namespace headgate::control {

namespace json = boost::json;

namespace {

// The most that `headgate show audit` reads; more than any number of lines that it is asked for
// needs, unless each of them lists many changes.
constexpr off_t most_read_bytes = 8 << 20;

// Nothing here waits: not for the reader of a pipe, nor for a terminal.
constexpr int open_flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr mode_t file_mode = 0640;

std::string read_end(int fd, off_t size) {
  const off_t begin = std::max<off_t>(0, size - most_read_bytes);
  std::string text(static_cast<size_t>(size - begin), '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got =
        pread(fd, text.data() + have, text.size() - have, begin + static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(have);
  // The first line may be cut.
  if (begin > 0) text.erase(0, std::min(text.find('\n'), text.size()));
  return text;
}

// A daemon before this one may have met a full disk.
bool ends_with_line(const std::string& path, off_t size) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  char last = '\n';
  if (fd < 0) return true;
  static_cast<void>(pread(fd, &last, 1, size - 1) == 1);
  close(fd);
  return last == '\n';
}

std::vector<json::object> last_objects(std::string_view text, size_t count) {
  std::vector<json::object> lines;
  while (!text.empty() && lines.size() < count) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const size_t begin = text.rfind('\n') + 1;  // npos + 1 is 0
    const std::string_view line = text.substr(begin);
    text = text.substr(0, begin);
    json::error_code error;
    json::value value = json::parse({line.data(), line.size()}, error);
    if (!error && value.is_object()) lines.push_back(std::move(value.as_object()));
  }
  std::ranges::reverse(lines);
  return lines;
}

}  // namespace

AuditLog::~AuditLog() {
  reopen();
}

void AuditLog::write_to(std::string path) {
  if (path == path_) return;
  reopen();
  path_ = std::move(path);
  torn_ = false;
  broken_ = false;
  if (!path_.empty() && !open()) failed("cannot be opened");
}

void AuditLog::reopen() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

void AuditLog::write(const AuditEntry& entry) {
  if (path_.empty()) return;
  const std::string user = entry.peer ? users_.find(entry.peer->uid) : std::string{};
  std::string line = audit_line(entry, user, std::chrono::system_clock::now()) + '\n';
  if (torn_) line.insert(0, 1, '\n');
  if (fd_ >= 0 && has_moved()) reopen();
  if (fd_ < 0 && !open()) return lose("cannot be opened");
  if (!append(line)) return lose("cannot be written");
  if (std::exchange(broken_, false)) {
    log_info("audit log {}: written again; {} lines are missing", path_,
             std::exchange(missing_, 0));
  }
}

// Made by us it has its mode whatever the umask is; a file that is there keeps its own.
bool AuditLog::open() {
  fd_ = ::open(path_.c_str(), open_flags);
  if (fd_ < 0 && errno == ENOENT) {
    fd_ = ::open(path_.c_str(), open_flags | O_CREAT | O_EXCL, file_mode);
    if (fd_ >= 0) static_cast<void>(fchmod(fd_, file_mode));
  }
  struct stat status{};
  if (fd_ < 0 || fstat(fd_, &status) != 0) return false;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  torn_ = status.st_size > 0 && !ends_with_line(path_, status.st_size);
  return true;
}

bool AuditLog::has_moved() const {
  struct stat status{};
  return stat(path_.c_str(), &status) != 0 || status.st_dev != device_ || status.st_ino != inode_;
}

bool AuditLog::append(const std::string& line) {
  ssize_t written = 0;
  do {
    written = ::write(fd_, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) {
    torn_ = false;
    return true;
  }
  // Half a line, where the disk became full: the next one begins on its own.
  if (written > 0) {
    torn_ = true;
    errno = ENOSPC;
  }
  return false;
}

void AuditLog::lose(const char* what) {
  failed(what);
  ++lost_;
  ++missing_;
}

void AuditLog::failed(const char* what) {
  const int reason = errno;
  if (std::exchange(broken_, true)) return;
  log_error("audit log {}: {}: {}; changes go on, and lines that are missing are counted", path_,
            what, std::strerror(reason));
}

std::expected<std::vector<json::object>, Error> last_audit_lines(const std::string& path,
                                                                 size_t count) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status{};
  if (fd < 0 || fstat(fd, &status) != 0) {
    const Error error{fmt::format("{}: {}", path, std::strerror(errno))};
    if (fd >= 0) close(fd);
    return std::unexpected(error);
  }
  if (!S_ISREG(status.st_mode)) {
    close(fd);
    return std::unexpected(Error{fmt::format("{} is no ordinary file, and cannot be shown", path)});
  }
  const std::string text = read_end(fd, status.st_size);
  close(fd);
  return last_objects(text, count);
}

}  // namespace headgate::control
