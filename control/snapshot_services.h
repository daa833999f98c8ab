// Services and backends in a snapshot's draft.
#pragma once

#include <cstdint>
#include <expected>
#include <vector>

#include "config/model.h"
#include "control/error.h"
#include "control/maglev_tables.h"
#include "control/snapshot_draft.h"

namespace headgate::control {

// What the service's Maglev table is made from; no slots when it needs none.
[[nodiscard]] MaglevInput maglev_input_of(const IdentityTable& identity,
                                          const config::Forwarding& forwarding,
                                          const config::Service& service);

// The way to a backend.
struct Reach {
  uint32_t next_hop = dataplane::none;
  net::IpAddress source;  // ours towards it
};
[[nodiscard]] Reach reach(SnapshotDraft& draft, const net::IpAddress& address);

class ServiceStage {
 public:
  // `tables`: filled beforehand, as far as they fit; outlives the stage.
  ServiceStage(SnapshotDraft& draft, MaglevTables& tables) : draft_(draft), tables_(tables) {}

  // FULLNAT addresses of services that have none of their own. Before put().
  [[nodiscard]] std::expected<void, Error> put_shared_local_addresses();
  // The service as it is configured now; new, changed, or as before.
  [[nodiscard]] std::expected<void, Error> put(const config::Service& service);
  void remove(uint32_t service_id);
  // The connections of a backend without weight end at `deadline`; at the service's next put().
  void set_deadline(uint32_t backend_index, dataplane::Tick deadline);

 private:
  [[nodiscard]] std::expected<void, Error> put_backends(uint32_t service_id, ServiceState& state,
                                                        const config::Service& service);
  [[nodiscard]] std::expected<uint32_t, Error> put_backend(uint32_t service_id,
                                                           const config::Service& service,
                                                           const config::Backend& backend);
  void remove_backend(uint32_t index, const ServiceState& state);
  [[nodiscard]] std::expected<void, Error> put_maglev(ServiceState& state,
                                                      const config::Service& service);
  [[nodiscard]] std::expected<void, Error> put_block(uint32_t service_id, ServiceState& state,
                                                     const config::Service& service);
  // Whether persistence ends earlier than with the block that is there.
  [[nodiscard]] bool forgets_sooner(const Block& before, const dataplane::ServiceBlock& now) const;
  void set_row(uint32_t index, const dataplane::BackendRow& row);

  SnapshotDraft& draft_;
  MaglevTables& tables_;
};

}  // namespace headgate::control
