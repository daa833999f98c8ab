// The kernel's side of AdvertSocket: a raw socket of protocol 112 on one interface, and what its
// packets look like. No loop.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "control/error.h"
#include "dataplane/net/address.h"
#include "vrrp/advert.h"

namespace headgate::control {

class RawVrrpSocket {
 public:
  struct Batch {
    size_t packets = 0;
    size_t malformed = 0;  // of them
  };

  static constexpr size_t max_batch = 32;

  // As AdvertSocket::open().
  [[nodiscard]] static std::expected<RawVrrpSocket, Error> open(const std::string& interface,
                                                                net::Family family,
                                                                const net::IpAddress& group);
  RawVrrpSocket(RawVrrpSocket&& other) noexcept;
  RawVrrpSocket& operator=(RawVrrpSocket&&) = delete;
  ~RawVrrpSocket();

  // What waits, up to max_batch; stops early when `take` returns false. Not to be called again by
  // `take`.
  Batch receive(const std::function<bool(const vrrp::Received&)>& take);
  // 0 or an errno.
  [[nodiscard]] int send(std::span<const uint8_t> message, const net::IpAddress& source,
                         const net::IpAddress& destination, uint8_t ttl) const;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int interface_index() const { return index_; }
  [[nodiscard]] net::Family family() const { return family_; }

 private:
  // The largest message of all, version 3 with 255 IPv6 addresses, behind the largest IPv4 header.
  static constexpr size_t buffer_size = 60 + 8 + 255 * 16;
  static constexpr size_t control_size = 128;
  struct Slot {
    std::array<uint8_t, buffer_size> packet;
    alignas(cmsghdr) std::array<uint8_t, control_size> control;
    sockaddr_storage source;
    iovec part;
  };

  RawVrrpSocket(int fd, int index, net::Family family);
  [[nodiscard]] int configure(const std::string& interface, const net::IpAddress& group) const;
  [[nodiscard]] int send_ipv6(std::span<const uint8_t> message, const net::IpAddress& source,
                              const net::IpAddress& destination, uint8_t ttl) const;

  int fd_;
  int index_;
  net::Family family_;
  std::vector<Slot> slots_;
  std::vector<mmsghdr> messages_;
};

// The VRRP message of an IPv4 packet as a raw socket delivers it: options are passed over. False:
// the lengths do not add up.
[[nodiscard]] bool take_ipv4_header(std::span<const uint8_t> packet, vrrp::Received& received);

}  // namespace headgate::control
