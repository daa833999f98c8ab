// A region with all that builds and publishes snapshots in it, and a text of everything that a
// snapshot says, to compare two of them by content.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "control/block_arena.h"
#include "control/counter_view.h"
#include "control/kernel_state.h"
#include "control/region_memory.h"
#include "control/snapshot_builder.h"
#include "control/snapshot_store.h"
#include "dataplane/grace.h"

namespace headgate::test {

struct SnapshotLimits {
  uint32_t workers = 2;
  uint32_t max_services = 64;
  uint32_t max_backends = 1024;
  uint64_t arena_bytes = 16U << 20;
};

// One port (DPDK port 0) with VLAN 100 on it: interfaces 0 and 1.
[[nodiscard]] std::vector<dataplane::Interface> two_interfaces();

class SnapshotFixture {
 public:
  explicit SnapshotFixture(const SnapshotLimits& limits = {},
                           std::vector<dataplane::Interface> interfaces = two_interfaces());

  [[nodiscard]] const dataplane::SnapshotRoot& root() const { return *store->current(); }
  [[nodiscard]] dataplane::RegionView region() const { return memory.view(); }
  // Applies and expects success; returns the generation.
  uint64_t apply(const control::SnapshotChange& change) const;
  // The whole configuration, or one service of it.
  uint64_t apply_config(const config::Config& config, dataplane::Tick now = 0) const;
  uint64_t apply_service(const config::Config& config, const config::Service& service,
                         dataplane::Tick now = 0) const;
  uint64_t apply_kernel(const control::KernelState& state) const;

  [[nodiscard]] const dataplane::ServiceBlock* service(const config::Service& service) const;
  [[nodiscard]] const dataplane::BackendRow* backend(const config::Service& service,
                                                     const config::Backend& backend) const;
  [[nodiscard]] uint8_t address_flags(std::string_view address) const;

  control::RegionMemory memory;
  dataplane::GracePeriod grace;
  std::unique_ptr<control::BlockArena> arena;
  std::unique_ptr<control::SnapshotStore> store;
  std::unique_ptr<control::CounterView> counters;
  std::unique_ptr<control::SnapshotBuilder> builder;
};

[[nodiscard]] net::IpAddress ip(std::string_view text);
[[nodiscard]] net::Prefix prefix(std::string_view text);
[[nodiscard]] net::MacAddress mac(std::string_view text);
[[nodiscard]] config::Service make_service(std::string_view vip, uint16_t port, config::Mode mode,
                                           const std::vector<std::string_view>& backends);
[[nodiscard]] config::Backend make_backend(std::string_view address, uint16_t port,
                                           uint16_t weight = 1);
// Addresses 10.1.0.1/24 and fd01::1/64 on interface 0, 10.2.0.1/24 and fd02::1/64 on interface 1,
// the routes of these networks, and default routes through 10.1.0.254 and fd01::fe.
[[nodiscard]] control::KernelState two_networks();
void add_neighbour(control::KernelState& state, uint16_t interface, std::string_view address,
                   std::string_view mac);

// Everything that a snapshot says, without what depends on its history: offsets, serials, the
// generation, the numbers of rows. Two snapshots that mean the same have the same lines.
[[nodiscard]] std::vector<std::string> describe(dataplane::RegionView region,
                                                const dataplane::SnapshotRoot& root);

}  // namespace headgate::test
