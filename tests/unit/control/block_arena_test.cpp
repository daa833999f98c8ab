#include "control/block_arena.h"

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "control/block_transaction.h"
#include "control/region_memory.h"

#ifdef HEADGATE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace headgate::control {
namespace {

class BlockArenaTest : public testing::Test {
 protected:
  static constexpr uint64_t area_bytes = 1U << 20;

  BlockArenaTest()
      : memory_(std::move(
            RegionMemory::create({.snapshot_bytes = area_bytes}, RegionPages::plain).value())),
        arena_(memory_.view(), memory_.header().snapshot, BlockArena::Freed::overwrite) {}

  [[nodiscard]] std::byte* at(const Block& block) const {
    return memory_.view().base() + block.offset;
  }

  RegionMemory memory_;
  BlockArena arena_;
};

TEST_F(BlockArenaTest, BlocksLieInTheAreaOnCacheLines) {
  for (const uint64_t bytes : {0, 1, 63, 64, 65, 5000}) {
    const Block block = arena_.allocate(bytes).value();
    EXPECT_EQ(block.offset % 64, 0U);
    EXPECT_GE(block.offset, memory_.header().snapshot.offset);
    EXPECT_LE(block.offset + bytes, memory_.header().snapshot.offset + area_bytes);
    EXPECT_EQ(block.bytes, bytes);
  }
}

TEST_F(BlockArenaTest, ExhaustionIsAnErrorAndFreeingMakesRoomAgain) {
  std::vector<Block> blocks;
  for (;;) {
    const auto block = arena_.allocate(60'000);
    if (!block) {
      EXPECT_NE(block.error().text.find("memory.snapshot_mb"), std::string::npos);
      break;
    }
    blocks.push_back(*block);
  }
  EXPECT_EQ(blocks.size(), area_bytes / 60'032);
  for (const Block& block : blocks)
    arena_.free(block);
  EXPECT_EQ(arena_.usage().used_bytes, 0U);
  EXPECT_TRUE(arena_.allocate(area_bytes).has_value()) << "neighbours were not merged";
}

TEST_F(BlockArenaTest, SmallestRangeThatFitsIsTaken) {
  const Block small_gap = arena_.allocate(128).value();
  const Block between = arena_.allocate(64).value();
  const Block large_gap = arena_.allocate(4096).value();
  const Block end = arena_.allocate(64).value();
  arena_.free(large_gap);
  arena_.free(small_gap);
  EXPECT_EQ(arena_.allocate(100).value().offset, small_gap.offset);
  EXPECT_EQ(arena_.allocate(200).value().offset, large_gap.offset);
  (void)between;
  (void)end;
}

TEST_F(BlockArenaTest, FreedBytesAreOverwritten) {
  const Block block = arena_.allocate(100).value();
  std::memset(at(block), 0x11, 100);
  arena_.free(block);
#ifdef HEADGATE_ASAN
  EXPECT_TRUE(__asan_address_is_poisoned(at(block)));
  EXPECT_TRUE(__asan_address_is_poisoned(at(block) + 99));
#else
  EXPECT_EQ(static_cast<uint8_t>(at(block)[0]), BlockArena::freed_byte);
  EXPECT_EQ(static_cast<uint8_t>(at(block)[99]), BlockArena::freed_byte);
#endif
}

// Random allocations and frees against a plain list: no overlap, contents stay, all comes back.
TEST_F(BlockArenaTest, RandomUseNeverOverlaps) {
  std::mt19937 random(7);
  struct Held {
    Block block;
    uint8_t mark;
  };
  std::vector<Held> held;
  uint64_t failures = 0;
  const auto check_and_free = [&](size_t i) {
    const Held victim = held[i];
    for (uint64_t b = 0; b < victim.block.bytes; ++b) {
      ASSERT_EQ(static_cast<uint8_t>(at(victim.block)[b]), victim.mark);
    }
    arena_.free(victim.block);
    held[i] = held.back();
    held.pop_back();
  };
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0 || held.empty()) {
      const auto block = arena_.allocate(1 + random() % 8000);
      if (!block) {
        ++failures;
        continue;
      }
      const auto mark = static_cast<uint8_t>(random());
      std::memset(at(*block), mark, block->bytes);
      held.push_back({*block, mark});
    } else {
      check_and_free(random() % held.size());
    }
  }
  EXPECT_EQ(arena_.usage().blocks, held.size());
  while (!held.empty())
    check_and_free(0);
  EXPECT_EQ(arena_.usage().used_bytes, 0U);
  EXPECT_EQ(arena_.usage().largest_free_bytes, area_bytes);
  EXPECT_LT(failures, 10'000U);
}

TEST_F(BlockArenaTest, TwoThreadsMayUseItAtOnce) {
  const auto use = [this] {
    for (int i = 0; i < 5'000; ++i) {
      const auto block = arena_.allocate(256);
      ASSERT_TRUE(block.has_value());
      std::memset(at(*block), 1, 256);
      arena_.free(*block);
    }
  };
  std::thread other(use);
  use();
  other.join();
  EXPECT_EQ(arena_.usage().used_bytes, 0U);
}

TEST_F(BlockArenaTest, TransactionThatIsDroppedLeavesNothing) {
  Block running;
  {
    BlockTransaction first(arena_);
    ASSERT_TRUE(first.put(running, std::as_bytes(std::span("running"))).has_value());
    EXPECT_TRUE(first.commit().empty());
  }
  const uint64_t used = arena_.usage().used_bytes;
  {
    BlockTransaction change(arena_);
    Block copy = running;
    ASSERT_TRUE(change.put(copy, std::as_bytes(std::span("another"))).has_value());
    EXPECT_NE(copy, running);
  }
  EXPECT_EQ(arena_.usage().used_bytes, used);
  EXPECT_EQ(std::memcmp(at(running), "running", 8), 0);
}

TEST_F(BlockArenaTest, TransactionSharesEqualContentAndRetiresTheRest) {
  Block block;
  BlockTransaction first(arena_);
  ASSERT_TRUE(first.put(block, std::as_bytes(std::span("content"))).has_value());
  (void)first.commit();
  const Block before = block;

  BlockTransaction second(arena_);
  ASSERT_TRUE(second.put(block, std::as_bytes(std::span("content"))).has_value());
  EXPECT_EQ(block, before);
  EXPECT_TRUE(second.empty());
  ASSERT_TRUE(second.put(block, std::as_bytes(std::span("differs"))).has_value());
  ASSERT_TRUE(second.put(block, std::as_bytes(std::span("again, and longer"))).has_value());
  EXPECT_EQ(second.new_blocks(), 1U) << "the block between was never visible";
  EXPECT_EQ(second.commit(), std::vector{before});
}

}  // namespace
}  // namespace headgate::control
