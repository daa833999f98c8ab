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
  standby,    // gets no new connections as others serve; keeps those it has
  out,        // down: no new connections, on_down says what becomes of the others
};

struct MemberView {
  config::BackendKey key;
  MemberUse use = MemberUse::serve;
  std::optional<uint16_t>
      weight{};              // in place of the configured one, unless that is 0 (a script's)
  uint16_t permille = 1000;  // of the weight (slow start); at least weight 1 is left

  bool operator==(const MemberView&) const = default;
};

struct PoolView {
  std::vector<MemberView>
      members;         // sorted by key; who is not in it is new, and as its checks start
  bool sorry = false;  // the sorry server serves, and nobody else

  bool operator==(const PoolView&) const = default;
};

using PoolViews = std::map<config::ServiceKey, std::shared_ptr<const PoolView>>;

// What is up, as far as a service's pool wants to know; of each of its backends, in their order.
struct MemberHealth {
  bool up = true;
  std::optional<uint16_t> weight{};
  uint16_t permille = 1000;
};

struct PoolState {
  bool quorum = true;
  bool panic = false;  // so few are up that all are used

  bool operator==(const PoolState&) const = default;
};

struct PoolVerdict {
  PoolView view;
  PoolState state;
  uint64_t live_weight = 0;  // what the quorum is held against
};

// Null for a backend that is new.
[[nodiscard]] const MemberView* find_member(const PoolView& view, const config::BackendKey& key);
// The weight that schedulers see: 0 for who does not serve.
[[nodiscard]] uint16_t weight_in_use(const config::Backend& backend, const MemberView& member);

// Whether anything but the configuration decides who serves.
[[nodiscard]] bool has_pool(const config::Service& service);

// What counts before the first result.
[[nodiscard]] MemberHealth health_at_start(const config::Service& service,
                                           const config::Backend& backend);
[[nodiscard]] inline const std::vector<config::Check>& checks_of(const config::Service& service,
                                                                 const config::Backend& backend) {
  return backend.checks.empty() ? service.checks : backend.checks;
}

// Who serves. Quorum has a memory (hysteresis): `before` is empty at the first time.
//
// - A backend that is up serves, if its priority is needed: those of the lowest number first, the
//   next ones as long as the weight of these is below the quorum.
// - Without quorum (the weight of what is up, against `quorum`, clamped to what there is) the sorry
//   server serves alone, if there is one.
// - With fewer than panic_percent up, all serve.
[[nodiscard]] PoolVerdict judge_pool(const config::Service& service,
                                     const std::vector<MemberHealth>& health,
                                     const std::optional<PoolState>& before);

// The sorry server as a backend of its service, disabled while it does not serve.
[[nodiscard]] config::Backend sorry_backend(const config::SorryServer& sorry, bool serves);

// The service as workers are to have it. Its sorry server is the last of its backends, disabled
// while it does not serve. Null: nothing is known yet.
[[nodiscard]] config::Service with_pool(const config::Service& service, const PoolView* view);

}  // namespace headgate::control
