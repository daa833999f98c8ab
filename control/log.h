// The daemon's log: one line a message on stderr, with time and level. A message that comes again
// and again is written once and then counted.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace headgate::control {

enum class LogLevel : uint8_t { error, warning, info, debug };

// Lets a text pass once within each `window`; what came meanwhile is told when the window is over.
class RepeatFilter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit RepeatFilter(std::chrono::seconds window) : window_(window) {}
  // The lines to write now that `text` came.
  [[nodiscard]] std::vector<std::string> pass(const std::string& text, Time now);
  // The lines of windows that are over: for texts that came several times and then no more.
  [[nodiscard]] std::vector<std::string> flush(Time now);

 private:
  struct Seen {
    Time since;
    uint64_t suppressed = 0;
  };
  static constexpr size_t max_texts = 256;

  std::chrono::seconds window_;
  std::map<std::string, Seen> seen_;
};

// Any thread may write.
class Log {
 public:
  using Sink = std::function<void(std::string_view line)>;

  static Log& get();
  void set_level(LogLevel level);
  // For tests; empty: stderr again.
  void set_sink(Sink sink);
  [[nodiscard]] bool enabled(LogLevel level) const {
    return level <= level_.load(std::memory_order_relaxed);
  }
  void write(LogLevel level, const std::string& text);
  // Tells of suppressed repeats whose time is over; the control thread calls it each second.
  void flush();

 private:
  Log() = default;
  void emit(LogLevel level, const std::string& text);

  std::mutex mutex_;
  // Read without the mutex: a thread that has nothing to say does not wait for one that writes.
  std::atomic<LogLevel> level_ = LogLevel::info;
  Sink sink_;
  // One for each level, so that a repeat keeps its own.
  std::vector<RepeatFilter> filters_{4, RepeatFilter{std::chrono::seconds(10)}};
};

template <typename... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (Log::get().enabled(level)) {
    Log::get().write(level, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::error, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::warning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::info, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::debug, format, std::forward<Args>(args)...);
}

}  // namespace headgate::control
