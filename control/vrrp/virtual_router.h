// One virtual router as the daemon runs it: its plan, its state machine, what keeps it from being
// master, and what it has counted. VrrpRouter is the only one that changes it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/vrrp/plan.h"
#include "control/vrrp/router_host.h"
#include "control/vrrp/tracking.h"
#include "vrrp/machine.h"
#include "vrrp/receive.h"

namespace headgate::control {

struct VirtualRouterCounters {
  uint64_t adverts_sent = 0;
  uint64_t adverts_received = 0;  // accepted
  uint64_t priority_zero_sent = 0;
  uint64_t priority_zero_received = 0;
  uint64_t send_errors = 0;
  uint64_t late_adverts = 0;  // by more than half an interval
  vrrp::Duration worst_lateness{};
  uint64_t transitions = 0;
  uint64_t became_master = 0;
  std::array<uint64_t, vrrp::discard_reasons> discards{};
};

// Lets a message through once in a while, whatever its text.
class Seldom {
 public:
  static constexpr std::chrono::seconds pause{1};
  [[nodiscard]] bool may_tell(vrrp::Time now) {
    if (last_ && now - *last_ < pause) return false;
    last_ = now;
    return true;
  }

 private:
  std::optional<vrrp::Time> last_;
};

struct VirtualRouter {
  VrrpInstancePlan plan;
  std::string group;  // its sync group; empty: none
  vrrp::Machine machine;
  bool started = false;
  std::optional<vrrp::Time> start_at;  // startup_delay
  Verdicts verdicts;                   // of what it tracks
  std::vector<std::string> faults;     // why it may not be master; those of its group as well
  bool own_fault = false;              // one of them is its own
  bool owns = false;                   // between Claim and Release
  vrrp::Mismatch mismatch;             // of the last advert
  Seldom mismatches_told;
  Seldom discards_told;
  VirtualRouterCounters counters;
  // Announcements wait until the data plane answers for the addresses, but not for long.
  uint16_t announce_repeat = 0;  // 0: none waits
  uint64_t announce_serial = 0;  // of the ownership that has to be visible
  std::optional<vrrp::Time> announce_by;
  std::optional<vrrp::Time> deadline;  // as it stands in the queue of deadlines
};

// Where adverts come from: the configured source, or the interface's first address of the family
// that is not a virtual one. Family none: there is none.
[[nodiscard]] net::IpAddress source_of(const VrrpInstancePlan& plan, const RouterLink& link,
                                       const std::set<net::IpAddress>& virtual_addresses);

// Why the router may not be master, by itself: its interface, its source and what it tracks.
[[nodiscard]] std::vector<std::string> own_faults(const VirtualRouter& router,
                                                  const RouterLink& link,
                                                  const std::string& worker_trouble,
                                                  bool maintenance);

}  // namespace headgate::control
