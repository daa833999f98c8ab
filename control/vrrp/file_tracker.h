// Tracked files: the whole number in each, told again when it changes. All on one loop.
//
// inotify watches the folder, not the file, so that a file that is replaced by a rename or removed
// and made again is followed. Where the folder itself is missing, its path is looked at each
// second. A file that is missing, empty or holds no number counts as 0. Numbers are clamped to
// +-1,000,000, whose product with a weight fits 32 bits and is far beyond what a priority can take.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "config/vrrp_model.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

class FileTracker {
 public:
  // On the loop, when the value has changed; never from within configure().
  using Callback = std::function<void(const std::string& name, int32_t value)>;

  FileTracker(boost::asio::io_context& loop, Callback on_value);
  ~FileTracker();  // no call comes after
  FileTracker(const FileTracker&) = delete;
  FileTracker& operator=(const FileTracker&) = delete;

  // Reads all files at once. Values that have changed by then are not told of: ask value() of each.
  void configure(std::span<const config::VrrpFile> files);
  [[nodiscard]] int32_t value(const std::string& name) const;  // 0 for an unknown name

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Of what a file holds: blanks, a sign, digits, and whatever comes after a blank or a line's end.
[[nodiscard]] int32_t parse_file_value(std::string_view text);

}  // namespace headgate::control
