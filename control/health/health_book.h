// What is known of the health of all backends, and what follows from it: which probes there are to
// be, who serves in each service, what others are to be told. Pure: probes run elsewhere
// (health_manager.h), their outcomes come in with the time, and what came of them is returned as an
// Update. So tests run days in virtual time.
//
//   configuration ──> put_service() ─┐                ┌─> probes to start and to end
//   outcome of a probe ──> result() ─┼─> HealthBook ──┼─> pools that differ: view()
//   time ──> ramp() ─────────────────┘                └─> events for scripts, pipe, mail, audit log
//
// The same check of the same address is one probe, however many services have it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "control/health/backend_life.h"
#include "control/health/check_machine.h"
#include "control/health/prober.h"
#include "control/pool_view.h"

namespace headgate::control {

using ProbeId = uint32_t;

// By way of one backend to its service's own address.
struct DataPath {
  config::ServiceKey service;
  config::BackendKey backend;

  bool operator==(const DataPath&) const = default;
};

struct ProbeSpec {
  config::Check check;
  ProbeTarget target;
  std::optional<DataPath> data_path;

  bool operator==(const ProbeSpec&) const = default;
};

struct HealthEvent {
  config::ServiceKey service;
  std::optional<config::BackendKey> backend;  // empty: the service's quorum
  bool up = false;
  bool first = false;  // what was found at first, and had counted as so before
  std::string reason{};
  WallMs at = 0;
};

struct Update {
  std::vector<config::ServiceKey> pools;  // whose view() differs
  std::vector<HealthEvent> events;
  std::vector<ProbeId> started;
  std::vector<ProbeId> ended;
};

// One check of a backend, for show.
struct CheckStatus {
  const ProbeSpec* spec = nullptr;
  const CheckMachine* machine = nullptr;
  const std::string* reason = nullptr;  // of the last attempt; empty: none yet
  WallMs last = 0;                      // when that ended
};

// What outlives the daemon: of services and backends of which more is known than how they start.
struct SavedBackend {
  config::BackendKey key;
  BackendLife life;
};
struct SavedService {
  config::ServiceKey key;
  bool quorum = true;
  std::vector<SavedBackend> backends;
};

class HealthBook {
 public:
  HealthBook();
  ~HealthBook();
  HealthBook(const HealthBook&) = delete;
  HealthBook& operator=(const HealthBook&) = delete;

  // For services that are put later.
  void restore(std::vector<SavedService> saved);
  // A service is new or may differ. What is known of a backend whose address and port stay is kept,
  // whatever else changes.
  void put_service(const config::Service& service, Moment now, Update& update);
  void remove_service(const config::ServiceKey& key, Update& update);
  [[nodiscard]] std::vector<config::ServiceKey> services() const;

  // An attempt has ended; how long to wait until the next one. What it changes in pools comes with
  // the next settle(), so that a thousand results at once make one new pool of a service.
  [[nodiscard]] std::chrono::milliseconds result(ProbeId id, const ProbeOutcome& outcome,
                                                 Moment now, Update& update);
  void settle(Moment now, Update& update);
  [[nodiscard]] bool settled() const { return unsettled_.empty(); }
  // Slow starts go on. Call it again after ramp_step, while ramping().
  void ramp(Moment now, Update& update);
  [[nodiscard]] bool ramping() const { return !ramping_.empty(); }
  static constexpr std::chrono::milliseconds ramp_step{500};

  [[nodiscard]] const ProbeSpec& probe(ProbeId id) const;
  [[nodiscard]] size_t probe_count() const { return probe_ids_.size(); }
  // Null where nothing but the configuration decides, and for an unknown service.
  [[nodiscard]] std::shared_ptr<const PoolView> view(const config::ServiceKey& key) const;
  [[nodiscard]] std::optional<PoolState> pool_state(const config::ServiceKey& key) const;
  [[nodiscard]] const BackendLife* life(const config::ServiceKey& service,
                                        const config::BackendKey& backend) const;
  [[nodiscard]] std::vector<CheckStatus> checks(const config::ServiceKey& service,
                                                const config::BackendKey& backend) const;
  // The probes of a backend: for a check out of turn.
  [[nodiscard]] std::vector<ProbeId> probes_of(const config::ServiceKey& service,
                                               const config::BackendKey& backend) const;
  // Nothing where a start without it would come to the same.
  [[nodiscard]] std::optional<SavedService> saved(const config::ServiceKey& key) const;
  // The service as it was put, with its commands.
  [[nodiscard]] const config::Service* service(const config::ServiceKey& key) const;

 private:
  struct Member {
    config::BackendKey key;
    BackendLife life;
    std::vector<ProbeId> probes;
  };
  struct Watched {
    config::Service service;
    std::vector<Member> members;                 // in the order of service.backends
    std::map<config::BackendKey, size_t> index;  // of `members`
    std::optional<PoolState> pool;
    std::shared_ptr<const PoolView> view;
  };
  struct Probe {
    ProbeSpec spec;
    CheckMachine machine;
    std::string reason;
    std::optional<uint16_t> weight;
    WallMs last = 0;
    std::vector<std::pair<Watched*, config::BackendKey>> users;  // a backend twice: two entries
  };

  void put_members(Watched& watched, const config::Service& service, Moment now, Update& update);
  void put_member(Watched& watched, size_t index, Member& member, Update& update);
  void put_probes(Watched& watched, const config::Backend& backend, Member& member, Update& update);
  ProbeId use_probe(ProbeSpec spec, Watched& watched, const Member& member, Update& update);
  void leave_probe(ProbeId id, const Watched& watched, const config::BackendKey& key,
                   Update& update);
  void member_changed(Watched& watched, const config::BackendKey& key, const Probe& cause,
                      Moment now, Update& update);
  void judge(Watched& watched, Moment now, Update& update);
  [[nodiscard]] std::vector<MemberHealth> health_of(Watched& watched, Moment now);
  void tell_quorum(const config::Service& service, const PoolVerdict& verdict, Moment now,
                   Update& update);
  [[nodiscard]] const Watched* find(const config::ServiceKey& key) const;
  [[nodiscard]] const Member* find(const config::ServiceKey& service,
                                   const config::BackendKey& backend) const;

  std::map<config::ServiceKey, std::unique_ptr<Watched>> services_;
  std::map<config::ServiceKey, SavedService> saved_;
  std::unordered_map<ProbeId, Probe> probes_;
  std::unordered_multimap<uint64_t, ProbeId> probe_ids_;  // by hash of the spec
  std::set<config::ServiceKey> ramping_;
  std::set<config::ServiceKey> unsettled_;
  ProbeId next_id_ = 0;
};

}  // namespace headgate::control
