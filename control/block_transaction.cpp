#include "control/block_transaction.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace headgate::control {

BlockTransaction::~BlockTransaction() {
  for (const auto& [offset, bytes] : added_)
    arena_.free({offset, bytes});
}

std::expected<void, Error> BlockTransaction::put(Block& block, std::span<const std::byte> content) {
  if (content.empty()) {
    drop(block);
    return {};
  }
  if (block.bytes == content.size() &&
      std::memcmp(at(block), content.data(), content.size()) == 0) {
    return {};
  }
  auto done = replace(block, content.size());
  if (done) std::memcpy(at(block), content.data(), content.size());
  return done;
}

std::expected<void, Error> BlockTransaction::replace(Block& block, uint64_t bytes) {
  const auto allocated = arena_.allocate(bytes);
  if (!allocated) return std::unexpected(allocated.error());
  adopt(block, *allocated);
  return {};
}

std::expected<void, Error> BlockTransaction::copy(Block& block, uint64_t bytes) {
  const auto allocated = arena_.allocate(bytes);
  if (!allocated) return std::unexpected(allocated.error());
  const uint64_t kept = std::min(block.bytes, bytes);
  if (kept != 0) std::memcpy(at(*allocated), at(block), kept);
  std::memset(at(*allocated) + kept, 0, bytes - kept);
  adopt(block, *allocated);
  return {};
}

void BlockTransaction::adopt(Block& block, const Block& allocated) {
  drop(block);
  added_.emplace(allocated.offset, allocated.bytes);
  block = allocated;
}

void BlockTransaction::drop(Block& block) {
  if (!block) return;
  if (added_.erase(block.offset) != 0) {
    arena_.free(block);  // of this very change: nobody has seen it
  } else {
    retired_.push_back(block);
  }
  block = {};
}

uint64_t BlockTransaction::new_bytes() const {
  uint64_t sum = 0;
  for (const auto& [offset, bytes] : added_)
    sum += bytes;
  return sum;
}

std::vector<Block> BlockTransaction::commit() {
  added_.clear();
  return std::exchange(retired_, {});
}

}  // namespace headgate::control
