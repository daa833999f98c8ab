#include "control/published_root.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

namespace headgate::control {
namespace {

using dataplane::OwnershipSlot;
using dataplane::SnapshotRoot;
using dataplane::VirtualMacs;

constexpr uint64_t smallest_reserve_bytes = 32U << 10;

constexpr uint64_t aligned(uint64_t bytes) {
  return (bytes + alignof(VirtualMacs) - 1) / alignof(VirtualMacs) * alignof(VirtualMacs);
}

}  // namespace

PublishedRoot::PublishedRoot(BlockArena& arena, SnapshotStore& store, size_t interfaces)
    : arena_(arena), store_(store), interfaces_(interfaces) {}

std::expected<uint64_t, Error> PublishedRoot::set(Ownership ownership) {
  if (ownership == ownership_) return store_.generation();
  SnapshotRoot root = root_;
  auto arrays = place_arrays(ownership, root);
  if (!arrays) return std::unexpected(arrays.error());
  if (!root_block_) {
    if (arrays_) arena_.free(arrays_);
  } else {
    const auto block = allocate(sizeof(root));
    if (!block) {
      if (*arrays) arena_.free(*arrays);
      return std::unexpected(block.error());
    }
    root.generation = store_.generation() + 1;
    std::memcpy(arena_.region().base() + block->offset, &root, sizeof(root));
    std::vector<Block> retired{root_block_};
    if (arrays_) retired.push_back(arrays_);
    store_.publish({block->offset}, std::move(retired));
    root_block_ = *block;
  }
  root_ = root;
  arrays_ = *arrays;
  ownership_ = std::move(ownership);
  keep_reserve();
  return store_.generation();
}

uint64_t PublishedRoot::adopt(Block block, std::vector<Block> retired) {
  auto* const root = reinterpret_cast<SnapshotRoot*>(arena_.region().base() + block.offset);
  root->generation = store_.generation() + 1;
  root->ownership_slots = root_.ownership_slots;
  root->virtual_macs = root_.virtual_macs;
  root_ = *root;
  if (root_block_) retired.push_back(root_block_);
  root_block_ = block;
  const uint64_t generation = store_.publish({block.offset}, std::move(retired));
  keep_reserve();
  return generation;
}

std::expected<Block, Error> PublishedRoot::place_arrays(const Ownership& ownership,
                                                        SnapshotRoot& root) {
  const std::vector<OwnershipSlot> slots = ownership_slots(ownership);
  const std::vector<VirtualMacs> macs = virtual_macs(ownership, interfaces_);
  root.ownership_slots = {};
  root.virtual_macs = {};
  if (slots.empty() && macs.empty()) return Block{};
  const uint64_t macs_at = aligned(slots.size() * sizeof(OwnershipSlot));
  const auto block = allocate(macs_at + macs.size() * sizeof(VirtualMacs));
  if (!block) return block;
  std::byte* const at = arena_.region().base() + block->offset;
  std::ranges::copy(slots, reinterpret_cast<OwnershipSlot*>(at));
  std::ranges::copy(macs, reinterpret_cast<VirtualMacs*>(at + macs_at));
  if (!slots.empty()) {
    root.ownership_slots = {.first = {block->offset}, .count = static_cast<uint32_t>(slots.size())};
  }
  if (!macs.empty()) {
    root.virtual_macs = {.first = {block->offset + macs_at},
                         .count = static_cast<uint32_t>(macs.size())};
  }
  return block;
}

std::expected<Block, Error> PublishedRoot::allocate(uint64_t bytes) {
  auto block = arena_.allocate(bytes);
  if (block || !reserve_) return block;
  arena_.free(std::exchange(reserve_, Block{}));
  return arena_.allocate(bytes);
}

// Room for the next change of as many addresses, and its root.
void PublishedRoot::keep_reserve() {
  const uint64_t wanted = std::max(smallest_reserve_bytes, 2 * arrays_.bytes);
  if (ownership_ == Ownership{} || reserve_.bytes >= wanted) return;
  const auto block = arena_.allocate(wanted);
  if (!block) return;
  if (reserve_) arena_.free(reserve_);
  reserve_ = *block;
}

}  // namespace headgate::control
