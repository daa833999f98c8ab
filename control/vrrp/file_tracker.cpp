#include "control/vrrp/file_tracker.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <optional>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "control/log.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

constexpr int64_t largest_value = 1'000'000;
constexpr std::chrono::seconds look_again{1};
// Not IN_MODIFY: a file that is written anew would count as 0 between truncation and writing.
constexpr uint32_t watched = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

int32_t read_value(const std::string& path) {
  // Without blocking, should it be a pipe.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return 0;
  std::array<char, 64> text;
  struct stat kind{};
  const bool regular = fstat(fd, &kind) == 0 && S_ISREG(kind.st_mode);
  const ssize_t count = regular ? read(fd, text.data(), text.size()) : -1;
  close(fd);
  if (count <= 0) return 0;
  return parse_file_value({text.data(), static_cast<size_t>(count)});
}

struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const Identity&) const = default;
};

std::optional<Identity> identity_of(const std::string& folder) {
  struct stat found{};
  if (stat(folder.c_str(), &found) != 0) return {};
  return Identity{found.st_dev, found.st_ino};
}

struct File {
  std::string path;
  int32_t value = 0;
};

struct Folder {
  int watch = -1;
  std::optional<Identity> identity;  // of what is watched
};

}  // namespace

int32_t parse_file_value(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return 0;
  text.remove_prefix(begin);
  text = text.substr(0, text.find_first_of(blanks));
  const bool negative = text.starts_with('-');
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return 0;
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return 0;
  if (error == std::errc::result_out_of_range) value = negative ? -largest_value : largest_value;
  return static_cast<int32_t>(std::clamp(value, -largest_value, largest_value));
}

struct FileTracker::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& loop, Callback callback)
      : on_value(std::move(callback)), events(loop), timer(loop) {}

  void start();
  void close();
  void wait_for_events();
  void wait_for_time();
  void read_events();
  void forget(int gone);
  void watch(const std::string& path, Folder& folder);
  void check_folders();
  void read_files(const std::string* folder, bool tell);

  Callback on_value;
  asio::posix::stream_descriptor events;
  asio::steady_timer timer;
  std::map<std::string, File> files;      // by name
  std::map<std::string, Folder> folders;  // by path
  bool waits = false;                     // for the timer
  bool closed = false;
};

void FileTracker::Impl::start() {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    // Their number is limited for each user. Looking each second still works.
    log_warning("tracked files are looked at each second only: inotify: {}",
                std::generic_category().message(errno));
    return;
  }
  events.assign(fd);
  wait_for_events();
}

void FileTracker::Impl::close() {
  closed = true;
  boost::system::error_code ignored;
  events.close(ignored);
  timer.cancel();
}

void FileTracker::Impl::wait_for_events() {
  events.async_wait(asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](const boost::system::error_code& error) {
                      if (error || self->closed) return;
                      self->read_events();
                      if (!self->closed) self->wait_for_events();
                    });
}

void FileTracker::Impl::wait_for_time() {
  if (waits || folders.empty()) return;
  waits = true;
  timer.expires_after(look_again);
  timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->closed) return;
    self->waits = false;
    self->check_folders();
    if (!self->closed) self->wait_for_time();
  });
}

// Whatever an event says, the files of its folder are read: they are few, and what they hold
// counts.
void FileTracker::Impl::read_events() {
  alignas(inotify_event) std::array<char, 4096> buffer;
  std::vector<int> touched;
  bool lost = false;
  bool folder_left = false;
  ssize_t count = 0;
  constexpr int most_reads = 16;  // in one turn; the descriptor stays readable
  for (int i = 0; i < most_reads; ++i) {
    count = read(events.native_handle(), buffer.data(), buffer.size());
    if (count <= 0) break;
    for (ssize_t at = 0; at < count;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      at += static_cast<ssize_t>(sizeof event + event.len);
      touched.push_back(event.wd);
      if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) {
        forget(event.wd);
        folder_left = true;
      }
      if ((event.mask & IN_Q_OVERFLOW) != 0) lost = true;
    }
  }
  // Folders first: a file that is written in a new one is read below or there.
  if (folder_left || lost) check_folders();
  if (lost) read_files(nullptr, true);
  std::vector<std::string> paths;
  for (const auto& [path, folder] : folders) {
    if (std::ranges::find(touched, folder.watch) != touched.end()) paths.push_back(path);
  }
  for (const std::string& path : paths) {
    if (!closed) read_files(&path, true);
  }
}

// The folder is not at its path any more. One that is made anew may have the inode of the old one.
void FileTracker::Impl::forget(int gone) {
  for (auto& [path, folder] : folders) {
    if (folder.watch != gone) continue;
    inotify_rm_watch(events.native_handle(), gone);
    folder.watch = -1;
  }
}

void FileTracker::Impl::watch(const std::string& path, Folder& folder) {
  if (!events.is_open()) return;
  if (folder.watch >= 0) inotify_rm_watch(events.native_handle(), folder.watch);
  folder.identity = identity_of(path);
  folder.watch = inotify_add_watch(events.native_handle(), path.c_str(), watched);
}

// Folders that came, went, or were replaced by others.
void FileTracker::Impl::check_folders() {
  std::vector<std::string> changed;
  for (auto& [path, folder] : folders) {
    const std::optional<Identity> now = identity_of(path);
    if (folder.watch >= 0 && now == folder.identity) continue;
    watch(path, folder);
    changed.push_back(path);  // also without a watch: inotify may be used up
  }
  for (const std::string& path : changed) {
    if (!closed) read_files(&path, true);
  }
}

// Those in `folder`, or all.
void FileTracker::Impl::read_files(const std::string* folder, bool tell) {
  std::vector<std::pair<std::string, int32_t>> news;
  for (auto& [name, file] : files) {
    if (folder != nullptr && folder_of(file.path) != *folder) continue;
    const int32_t value = read_value(file.path);
    if (value != file.value) news.emplace_back(name, value);
    file.value = value;
  }
  for (const auto& [name, value] : news) {
    if (tell && !closed) on_value(name, value);
  }
}

FileTracker::FileTracker(asio::io_context& loop, Callback on_value)
    : impl_(std::make_shared<Impl>(loop, std::move(on_value))) {
  impl_->start();
}

FileTracker::~FileTracker() {
  impl_->close();
}

void FileTracker::configure(std::span<const config::VrrpFile> files) {
  impl_->files.clear();
  std::map<std::string, Folder> folders;
  for (const config::VrrpFile& file : files) {
    impl_->files[file.name] = {file.path, 0};
    const std::string path = folder_of(file.path);
    if (const auto found = impl_->folders.find(path); found != impl_->folders.end()) {
      folders.insert(impl_->folders.extract(found));
    }
    folders.try_emplace(path);
  }
  for (const auto& [path, folder] : impl_->folders) {
    if (folder.watch >= 0) inotify_rm_watch(impl_->events.native_handle(), folder.watch);
  }
  impl_->folders = std::move(folders);
  // First the watch, then the look: what comes between is seen twice, not missed.
  for (auto& [path, folder] : impl_->folders) {
    if (folder.watch < 0) impl_->watch(path, folder);
  }
  impl_->read_files(nullptr, false);
  impl_->wait_for_time();
}

int32_t FileTracker::value(const std::string& name) const {
  const auto found = impl_->files.find(name);
  return found == impl_->files.end() ? 0 : found->second.value;
}

}  // namespace headgate::control
