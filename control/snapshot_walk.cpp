#include "control/snapshot_walk.h"

namespace headgate::control {

const dataplane::ServiceBlock* find_service_by_id(dataplane::RegionView region,
                                                  const dataplane::SnapshotRoot& root,
                                                  uint32_t service_id) {
  const dataplane::ServiceBlock* result = nullptr;
  for_each_service(region, root, [&](const dataplane::ServiceBlock& service) {
    if (service.id == service_id) result = &service;
  });
  return result;
}

}  // namespace headgate::control
