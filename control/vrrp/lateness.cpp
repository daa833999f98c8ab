#include "control/vrrp/lateness.h"

#include <array>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace headgate::control {

using std::chrono::nanoseconds;

LatenessProbe::LatenessProbe()
    : schedstat_(open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {
  now_ = sample();
  last_ = now_;
}

LatenessProbe::~LatenessProbe() {
  if (schedstat_ >= 0) close(schedstat_);
}

void LatenessProbe::mark() {
  last_ = now_;
  now_ = sample();
}

// The file's line: time on a processor, time on a run queue, both in nanoseconds, and a count.
LatenessProbe::Sample LatenessProbe::sample() const {
  std::array<char, 128> text{};
  const ssize_t length = schedstat_ < 0 ? 0 : pread(schedstat_, text.data(), text.size() - 1, 0);
  if (length <= 0) return {};
  int64_t worked = 0;
  int64_t waited = 0;
  const char* end = text.data() + length;
  const auto first = std::from_chars(text.data(), end, worked);
  if (first.ec != std::errc{} || first.ptr == end) return {};
  std::from_chars(first.ptr + 1, end, waited);
  return {nanoseconds(worked), nanoseconds(waited)};
}

std::string LatenessProbe::cause(nanoseconds late) const {
  return lateness_cause(late, now_.worked - last_.worked, now_.waited - last_.waited);
}

std::string lateness_cause(nanoseconds late, nanoseconds worked, nanoseconds waited) {
  using Milliseconds = std::chrono::duration<double, std::milli>;
  if (worked + waited < late / 2) return "the process or the machine stood still";
  if (waited >= worked) {
    return fmt::format("the thread waited {:.0f} ms for a processor", Milliseconds(waited).count());
  }
  return fmt::format("the thread was busy for {:.0f} ms", Milliseconds(worked).count());
}

}  // namespace headgate::control
