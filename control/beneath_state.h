// What DeviceBeneath changed on a device, as a small text file that outlives a kill:
//
//   headgate device 1
//   interface net0
//   index 7
//   feature rx-gro
//   ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/ethtool.h"

namespace headgate::control {

struct BeneathState {
  std::string interface{};
  int index = 0;                  // the kernel's; another one under the same name is left alone
  bool made_clsact = false;       // else only the filter is taken away
  bool xdp = false;               // an XDP program of ours may be on it
  bool enabled_ipv6 = false;      // IPv6 was on
  uint16_t added_flags = 0;       // IFF_UP, IFF_PROMISC, IFF_ALLMULTI that were not set
  std::optional<uint16_t> mtu{};  // before
  std::vector<std::string> features{};               // that were on
  std::optional<KernelDevice::Channels> channels{};  // before

  bool operator==(const BeneathState&) const = default;
};

[[nodiscard]] std::string to_text(const BeneathState& state);
// Nothing when the text is not one that to_text() wrote.
[[nodiscard]] std::optional<BeneathState> parse_beneath_state(const std::string& text);

}  // namespace headgate::control
