// Ids of services and backends. A service is the same one as long as its key is the same, a backend
// as long as its service, address and port are: through reloads, edits, and a removal that is taken
// back.
//
// A removed backend keeps its id while connections refer to it. Its life ends in steps, so that no
// worker ever meets an index with two meanings:
//
//   used ─> removed   out of the configuration; its row is flagged in the snapshot
//        ─> released  no connection refers to it: the row is gone from the snapshot
//        ─> free      once that snapshot is the oldest that anyone holds; next time generation + 1
//
// A service goes when it is removed and its last backend is released.
//
// Every change is journalled until commit(), so that a snapshot that is never published leaves no
// trace here: rollback() takes back all since the last commit().
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "control/error.h"
#include "dataplane/limits.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

enum class IdState : uint8_t { free, used, removed, released };

struct ServiceIdentity {
  IdState state = IdState::free;
  config::ServiceKey key;
  uint32_t backends = 0;  // used or removed
};

inline constexpr uint64_t generation_to_come = UINT64_MAX;  // known at the commit

struct BackendIdentity {
  IdState state = IdState::free;
  bool disabled = false;   // `removed` as far as workers know, but still in the configuration;
                           // not for being down
  uint8_t generation = 1;  // of the id: never 0, so that no id is 0
  uint32_t service_id = dataplane::none;
  config::BackendKey key;
  std::optional<uint32_t> drain_deadline_s;  // as the backend itself was configured
  uint32_t last_weight = 0;                  // the last that was not 0
  dataplane::Tick deadline = 0;              // its connections end then; 0: never
  uint64_t removed_generation = 0;           // the first snapshot without it

  bool operator==(const BackendIdentity&) const = default;
};

class IdentityTable {
 public:
  IdentityTable(uint32_t max_services, uint32_t max_backends);

  // The id that stands for the key, of a removed one too.
  [[nodiscard]] std::optional<uint32_t> find_service(const config::ServiceKey& key) const;
  [[nodiscard]] std::optional<uint32_t> find_backend(uint32_t service_id,
                                                     const config::BackendKey& key) const;
  [[nodiscard]] const ServiceIdentity& service(uint32_t service_id) const {
    return services_[service_id];
  }
  [[nodiscard]] const BackendIdentity& backend(uint32_t index) const { return backends_[index]; }
  [[nodiscard]] uint32_t backend_id(uint32_t index) const {
    return index | uint32_t{backends_[index].generation} << dataplane::backend_index_bits;
  }
  // Indexes below these have been in use at some time.
  [[nodiscard]] uint32_t service_end() const { return service_end_; }
  [[nodiscard]] uint32_t backend_end() const { return backend_end_; }

  // Finds, revives or allocates. An error when the limit is reached.
  [[nodiscard]] std::expected<uint32_t, Error> use_service(const config::ServiceKey& key);
  // Gives the backend's index.
  [[nodiscard]] std::expected<uint32_t, Error> use_backend(uint32_t service_id,
                                                           const config::BackendKey& key);
  // For changes of the fields that are not part of the life cycle.
  [[nodiscard]] BackendIdentity& edit_backend(uint32_t index);
  void remove_service(uint32_t service_id);
  void remove_backend(uint32_t index);
  // Takes a removed backend, and a removed service without backends, off the snapshot.
  void release_backend(uint32_t index);
  void release_service(uint32_t service_id);

  // Indexes that were free or released at the last commit() and are in use now: their counters
  // begin.
  [[nodiscard]] const std::vector<uint32_t>& new_services() const { return new_services_; }
  [[nodiscard]] const std::vector<uint32_t>& new_backends() const { return new_backends_; }

  // What was released since the last commit() may be used again once all readers have left the
  // generations before `generation`, the first without what was `removed`.
  void commit(uint64_t generation, std::span<const uint32_t> removed = {});
  void rollback();
  // Frees what was released by generations up to this one.
  void free_released(uint64_t visible_generation);

 private:
  struct ServiceChange {
    uint32_t index;
    ServiceIdentity before;
  };
  struct BackendChange {
    uint32_t index;
    BackendIdentity before;
  };
  struct BackendKeyOfService {
    uint32_t service_id;
    config::BackendKey key;
    bool operator==(const BackendKeyOfService&) const = default;
  };
  // Without noexcept the library keeps the hash in the node, which spares a second look at the key.
  struct Hash {
    size_t operator()(const config::ServiceKey& key) const;
    size_t operator()(const BackendKeyOfService& key) const;
  };
  struct Released {
    uint64_t generation;
    uint32_t index;
  };

  ServiceIdentity& edit_service(uint32_t service_id);
  void forget_changes();

  uint32_t max_services_;
  uint32_t max_backends_;
  std::vector<ServiceIdentity> services_;
  std::vector<BackendIdentity> backends_;
  std::unordered_map<config::ServiceKey, uint32_t, Hash> service_ids_;
  std::unordered_map<BackendKeyOfService, uint32_t, Hash> backend_indexes_;
  uint32_t service_end_ = 0;
  uint32_t backend_end_ = 0;
  // Taken from the front: what was freed longest ago is used first.
  std::deque<uint32_t> free_services_;
  std::deque<uint32_t> free_backends_;
  std::deque<Released> released_services_;
  std::deque<Released> released_backends_;
  // Since the last commit.
  std::vector<ServiceChange> service_journal_;
  std::vector<BackendChange> backend_journal_;
  std::vector<uint32_t> new_services_;
  std::vector<uint32_t> new_backends_;
  std::vector<uint32_t> services_going_;
  std::vector<uint32_t> backends_going_;
};

}  // namespace headgate::control
