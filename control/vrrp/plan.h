// What the configuration asks of each virtual router, worked out once: the settings of its state
// machine, what it accepts, the addresses that it holds. Pure: no interface is looked at.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/model.h"
#include "control/vrrp/addresses.h"
#include "vrrp/machine.h"
#include "vrrp/receive.h"

namespace headgate::control {

struct VrrpInstancePlan {
  config::VrrpInstance config;
  net::Family family = net::Family::none;  // of the advertised addresses
  vrrp::Settings settings;                 // but for `source`, which the interface may decide
  vrrp::ReceiveSettings receive;
  std::vector<net::IpAddress> advertised;  // in the file's order
  std::vector<InterfaceAddress> held;      // advertised and excluded
  net::IpAddress group;                    // where multicast adverts go

  [[nodiscard]] bool is_unicast() const { return !config.unicast_peers.empty(); }
  bool operator==(const VrrpInstancePlan&) const = default;
};

struct VrrpPlan {
  std::vector<VrrpInstancePlan> instances;
  std::vector<config::VrrpSyncGroup> groups;
  vrrp::Duration startup_delay{};
};

[[nodiscard]] VrrpPlan plan_vrrp(const config::Config& config);

// Whether `after` is the same virtual router as `before`, changed or not: its state goes on.
[[nodiscard]] bool is_same_router(const VrrpInstancePlan& before, const VrrpInstancePlan& after);

}  // namespace headgate::control
