// The twin: the kernel's side of a port, a TAP with the port's MAC. ARP, ND, VRRP, BGP, SSH and
// health checks of the host go through it; `ip`, tcpdump and routing daemons see an ordinary
// interface. It is gone when the process ends, however it ends.
//
// A VLAN sub-port has a TAP of its own instead of a kernel VLAN device on the twin: the exception
// thread takes the tag off and puts it on, which also works on kernels built without 802.1Q.
// Offloads are off, so what the kernel sends has complete checksums and fits the MTU.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "dataplane/error.h"
#include "dataplane/net/address.h"

namespace headgate::dataplane {

struct TapOptions {
  std::string name{};  // at most 15 characters
  net::MacAddress mac{};
  uint16_t mtu = 1500;
};

class Tap {
 public:
  // Made in the network namespace of the calling thread, set up and up; IPv6 comes up without
  // duplicate address detection (the port's other end answers for nobody but us).
  [[nodiscard]] static std::expected<Tap, Error> create(const TapOptions& options);
  Tap(Tap&& other) noexcept;
  Tap& operator=(Tap&& other) noexcept;
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;
  ~Tap();

  [[nodiscard]] int fd() const { return fd_; }  // non-blocking, one frame per read and write
  [[nodiscard]] int interface_index() const { return interface_index_; }  // the kernel's
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  Tap() = default;
  int fd_ = -1;
  int interface_index_ = 0;
  std::string name_;
};

}  // namespace headgate::dataplane
