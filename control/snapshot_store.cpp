#include "control/snapshot_store.h"

#include <algorithm>
#include <utility>

namespace headgate::control {
namespace {

// A reload can retire a block for each of thousands of services; the control thread has other
// things to do between.
constexpr size_t blocks_at_once = 1024;

}  // namespace

SnapshotStore::SnapshotStore(dataplane::RegionView region, BlockArena& arena,
                             dataplane::GracePeriod& grace)
    : region_(region), arena_(arena), grace_(grace) {}

SnapshotStore::~SnapshotStore() {
  for (const Retired& retired : retired_) {
    for (const Block& block : retired.blocks)
      arena_.free(block);
  }
}

uint64_t SnapshotStore::publish(dataplane::Offset<dataplane::SnapshotRoot> root,
                                std::vector<Block> retired) {
  ++generation_;
  dataplane::header_of(region_).published.publish(root, generation_);
  // Taken after the store: who reports quiescence from now on loads this root or a later one.
  const uint64_t token = grace_.start();
  retired_.push_back({generation_, token, std::move(retired)});
  return generation_;
}

size_t SnapshotStore::poll() {
  size_t budget = blocks_at_once;
  while (budget != 0 && !retired_.empty() && grace_.passed(retired_.front().token)) {
    Retired& oldest = retired_.front();
    passed_generation_ = oldest.generation;
    for (; budget != 0 && !oldest.blocks.empty(); --budget) {
      arena_.free(oldest.blocks.back());
      oldest.blocks.pop_back();
    }
    if (!oldest.blocks.empty()) break;
    retired_.pop_front();
  }
  return retired_.size();
}

const dataplane::SnapshotRoot* SnapshotStore::current() const {
  return dataplane::header_of(region_).published.load(region_);
}

bool SnapshotStore::passed(uint64_t generation) const {
  if (generation <= passed_generation_) return true;
  const auto waiting = std::ranges::find(retired_, generation, &Retired::generation);
  return waiting != retired_.end() && grace_.passed(waiting->token);
}

bool SnapshotStore::seen_by_workers(uint64_t generation) const {
  const uint32_t workers = dataplane::header_of(region_).limits.workers;
  for (uint32_t worker = 0; worker < workers; ++worker) {
    const dataplane::CounterRows rows = dataplane::counter_rows(region_, worker);
    if (rows.worker->snapshot_generation.get() < generation) return false;
  }
  return true;
}

}  // namespace headgate::control
