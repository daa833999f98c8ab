// What the control thread knows of the running daemon: the region with its snapshot, table and
// counters, the configuration that is in force, and how to ask ports and workers. All of it belongs
// to the control thread; only SnapshotBuilder::prepare() works elsewhere meanwhile (see changes.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/keepalived/keepalived.h"
#include "config/model.h"
#include "control/audit_log.h"
#include "control/block_arena.h"
#include "control/counter_view.h"
#include "control/health_control.h"
#include "control/kernel_state.h"
#include "control/rates.h"
#include "control/snapshot_builder.h"
#include "control/snapshot_store.h"
#include "control/vrrp_control.h"
#include "control/worker_load.h"
#include "dataplane/conn_table.h"
#include "dataplane/grace.h"
#include "dataplane/limits.h"
#include "dataplane/net/address.h"

namespace headgate::control {

// A port as `show ports` tells of it.
struct PortStatus {
  std::string name;
  std::string driver;
  net::MacAddress mac;
  bool link_up = false;
  uint32_t link_mbps = 0;  // 0: unknown
  uint16_t mtu = 0;
  uint16_t rx_queues = 0;
  uint16_t tx_queues = 0;
  std::string twin;  // empty: none
  uint64_t rx_packets = 0;
  uint64_t tx_packets = 0;
  uint64_t rx_bytes = 0;
  uint64_t tx_bytes = 0;
  uint64_t rx_missed = 0;
  uint64_t rx_errors = 0;
  uint64_t rx_no_mbuf = 0;
  uint64_t tx_errors = 0;
};

// A number with a name, for `show stats`.
struct NamedCount {
  std::string name;
  uint64_t count = 0;
};

// What only the parts around the region know; tests put in their own.
struct Surroundings {
  std::function<std::vector<PortStatus>()> ports = [] { return std::vector<PortStatus>{}; };
  std::function<std::vector<NamedCount>()> more_counts = [] { return std::vector<NamedCount>{}; };
  std::function<dataplane::Tick()> now = [] { return dataplane::Tick{1}; };
  std::vector<uint16_t> cores;          // by worker
  std::vector<std::string> interfaces;  // names, numbered as in kernel_state.h
  std::string dpdk_version;
  VrrpControl vrrp;
  HealthControl health;
};

class State {
 public:
  // The references outlive the State. `actor` is the control thread's number among the readers;
  // `interfaces` are ports and VLANs as they were set up.
  State(dataplane::RegionView its_region, dataplane::ConnTable& its_connections,
        dataplane::GracePeriod& its_grace, uint32_t its_actor,
        std::vector<dataplane::Interface> interfaces)
      : region(its_region),
        connections(its_connections),
        grace(its_grace),
        actor(its_actor),
        arena(region, dataplane::header_of(region).snapshot),
        store(region, arena, grace),
        counters(region),
        builder(arena, store, counters, std::move(interfaces)) {}

  dataplane::RegionView region;
  dataplane::ConnTable& connections;
  dataplane::GracePeriod& grace;
  uint32_t actor;
  BlockArena arena;
  SnapshotStore store;
  CounterView counters;
  SnapshotBuilder builder;

  WorkerLoad load;
  RateBook rates;

  std::shared_ptr<const config::Config> config = std::make_shared<config::Config>();
  std::vector<std::string> config_warnings;
  std::string config_path;
  // What the file said when it was last made to run; commands may have changed something since.
  std::shared_ptr<const config::Config> file_config = config;
  bool reloads = false;                 // one is under way
  config::keepalived::Options foreign;  // how to read a keepalived.conf
  // Puts into a configuration from a file what the daemon's command line said.
  std::function<void(config::Config&)> override_config = [](config::Config&) {};
  AuditLog audit;
  Surroundings surroundings;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

}  // namespace headgate::control
