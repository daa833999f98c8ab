// A send-only AF_PACKET socket on one Ethernet interface.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "control/error.h"
#include "control/vrrp/frames.h"

namespace headgate::control {

class PacketSocket {
 public:
  // Bound to the interface that has this name now: when that one is deleted, sending fails, also if
  // another one of the name comes. Receives nothing; never blocks.
  [[nodiscard]] static std::expected<PacketSocket, Error> open(const std::string& interface);
  PacketSocket(PacketSocket&& other) noexcept;
  PacketSocket& operator=(PacketSocket&& other) noexcept;
  // The kernel takes 8 to 16 ms to close such a socket (it waits for all that read its lists): a
  // short-lived thread does that.
  ~PacketSocket();

  [[nodiscard]] std::expected<void, Error> send(std::span<const uint8_t> frame) const;
  // As many as the interface takes now, in one call: 0 when its queue is full.
  [[nodiscard]] std::expected<size_t, Error> send(std::span<const EthernetFrame> frames) const;

  [[nodiscard]] int interface_index() const { return index_; }

  static constexpr size_t max_batch = 64;  // more are not sent by one call

 private:
  PacketSocket(std::string interface, int index, int fd)
      : interface_(std::move(interface)), index_(index), fd_(fd) {}

  std::string interface_;
  int index_ = 0;
  int fd_ = -1;
};

}  // namespace headgate::control
