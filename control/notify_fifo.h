// A pipe that gets a line for each event.
//
// It is open for reading and writing at once and does not block: without a reader lines wait in it,
// nothing raises SIGPIPE, and a full pipe drops whole lines, counted and logged.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "control/error.h"

namespace headgate::control {

class NotifyFifo {
 public:
  // Makes the pipe, mode 0600, where there is none; an error when there is another kind of file.
  // `key` is where the path was configured, for messages.
  [[nodiscard]] static std::expected<std::unique_ptr<NotifyFifo>, Error> open(
      const std::string& path, std::string_view key);
  NotifyFifo(const NotifyFifo&) = delete;
  NotifyFifo& operator=(const NotifyFifo&) = delete;
  ~NotifyFifo();  // removes the pipe if open() made it and it is still that one

  void write(std::string_view line);  // without its end
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] uint64_t dropped() const { return dropped_; }

 private:
  NotifyFifo(std::string path, std::string_view key, int fd, bool made);

  std::string path_;
  std::string key_;
  int fd_;
  bool made_;
  uint64_t dropped_ = 0;
};

// Opens, leaves alone or closes the pipe, as the path is another one, the same, or none. `key` is
// where the path was configured. With an error the pipe stays as it is.
[[nodiscard]] std::expected<void, Error> follow_path(std::unique_ptr<NotifyFifo>& fifo,
                                                     const std::optional<std::string>& path,
                                                     std::string_view key);

}  // namespace headgate::control
