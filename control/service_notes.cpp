#include "control/service_notes.h"

#include "control/snapshot_walk.h"

namespace headgate::control {

void ServiceNotes::refresh(const State& state) {
  const uint64_t generation = state.store.generation();
  if (generation_ == generation) return;
  generation_ = generation;
  by_id_.clear();
  const dataplane::SnapshotRoot* root = state.store.current();
  if (root == nullptr) return;
  for_each_service(state.region, *root, [&](const dataplane::ServiceBlock& block) {
    if (block.id >= by_id_.size()) by_id_.resize(block.id + 1);
    by_id_[block.id] = {block.persistence_ticks, block.firewall_mark};
  });
}

std::optional<uint32_t> ServiceNotes::persistence_ticks(uint32_t service_id) const {
  if (service_id >= by_id_.size() || by_id_[service_id].persistence_ticks == 0) return std::nullopt;
  return by_id_[service_id].persistence_ticks;
}

uint32_t ServiceNotes::mark_of(uint32_t service_id) const {
  return service_id < by_id_.size() ? by_id_[service_id].firewall_mark : 0;
}

}  // namespace headgate::control
