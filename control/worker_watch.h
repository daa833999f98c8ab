// Tells when a worker has stopped polling: its count of turns stands still.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "control/counter_view.h"

namespace headgate::control {

class WorkerWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A worker that was kept from its core for less is not in trouble, only late.
  static constexpr std::chrono::seconds patience{2};

  // Call it several times a second. Empty: all poll; else which one does not, in words. When the
  // caller itself has been away, nothing is held against the workers for that time.
  [[nodiscard]] std::string sample(const std::vector<uint64_t>& polls,
                                   const std::vector<uint16_t>& cores, Time now);

 private:
  struct Seen {
    uint64_t polls = 0;
    std::chrono::steady_clock::duration still{};  // for how long the count has stood
  };
  std::vector<Seen> seen_;
  Time last_{};
};

}  // namespace headgate::control
