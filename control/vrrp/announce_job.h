// One announcement as far as it has not been sent: which frames come next. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "control/vrrp/announcer.h"
#include "control/vrrp/frames.h"

namespace headgate::control {

class AnnounceJob {
 public:
  explicit AnnounceJob(const Announcement& announcement);

  // The next frames, at most `limit`; they stay the next ones until advance().
  [[nodiscard]] std::vector<EthernetFrame> frames(size_t limit) const;
  void advance(size_t frames);
  // What waits for these addresses waits no more.
  void remove(const std::vector<net::IpAddress>& addresses);

  // When `other` is the same but for how often, and takes its place in the queue: the running round
  // ends first. False: it is another.
  [[nodiscard]] bool absorb(const Announcement& other);

  [[nodiscard]] size_t waiting() const;
  [[nodiscard]] bool is_done() const { return waiting() == 0; }
  [[nodiscard]] uint32_t interval_us() const { return announcement_.interval_us; }

 private:
  Announcement announcement_;
  size_t next_ = 0;      // address
  uint16_t rounds_ = 0;  // left, with the running one
};

}  // namespace headgate::control
