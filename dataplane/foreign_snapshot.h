// Reading a snapshot from another process, which takes part in no grace period: copy what is
// needed, then ask whether it was whole. The region is mapped read-only there, and what is copied
// may be nonsense until whole() says otherwise, so every offset is checked and nothing is followed
// in place.
//
//   ForeignSnapshot snapshot(region);
//   SnapshotRoot root;
//   std::vector<ServiceSlot> slots;
//   if (snapshot.copy_root(root) && snapshot.copy(root.service_slots, slots) && snapshot.whole()) …
//
// Otherwise begin again with a new ForeignSnapshot. Blocks of a generation are freed only after a
// later one was published, so an unchanged word means that none of them was touched meanwhile.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "dataplane/region.h"
#include "dataplane/region_layout.h"
#include "dataplane/snapshot.h"

namespace headgate::dataplane {

class ForeignSnapshot {
 public:
  explicit ForeignSnapshot(RegionView region)
      : region_(region), word_(header_of(region).published.word()) {}

  [[nodiscard]] bool copy_root(SnapshotRoot& root) const {
    const Offset<SnapshotRoot> offset = SnapshotCell::root_of(word_);
    return offset && copy(offset, root);
  }

  // False when it does not lie in the snapshot's area.
  template <typename T>
  [[nodiscard]] bool copy(Offset<T> offset, T& value) const {
    return copy_bytes(offset.value, sizeof(T), &value);
  }
  template <typename T>
  [[nodiscard]] bool copy(const OffsetArray<T>& array, std::vector<T>& values) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const uint64_t bytes = uint64_t{array.count} * sizeof(T);
    if (!inside(array.first.value, bytes)) return false;
    values.resize(array.count);
    return copy_bytes(array.first.value, bytes, values.data());
  }

  // Whether all that was copied so far is of one generation.
  [[nodiscard]] bool whole() const { return header_of(region_).published.word() == word_; }

 private:
  [[nodiscard]] bool inside(uint64_t offset, uint64_t bytes) const {
    const RegionArea& area = header_of(region_).snapshot;
    return bytes == 0 || (offset >= area.offset && offset - area.offset <= area.bytes &&
                          bytes <= area.bytes - (offset - area.offset));
  }

  // The writer is another process and may be writing. Acquire loads keep the look at the word,
  // which comes later, behind them, and cost nothing on x86.
  [[nodiscard]] bool copy_bytes(uint64_t offset, uint64_t bytes, void* to) const {
    if (!inside(offset, bytes)) return false;
    const std::byte* from = region_.base() + offset;
    auto* out = static_cast<std::byte*>(to);
    uint64_t done = 0;
    if (offset % sizeof(uint64_t) == 0) {
      for (; done + sizeof(uint64_t) <= bytes; done += sizeof(uint64_t)) {
        const uint64_t word =
            __atomic_load_n(reinterpret_cast<const uint64_t*>(from + done), __ATOMIC_ACQUIRE);
        std::memcpy(out + done, &word, sizeof(word));
      }
    }
    for (; done < bytes; ++done) {
      const uint8_t byte =
          __atomic_load_n(reinterpret_cast<const uint8_t*>(from + done), __ATOMIC_ACQUIRE);
      std::memcpy(out + done, &byte, 1);
    }
    return true;
  }

  RegionView region_;
  uint64_t word_;
};

}  // namespace headgate::dataplane
