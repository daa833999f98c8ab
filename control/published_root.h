// The root that workers read, and what of it no reload builds: the ownership of addresses.
//
//   prepare() on a helper ──> a draft's root ──┐ adopt(): at the commit, it gets the ownership of
//   set() on the control thread, at any time ──┴─> the moment       publish: one release store
//
// A change of mastership must not wait for a reload of thousands of services that is being prepared
// elsewhere, and must not be lost by it. So it touches nothing that preparing reads: it publishes a
// copy of the running root with other ownership blocks, and whatever root comes next takes these
// over. All of it belongs to the control thread.
#pragma once

#include <cstdint>
#include <expected>
#include <vector>

#include "control/block_arena.h"
#include "control/error.h"
#include "control/ownership.h"
#include "control/snapshot_store.h"

namespace headgate::control {

class PublishedRoot {
 public:
  PublishedRoot(BlockArena& arena, SnapshotStore& store, size_t interfaces);
  PublishedRoot(const PublishedRoot&) = delete;
  PublishedRoot& operator=(const PublishedRoot&) = delete;

  [[nodiscard]] const Ownership& ownership() const { return ownership_; }
  // Publishes and returns the generation that says so; before the first adopt() it is kept for it.
  // Fails without room for the blocks, of which some is kept in reserve, and changes nothing then.
  [[nodiscard]] std::expected<uint64_t, Error> set(Ownership ownership);
  // Publishes the root in `block`, which nobody has seen, as the next generation. `retired` are
  // blocks of the former generation that it does not lead to.
  uint64_t adopt(Block block, std::vector<Block> retired);

 private:
  // The root's arrays of slots and MACs, one behind the other in one block; none without any.
  [[nodiscard]] std::expected<Block, Error> place_arrays(const Ownership& ownership,
                                                         dataplane::SnapshotRoot& root);
  [[nodiscard]] std::expected<Block, Error> allocate(uint64_t bytes);
  void keep_reserve();

  BlockArena& arena_;
  SnapshotStore& store_;
  size_t interfaces_;
  Ownership ownership_;
  dataplane::SnapshotRoot root_{};  // as published; of a first one only the ownership
  Block root_block_;                // none before the first adopt()
  Block arrays_;
  Block reserve_;  // so that a reload that takes all memory cannot keep an address active
};

}  // namespace headgate::control
