// Reading a snapshot from outside the packet path: for `show`, metrics and tests. On the control
// thread a root stays whole until the next SnapshotStore::poll(), so a walk may not be interrupted
// by one.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/snapshot.h"

namespace headgate::control {

template <typename T>
[[nodiscard]] std::span<const T> elements(dataplane::RegionView region,
                                          const dataplane::OffsetArray<T>& array) {
  return array.count == 0 ? std::span<const T>{}
                          : std::span<const T>(region.at(array.first), array.count);
}

// Calls visit(const ServiceBlock&) for each service.
template <typename Visit>
void for_each_service(dataplane::RegionView region, const dataplane::SnapshotRoot& root,
                      Visit visit) {
  for (const dataplane::ServiceSlot& slot : elements(region, root.service_slots)) {
    if (slot.block) visit(*region.at(slot.block));
  }
}

// Calls visit(const BackendRow&) for each backend, removed ones with connections included, in the
// order of their indexes.
template <typename Visit>
void for_each_backend(dataplane::RegionView region, const dataplane::SnapshotRoot& root,
                      Visit visit) {
  for (const auto chunk : elements(region, root.backend_chunks)) {
    if (!chunk) continue;
    for (const dataplane::BackendRow& row : region.at(chunk)->rows) {
      if (row.id != dataplane::none) visit(row);
    }
  }
}

// Calls visit(const NextHop&) for each neighbour that is known or wanted.
template <typename Visit>
void for_each_neighbour(dataplane::RegionView region, const dataplane::SnapshotRoot& root,
                        Visit visit) {
  for (const dataplane::NextHop& hop : elements(region, root.next_hops)) {
    if (hop.gateway.family != net::Family::none) visit(hop);
  }
}

// Calls visit(const Route&) for each route.
template <typename Visit>
void for_each_route(dataplane::RegionView region, const dataplane::SnapshotRoot& root,
                    Visit visit) {
  for (const dataplane::Route& route : elements(region, root.routes_v4.routes))
    visit(route);
  for (const dataplane::Route& route : elements(region, root.routes_v6.routes))
    visit(route);
}

// The service with this id, or null: goes through all of them.
[[nodiscard]] const dataplane::ServiceBlock* find_service_by_id(dataplane::RegionView region,
                                                                const dataplane::SnapshotRoot& root,
                                                                uint32_t service_id);

}  // namespace headgate::control
