// Fills the snapshot's open-addressing tables as its lookups expect them: a power of two of slots,
// at most half full, linear probing from the hash. The same entries in the same order give the same
// bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace headgate::control {

template <typename Slot>
class SlotTable {
 public:
  // For up to so many entries; free slots hold `empty`. No entries: no table.
  SlotTable(size_t entries, const Slot& empty)
      : slots_(entries == 0 ? 0 : std::bit_ceil(2 * entries), empty) {}

  // The first slot from `hash` on that is free or what is looked for.
  template <typename Fits>
  [[nodiscard]] Slot& find(uint32_t hash, Fits fits) {
    const size_t mask = slots_.size() - 1;
    size_t i = hash & mask;
    while (!fits(slots_[i]))
      i = (i + 1) & mask;
    return slots_[i];
  }
  [[nodiscard]] std::span<const Slot> slots() const { return slots_; }

 private:
  std::vector<Slot> slots_;
};

}  // namespace headgate::control
