#include "dataplane/flow_key.h"

#include <bit>
#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/conn_layout.h"
#include "tests/support/conn_fixture.h"

namespace headgate::dataplane {
namespace {

using test::key4;
using test::key6;
using test::seed_of;

TEST(FlowKey, HashDependsOnEveryBitOfTheKey) {
  const HashSeed seed = seed_of(7);
  const auto flips_matter = [&](auto key) {
    const uint64_t before = hash_key(key, seed);
    // The last two bytes are always zero.
    for (size_t bit = 0; bit < (sizeof(key) - 2) * 8; ++bit) {
      auto changed = key;
      reinterpret_cast<uint8_t*>(&changed)[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
      const int different = std::popcount(before ^ hash_key(changed, seed));
      EXPECT_GT(different, 8) << "bit " << bit;
    }
  };
  flips_matter(key4(12345));
  flips_matter(key6(12345));
}

TEST(FlowKey, HashDependsOnEveryWordOfTheSeed) {
  const HashSeed seed = seed_of(7);
  std::set<uint64_t> hashes4{hash_key(key4(1), seed)};
  std::set<uint64_t> hashes6{hash_key(key6(1), seed)};
  for (size_t word = 0; word < seed.words.size(); ++word) {
    HashSeed other = seed;
    other.words[word] ^= 1U << 20;
    hashes4.insert(hash_key(key4(1), other));
    hashes6.insert(hash_key(key6(1), other));
  }
  EXPECT_EQ(hashes4.size(), 5U);  // four words serve IPv4
  EXPECT_EQ(hashes6.size(), 9U);
}

// Clients behind few addresses and with consecutive ports are the usual input. The two halves
// choose buckets by their upper bits: both must spread as random numbers do.
TEST(FlowKey, BothHalvesSpreadConsecutiveClientsEvenly) {
  constexpr uint32_t buckets = 1024;
  constexpr uint32_t flows = 64 * buckets;
  const HashSeed seed = seed_of(3);
  std::vector<uint32_t> low(buckets);
  std::vector<uint32_t> high(buckets);
  for (uint32_t id = 0; id < flows; ++id) {
    const uint64_t hash = hash_key(key4(id), seed);
    ++low[static_cast<uint32_t>(hash) >> 22];
    ++high[hash >> 54];
  }
  for (const auto& counts : {low, high}) {
    double chi_square = 0;
    for (const uint32_t count : counts)
      chi_square += std::pow(count - 64.0, 2) / 64.0;
    // 1023 degrees of freedom: mean 1023, standard deviation 45.
    EXPECT_GT(chi_square, 1023 - 5 * 45);
    EXPECT_LT(chi_square, 1023 + 5 * 45);
  }
}

TEST(FlowKey, TemplateIsNotAFlowFromPortZero) {
  FlowKey4 flow = key4(1);
  flow.source_port = net::be16::from_host(0);
  FlowKey4 persistence = flow;
  persistence.kind = EntryKind::persistence;
  EXPECT_NE(flow, persistence);
  EXPECT_NE(hash_key(flow, seed_of(1)), hash_key(persistence, seed_of(1)));
}

TEST(Slot, KeepsEveryPartApart) {
  const uint64_t hash = 0x123456789abcdef0;
  for (const bool v6 : {false, true}) {
    for (const Direction direction : {Direction::forward, Direction::reply}) {
      const ConnRef ref = ConnRef::make(v6, max_pool_entries - 1);
      const Slot slot = Slot::make(hash, SlotState::tentative, direction, ref);
      EXPECT_EQ(slot.ref(), ref);
      EXPECT_EQ(slot.direction(), direction);
      EXPECT_EQ(slot.state(), SlotState::tentative);
      EXPECT_TRUE(slot.matches(hash, SlotState::tentative, v6));
      EXPECT_FALSE(slot.matches(hash, SlotState::live, v6));
      EXPECT_FALSE(slot.matches(hash, SlotState::tentative, !v6));
      EXPECT_FALSE(slot.matches(~hash, SlotState::tentative, v6));
      const Slot live = slot.with_state(SlotState::live);
      EXPECT_EQ(live, Slot::make(hash, SlotState::live, direction, ref));
    }
  }
  EXPECT_FALSE(Slot{}.matches(0, SlotState::live, false));
}

}  // namespace
}  // namespace headgate::dataplane
