// The blocks of one change: taken from the arena as the snapshot is built, given back when it is
// not published. What it replaces is collected, to be freed when nobody can read it any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "control/block_arena.h"
#include "control/error.h"
#include "dataplane/region.h"

namespace headgate::control {

class BlockTransaction {
 public:
  explicit BlockTransaction(BlockArena& arena) : arena_(arena) {}
  ~BlockTransaction();
  BlockTransaction(const BlockTransaction&) = delete;
  BlockTransaction& operator=(const BlockTransaction&) = delete;

  // Makes `block` one that holds `content`: the block itself when it does already, else a new one.
  // No content: no block.
  [[nodiscard]] std::expected<void, Error> put(Block& block, std::span<const std::byte> content);
  // The same, and where it is goes into `array`. Padding would make equal contents differ.
  template <typename T>
    requires std::has_unique_object_representations_v<T>
  [[nodiscard]] std::expected<void, Error> put_array(Block& block, dataplane::OffsetArray<T>& array,
                                                     std::span<const T> content) {
    auto done = put(block, std::as_bytes(content));
    if (done) array = {.first = {block.offset}, .count = static_cast<uint32_t>(content.size())};
    return done;
  }
  // Makes `block` a new one of `bytes`, without content.
  [[nodiscard]] std::expected<void, Error> replace(Block& block, uint64_t bytes);
  // Makes `block` a new one of so many elements that begins with what it held, zeros behind. For
  // large blocks of which little changes; the elements may be written until commit().
  template <typename T>
  [[nodiscard]] std::expected<std::span<T>, Error> replace_with_copy(
      Block& block, dataplane::OffsetArray<T>& array, size_t count) {
    if (auto done = copy(block, count * sizeof(T)); !done) return std::unexpected(done.error());
    array = {.first = {block.offset}, .count = static_cast<uint32_t>(count)};
    return std::span<T>(reinterpret_cast<T*>(at(block)), count);
  }
  // Makes `block` one that was allocated elsewhere and is the transaction's from now on.
  void adopt(Block& block, const Block& allocated);
  void drop(Block& block);

  [[nodiscard]] bool empty() const { return added_.empty() && retired_.empty(); }
  [[nodiscard]] size_t new_blocks() const { return added_.size(); }
  [[nodiscard]] uint64_t new_bytes() const;
  [[nodiscard]] std::byte* at(const Block& block) const {
    return arena_.region().base() + block.offset;
  }

  template <typename T>
  [[nodiscard]] std::span<const T> elements(const Block& block) const {
    if (!block) return {};
    return {reinterpret_cast<const T*>(at(block)), block.bytes / sizeof(T)};
  }

  // The new blocks stay; returns those that nothing of the new snapshot leads to.
  [[nodiscard]] std::vector<Block> commit();

 private:
  [[nodiscard]] std::expected<void, Error> copy(Block& block, uint64_t bytes);

  BlockArena& arena_;
  std::unordered_map<uint64_t, uint64_t> added_;  // offset, bytes
  std::vector<Block> retired_;
};

}  // namespace headgate::control
