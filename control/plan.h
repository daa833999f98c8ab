// What another configuration would change, before it does: services and backends, and what share of
// the live connections and of the hash space would move. Pure; runs on the helper pool, while
// nothing is committed (Changes::look) as far as it reads what runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/diff.h"
#include "config/model.h"
#include "control/counter_view.h"
#include "control/identity.h"
#include "control/plan_hash.h"

namespace headgate::control {

// Live connections of what runs, active and inactive ones.
struct LiveConnections {
  std::vector<std::vector<uint64_t>> of_backends;  // by service and backend of the configuration
  uint64_t leaving = 0;  // of backends that are out of the configuration already
  uint64_t all = 0;      // these included
};
[[nodiscard]] LiveConnections live_connections(const IdentityTable& identity,
                                               const CounterView& counters,
                                               const config::Config& running);

// Connections on backends that stay no longer what they are. Those in `mode` go on in the mode in
// which they began; what becomes of the others `on_backend_removed` says.
struct MovedConnections {
  uint64_t removed = 0;   // their backend, or its service, would be taken out
  uint64_t disabled = 0;  // their backend would be disabled
  uint64_t mode = 0;      // their backend would get another mode

  [[nodiscard]] uint64_t sum() const { return removed + disabled + mode; }
};

struct ServicePlan {
  config::ServiceKey key;
  std::string name;
  config::Change change = config::Change::changed;
  size_t backends_added = 0;
  size_t backends_removed = 0;
  size_t backends_changed = 0;
  uint64_t connections = 0;  // live now, on backends that are configured
  MovedConnections moved;
  // Of connections that are `removed` or `disabled`.
  config::OnRemoved on_removed = config::OnRemoved::keep;
  std::optional<uint32_t> ends_within_s;  // the longest deadline; empty: to their end
  std::optional<HashShare> hash;          // empty: no table, or the service is new
};

struct Plan {
  std::vector<ServicePlan> services;  // that differ, as in the diff; then those whose table alone
                                      // does, since another section sets its size
  MovedConnections moved;
  uint64_t dropped = 0;  // of the moved ones: forwarded no more
  uint64_t expired = 0;  // ended at once
  LiveConnections live;
  size_t tables = 0;      // services with a Maglev table
  double hash_moved = 0;  // share over all of them, each counting the same
};

// `shares` are those of `hash.changed`, by place.
[[nodiscard]] Plan make_plan(const config::Config& running, const config::Config& wanted,
                             const config::Diff& diff, LiveConnections live,
                             const HashChanges& hash, const std::vector<HashShare>& shares);

}  // namespace headgate::control
