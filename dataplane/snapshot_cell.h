// The one word by which a snapshot becomes visible. Control stores it once for each generation; a
// worker loads it once per burst.
//
//   63            32 31             0
//   [ generation    | root / 64      ]   0: nothing published yet
//
// The generation's low half is in the word for readers in other processes, which do not take part
// in grace periods: they copy what they need and know that it was whole when the word is still the
// same afterwards, because blocks of a generation are freed only after a later one was published.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/region.h"

namespace headgate::dataplane {

struct SnapshotRoot;

class SnapshotCell {
 public:
  // The newest root, or null before the first. Acquire: pairs with the release in publish(), so
  // that everything the root leads to is there.
  [[nodiscard]] const SnapshotRoot* load(RegionView region) const noexcept {
    const Offset<SnapshotRoot> root = root_of(word());
    return root ? region.at(root) : nullptr;
  }

  // By control alone.
  void publish(Offset<SnapshotRoot> root, uint64_t generation) noexcept {
    word_.store((generation << 32) | (root.value / block_unit_bytes), std::memory_order_release);
  }

  [[nodiscard]] uint64_t word() const noexcept { return word_.load(std::memory_order_acquire); }
  [[nodiscard]] static Offset<SnapshotRoot> root_of(uint64_t word) noexcept {
    return {(word & 0xffffffff) * block_unit_bytes};
  }

  static constexpr uint64_t block_unit_bytes = 64;
  // Roots lie below this offset.
  static constexpr uint64_t reach_bytes = block_unit_bytes << 32;

 private:
  std::atomic<uint64_t> word_{0};
};
static_assert(sizeof(SnapshotCell) == 8 && std::atomic<uint64_t>::is_always_lock_free);

}  // namespace headgate::dataplane
