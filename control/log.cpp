#include "control/log.h"

#include <array>
#include <unistd.h>
#include <utility>

#include "control/timestamp.h"

namespace headgate::control {

std::vector<std::string> RepeatFilter::pass(const std::string& text, Time now) {
  std::vector<std::string> lines = flush(now);
  const auto found = seen_.find(text);
  if (found != seen_.end()) {
    ++found->second.suppressed;
    return lines;
  }
  // A flood of different texts must not grow the list: those beyond it pass unfiltered.
  if (seen_.size() < max_texts) seen_[text] = {now, 0};
  lines.push_back(text);
  return lines;
}

std::vector<std::string> RepeatFilter::flush(Time now) {
  std::vector<std::string> lines;
  for (auto at = seen_.begin(); at != seen_.end();) {
    if (now - at->second.since < window_) {
      ++at;
      continue;
    }
    if (at->second.suppressed > 0) {
      lines.push_back(
          fmt::format("{} ({} more in {} s)", at->first, at->second.suppressed, window_.count()));
    }
    at = seen_.erase(at);
  }
  return lines;
}

Log& Log::get() {
  static Log log;
  return log;
}

void Log::set_level(LogLevel level) {
  level_ = level;
}

void Log::set_sink(Sink sink) {
  const std::scoped_lock lock(mutex_);
  sink_ = std::move(sink);
}

void Log::write(LogLevel level, const std::string& text) {
  const std::scoped_lock lock(mutex_);
  RepeatFilter& filter = filters_[static_cast<size_t>(level)];
  for (const std::string& line : filter.pass(text, std::chrono::steady_clock::now())) {
    emit(level, line);
  }
}

void Log::flush() {
  const std::scoped_lock lock(mutex_);
  for (size_t i = 0; i < filters_.size(); ++i) {
    for (const std::string& line : filters_[i].flush(std::chrono::steady_clock::now())) {
      emit(static_cast<LogLevel>(i), line);
    }
  }
}

void Log::emit(LogLevel level, const std::string& text) {
  constexpr std::array<std::string_view, 4> names{"error", "warning", "info", "debug"};
  std::string line = fmt::format("{} {}: {}", utc_text(std::chrono::system_clock::now()),
                                 names[static_cast<size_t>(level)], text);
  // One line stays one line, whatever a name from outside holds.
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  if (sink_) {
    sink_(line);
    return;
  }
  line += '\n';
  // A log that cannot be written must not stop the daemon.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace headgate::control
