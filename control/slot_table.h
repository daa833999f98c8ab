// Fills the snapshot's open-addressing tables as its lookups expect them: a power of two of slots,
// at most half full, linear probing from the hash. The same entries in the same order give the same
// bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace headgate::control {

// The first slot from `hash` on that is free or what is looked for; `fits` tells.
template <typename Slot, typename Fits>
[[nodiscard]] Slot& find_slot(std::span<Slot> slots, uint32_t hash, Fits fits) {
  const size_t mask = slots.size() - 1;
  size_t i = hash & mask;
  while (!fits(slots[i]))
    i = (i + 1) & mask;
  return slots[i];
}

// Slots for so many entries; all free, which `empty` says. No entries: no table.
template <typename Slot>
[[nodiscard]] std::vector<Slot> make_slots(size_t entries, const Slot& empty) {
  return std::vector<Slot>(entries == 0 ? 0 : std::bit_ceil(2 * entries), empty);
}

}  // namespace headgate::control
