// The mirror of what the kernel knows about the twins: links, addresses, routes and neighbours, by
// rtnetlink. One socket carries the dumps and the notifications, so that they come in the order in
// which things happened.
//
// A neighbour's notification is applied as it is. For links, addresses and routes a notification
// only says "look again": a new dump is taken (at most every 10 ms, and no more than a fifth of the
// time), because the rules by which notifications add up to a table of routes differ between
// kernels. When the socket overflows (ENOBUFS) everything is dumped again.
//
// No thread, no clock and no event loop of its own: KernelWatch (kernel_watch.h) runs it on Asio.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "control/error.h"
#include "control/kernel_state.h"
#include "control/netlink_decode.h"

namespace headgate::control {

class KernelMirror {
 public:
  using Clock = std::chrono::steady_clock;

  // `kernel_indexes`: of the twin's TAP by our interface index (Tap::interface_index()); 0 where
  // there is none. In the network namespace of the calling thread. The state is complete on return.
  [[nodiscard]] static std::expected<std::unique_ptr<KernelMirror>, Error> open(
      std::span<const int> kernel_indexes);
  ~KernelMirror();
  KernelMirror(const KernelMirror&) = delete;
  KernelMirror& operator=(const KernelMirror&) = delete;

  // Readable when there is something to do.
  [[nodiscard]] int fd() const;
  // Call when fd() is readable and when wakeup() has come. Reads a bounded amount, never waits;
  // returns what is new in state(). Changes of 2 ms are gathered into one.
  KernelParts poll(Clock::time_point now);
  [[nodiscard]] std::optional<Clock::time_point> wakeup() const;

  [[nodiscard]] const KernelState& state() const;

  // Makes the kernel ask for a neighbour's MAC, now, unless it is asking already. Cheap; call it
  // for each held packet's next hop if you like, it asks for each one at most every 500 ms.
  void resolve(const NeighbourKey& neighbour, Clock::time_point now);
  // The neighbours that workers send to, known or not. The kernel does not see that traffic, so it
  // would let them go stale and forget them: usable ones are confirmed every 15 s (5 s and a probe
  // later a dead one is gone), the others asked for each second. Replaces the set before.
  void keep_fresh(std::span<const NeighbourKey> neighbours, Clock::time_point now);

  // For tests: how often everything was dumped again after an overflow.
  [[nodiscard]] uint64_t resyncs() const;

 private:
  struct Impl;
  explicit KernelMirror(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headgate::control
