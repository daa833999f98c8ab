// Why a thread was late: because it worked, because it waited for a processor, or because it (or
// the whole machine) stood still. By the kernel's account of its time, read while it was on time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace headgate::control {

// What to say of a thread that is late by `late`, worked so much meanwhile, and waited for a
// processor so much.
[[nodiscard]] std::string lateness_cause(std::chrono::nanoseconds late,
                                         std::chrono::nanoseconds worked,
                                         std::chrono::nanoseconds waited);

class LatenessProbe {
 public:
  // For the calling thread, which makes all the calls.
  LatenessProbe();
  ~LatenessProbe();
  LatenessProbe(const LatenessProbe&) = delete;
  LatenessProbe& operator=(const LatenessProbe&) = delete;

  // At the beginning of a turn of its loop.
  void mark();
  // What became of the time since the mark before the last one, that is since the thread was last
  // known to be on time.
  [[nodiscard]] std::string cause(std::chrono::nanoseconds late) const;

 private:
  struct Sample {
    std::chrono::nanoseconds worked{};  // on a processor
    std::chrono::nanoseconds waited{};  // for a processor
  };
  [[nodiscard]] Sample sample() const;

  int schedstat_ = -1;  // /proc/thread-self/schedstat
  Sample last_;
  Sample now_;
};

}  // namespace headgate::control
