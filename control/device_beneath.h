// The kernel interface beneath an AF_XDP or AF_PACKET port, kept out of the conversation.
//
// The kernel would see every frame of an AF_PACKET port, and of an AF_XDP port those of queues that
// no socket is bound to, and answer them next to the twin. So, while the port is open:
//   - the device holds no addresses (an error says which to move), and is in no bridge or bond
//   - IPv6 is off on it (disable_ipv6), so that it sends no solicitations of its own
//   - a clsact filter drops what the kernel would receive: behind AF_PACKET's tap and XDP, in front
//     of IP, bridges and everything else
//   - GRO, LRO and the removal of VLAN tags are off: frames must arrive as they were on the wire
//   - it is up, in promiscuous or all-multicast mode
//   - for AF_XDP it spreads traffic over no more queues than the port has sockets for
// What was changed is written to STATE_DIR/beneath-INTERFACE before the change, undone on release,
// and, after a kill, undone by recover_devices() of the next start.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/error.h"

namespace headgate::control {

struct BeneathOptions {
  std::string interface{};
  std::string state_dir{};  // the daemon's run directory; exists
  bool promiscuous = false;
  std::optional<uint16_t> mtu{};            // empty: as it is
  std::optional<uint16_t> af_xdp_queues{};  // wanted by an AF_XDP port; empty: an AF_PACKET port
};

class DeviceBeneath {
 public:
  // In the network namespace of the calling thread.
  [[nodiscard]] static std::expected<DeviceBeneath, Error> protect(const BeneathOptions& options);
  DeviceBeneath(DeviceBeneath&&) noexcept;
  DeviceBeneath& operator=(DeviceBeneath&&) noexcept;
  ~DeviceBeneath();  // release()

  // Puts everything back. After the port is closed.
  void release();
  // What the device could not do, a line each.
  [[nodiscard]] const std::vector<std::string>& notes() const;

 private:
  struct Impl;
  explicit DeviceBeneath(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Puts back what a daemon with this state directory left behind when it was killed; returns a line
// for each device. Call before protect().
[[nodiscard]] std::vector<std::string> recover_devices(const std::string& state_dir);

}  // namespace headgate::control
