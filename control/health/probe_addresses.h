// Addresses by which health checks ask a service's own address by way of one of its backends
// (check.data_path): see dataplane/probe_table.h for what becomes of a packet to one. Each
// (service, backend) has its own, out of a private network of the VIP's family, and keeps it while
// somebody uses it and for a while after, so that late answers meet no stranger.
//
// How a check goes that way: use() an address, give table() to WorkerSet::set_probes(), connect to
// the address with the service's port (or the port that is to be asked, of a service of all ports),
// bound to probe_source() where there is one. ProbeRoute leads the kernel there.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "config/model.h"
#include "control/error.h"
#include "control/health/probe_networks.h"
#include "dataplane/probe_table.h"
#include "dataplane/region.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

class ProbeAddresses {
 public:
  using Clock = std::chrono::steady_clock;
  // Longer than the exception thread remembers a flow.
  static constexpr auto grace = std::chrono::seconds(60);

  explicit ProbeAddresses(ProbeNetworks networks = default_probe_networks());

  // The address of a service's backend. Each use() wants a release(). Fails for services without
  // an address of their own and when the network is used up.
  [[nodiscard]] std::expected<net::IpAddress, Error> use(const config::ServiceKey& service,
                                                         const config::BackendKey& backend,
                                                         Clock::time_point now);
  void release(const config::ServiceKey& service, const config::BackendKey& backend,
               Clock::time_point now);
  // Nobody uses any.
  [[nodiscard]] bool empty() const { return used_ == 0; }

  // What all that are used, or were a moment ago, stand for. `find` tells the id of a backend, as
  // SnapshotBuilder::backend_id() does; those without one are left out.
  using FindBackend =
      std::function<std::optional<uint32_t>(const config::ServiceKey&, const config::BackendKey&)>;
  [[nodiscard]] std::shared_ptr<const dataplane::ProbeTable> table(const FindBackend& find) const;

 private:
  using Key = std::pair<config::ServiceKey, config::BackendKey>;
  struct Slot {
    net::IpAddress address;
    uint32_t users = 0;
    Clock::time_point released;  // where there are none
  };
  struct Family {
    net::Prefix network;
    uint64_t limit = 0;  // of `next`
    uint64_t next = probe_gateway_offset + 1;
    std::deque<net::IpAddress> free;  // given back, the longest ago first
  };

  [[nodiscard]] std::optional<net::IpAddress> take(Family& family);
  void forget_released(Clock::time_point now);

  Family v4_;
  Family v6_;
  std::map<Key, Slot> slots_;
  std::deque<std::pair<Clock::time_point, Key>> released_;  // maybe in use again
  size_t used_ = 0;
};

// Our address towards a backend, if it is of this family: what a probe comes from, so that its
// answer finds back whatever the twin's first address is.
[[nodiscard]] std::optional<net::IpAddress> probe_source(dataplane::RegionView region,
                                                         const dataplane::SnapshotRoot& root,
                                                         uint32_t backend_id, net::Family family);

}  // namespace headgate::control
