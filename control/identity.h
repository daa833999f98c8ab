// Ids of services and backends. A service is the same one as long as its key is the same, a backend
// as long as its service, address and port are: through reloads, edits, and a removal that is taken
// back.
//
// A removed backend keeps its id while connections refer to it. Its life ends in steps, so that no
// worker ever meets an index with two meanings:
//
//   in use -> removed          out of the configuration, row flagged in the snapshot
//          -> counted to zero  twice, a grace period apart, with no change in between
//          -> released         row gone from the snapshot
//          -> free             after the grace period of that snapshot; generation + 1
//
// Changes are journalled: what a snapshot that is never published did to the table is taken back.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/model.h"
#include "control/error.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

// Live connections of a backend: active and inactive, summed over workers.
using ConnectionCount = std::function<uint64_t(uint32_t backend_index)>;

struct KeyHash {
  size_t operator()(const config::ServiceKey& key) const noexcept;
  size_t operator()(const std::pair<uint32_t, config::BackendKey>& key) const noexcept;
};

}  // namespace headgate::control
