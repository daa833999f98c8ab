#include "control/block_arena.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <string>

#ifdef HEADGATE_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace headgate::control {
namespace {

constexpr uint64_t unit = dataplane::SnapshotCell::block_unit_bytes;

constexpr uint64_t round_up(uint64_t bytes) {
  return (std::max<uint64_t>(bytes, 1) + unit - 1) / unit * unit;
}

}  // namespace

BlockArena::BlockArena(dataplane::RegionView region, const dataplane::RegionArea& area, Freed freed)
    : region_(region), area_(area), freed_(freed) {
  area_.bytes -= area_.bytes % unit;
  if (area_.bytes != 0) add_free(area_.offset, area_.bytes);
  ASAN_POISON_MEMORY_REGION(region_.base() + area_.offset, area_.bytes);
}

BlockArena::~BlockArena() {
  ASAN_UNPOISON_MEMORY_REGION(region_.base() + area_.offset, area_.bytes);
}

std::expected<Block, Error> BlockArena::allocate(uint64_t bytes) {
  const uint64_t rounded = round_up(bytes);
  const std::scoped_lock lock(mutex_);
  const auto fit = free_by_size_.lower_bound({rounded, 0});
  if (fit == free_by_size_.end()) return std::unexpected(out_of_memory(bytes));
  const auto [range_bytes, offset] = *fit;
  remove_free(free_by_offset_.find(offset));
  if (range_bytes > rounded) add_free(offset + rounded, range_bytes - rounded);
  allocated_.emplace(offset, rounded);
  used_bytes_ += rounded;
  peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  ASAN_UNPOISON_MEMORY_REGION(region_.base() + offset, bytes);
  return Block{offset, bytes};
}

void BlockArena::free(const Block& block) {
  const std::scoped_lock lock(mutex_);
  const auto found = allocated_.find(block.offset);
  assert(found != allocated_.end() && found->second == round_up(block.bytes));
  uint64_t offset = found->first;
  uint64_t bytes = found->second;
  allocated_.erase(found);
  used_bytes_ -= bytes;
  if (freed_ == Freed::overwrite) {
    std::memset(region_.base() + offset, freed_byte, block.bytes);
  }
  ASAN_POISON_MEMORY_REGION(region_.base() + offset, bytes);

  const auto next = free_by_offset_.lower_bound(offset);
  if (next != free_by_offset_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      remove_free(before);
    }
  }
  if (next != free_by_offset_.end() && offset + bytes == next->first) {
    bytes += next->second;
    remove_free(next);
  }
  add_free(offset, bytes);
}

BlockArena::Usage BlockArena::usage() const {
  const std::scoped_lock lock(mutex_);
  return {.total_bytes = area_.bytes,
          .used_bytes = used_bytes_,
          .peak_bytes = peak_bytes_,
          .blocks = allocated_.size(),
          .largest_free_bytes = free_by_size_.empty() ? 0 : free_by_size_.rbegin()->first};
}

Error BlockArena::out_of_memory(uint64_t bytes) const {
  return {"snapshot: no room for a block of " + std::to_string(bytes) + " bytes, " +
          std::to_string(used_bytes_ >> 20) + " of " + std::to_string(area_.bytes >> 20) +
          " MB are in use: raise memory.snapshot_mb and restart, or use smaller Maglev tables"};
}

void BlockArena::add_free(uint64_t offset, uint64_t bytes) {
  free_by_offset_.emplace(offset, bytes);
  free_by_size_.emplace(bytes, offset);
}

void BlockArena::remove_free(std::map<uint64_t, uint64_t>::iterator range) {
  free_by_size_.erase({range->second, range->first});
  free_by_offset_.erase(range);
}

}  // namespace headgate::control
