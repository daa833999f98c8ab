// What health makes of a service's backends: laid over the configuration when a snapshot is built,
// so that the configuration itself stays what its users wrote.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "config/model.h"

namespace headgate::control {

enum class MemberUse : uint8_t {
  serve,      // with its weight
  quiescent,  // weight 0: inhibited, keeps its connections and templates
  out,        // as if it were not there: no new connections, on_down says what of the others
};

struct MemberView {
  config::BackendKey key;
  MemberUse use = MemberUse::serve;
  std::optional<uint16_t>
      weight;                // in place of the configured one (a script's); not where that is 0
  uint16_t permille = 1000;  // of the weight (slow start); at least weight 1 is left

  bool operator==(const MemberView&) const = default;
};

struct PoolView {
  std::vector<MemberView> members;  // that differ from the configuration, sorted by key
  bool sorry = false;               // the sorry server serves, and nobody else

  bool operator==(const PoolView&) const = default;
};

using PoolViews = std::map<config::ServiceKey, std::shared_ptr<const PoolView>>;

// The service as workers are to have it. Its sorry server is the last of its backends, disabled
// while it does not serve.
[[nodiscard]] config::Service with_pool(const config::Service& service, const PoolView* view);

}  // namespace headgate::control
