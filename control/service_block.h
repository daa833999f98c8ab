// A service's block as bytes: its header, its backends, its own FULLNAT addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/model.h"
#include "control/snapshot_draft.h"

namespace headgate::control {

struct ServiceContent {
  dataplane::ServiceBlock header{};
  std::vector<dataplane::ServiceBackend> backends;
  std::vector<net::IpAddress> own_local_addresses;

  // The whole block as it is at `offset` of the region.
  [[nodiscard]] std::vector<std::byte> bytes_at(uint64_t offset) const;
};

// All but serial, Maglev table and scratch. The backends have their ids already.
[[nodiscard]] ServiceContent service_content(SnapshotDraft& draft, uint32_t service_id,
                                             const config::Service& service);

[[nodiscard]] std::vector<net::IpAddress> of_family(const std::vector<net::IpAddress>& addresses,
                                                    net::Family family);

}  // namespace headgate::control
