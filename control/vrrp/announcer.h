// Gratuitous ARP and unsolicited neighbour advertisements, in order and paced for each interface.
//
// Requests of one interface go out one after the other, each in rounds: every address once, then
// every address again. Without an interval they leave in batches, at most max_per_turn frames
// before the loop gets its turn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/error.h"
#include "dataplane/net/address.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

struct Announcement {
  std::string interface;
  net::MacAddress mac;  // the interface's own, or the virtual router's
  std::vector<net::IpAddress> addresses;
  uint16_t repeat = 1;       // times for each address
  uint32_t interval_us = 0;  // from one frame to the next on the interface
  bool router = false;       // IPv6: the router flag
};

class Announcer {
 public:
  // What went wrong on an interface; what was waiting there is dropped. May be empty.
  using OnError = std::function<void(const std::string& interface, const Error& error)>;

  static constexpr size_t max_per_turn = 256;

  Announcer(boost::asio::io_context& loop, OnError on_error);
  ~Announcer();  // what waits is dropped
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  // Sends the first frames at once, before it returns, unless others of the interface wait. What
  // waits already is not queued again: who makes a master defend its addresses as often as it likes
  // fills no memory.
  void announce(const Announcement& announcement);
  // These addresses are not ours any more: nothing that waits for them is sent.
  void cancel(const std::string& interface, const std::vector<net::IpAddress>& addresses);

  [[nodiscard]] uint64_t sent() const;   // frames
  [[nodiscard]] size_t waiting() const;  // frames

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
