// Publishing snapshots, and freeing what they replaced. Control calls everything here from its own
// thread; nothing waits: poll() frees what no worker can hold any more, whenever it is called.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "control/block_arena.h"
#include "dataplane/grace.h"
#include "dataplane/region_layout.h"
#include "dataplane/snapshot.h"

namespace headgate::control {

class SnapshotStore {
 public:
  // `arena` and `grace` outlive the store. Its destructor frees all that waits: workers are gone
  // then.
  SnapshotStore(dataplane::RegionView region, BlockArena& arena, dataplane::GracePeriod& grace);
  ~SnapshotStore();
  SnapshotStore(const SnapshotStore&) = delete;
  SnapshotStore& operator=(const SnapshotStore&) = delete;

  // Makes `root`, which says generation() + 1, the current snapshot with one release store;
  // `retired` are the blocks that only earlier generations lead to. Returns the new generation.
  uint64_t publish(dataplane::Offset<dataplane::SnapshotRoot> root, std::vector<Block> retired);

  // Frees blocks whose grace period is over, a bounded number at once. Returns how many generations
  // still wait: call it again soon while there are any.
  size_t poll();

  // Null before the first. Valid until the next poll() after the next publish().
  [[nodiscard]] const dataplane::SnapshotRoot* current() const;
  [[nodiscard]] uint64_t generation() const { return generation_; }
  // The newest generation that poll() found all readers to have reached.
  [[nodiscard]] uint64_t passed_generation() const { return passed_generation_; }
  [[nodiscard]] dataplane::GracePeriod& grace() { return grace_; }
  // Whether all readers have left every generation before this one: each works by it or by a later
  // one, or sleeps and will when it wakes. The answer to a change can be given.
  [[nodiscard]] bool visible(uint64_t generation) const {
    return seen_by_workers(generation) || passed(generation);
  }

 private:
  // By the workers' own word, which needs no grace period of other readers.
  [[nodiscard]] bool seen_by_workers(uint64_t generation) const;
  [[nodiscard]] bool passed(uint64_t generation) const;

  struct Retired {
    uint64_t generation;  // the one that no longer needs the blocks
    uint64_t token;
    std::vector<Block> blocks;
  };

  dataplane::RegionView region_;
  BlockArena& arena_;
  dataplane::GracePeriod& grace_;
  std::deque<Retired> retired_;  // oldest first
  uint64_t generation_ = 0;
  uint64_t passed_generation_ = 0;  // its grace period is over
};

}  // namespace headgate::control
