#include "control/next_hop_table.h"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

NextHopKey key(uint32_t n) {
  return {.interface = static_cast<uint16_t>(n % 2),
          .mtu_limit = static_cast<uint16_t>(n % 3 == 0 ? 1400 : 0),
          .gateway = net::parse_ip("10.0.0." + std::to_string(n + 1)).value()};
}

TEST(NextHopTable, FixedRowsComeFirst) {
  NextHopTable table;
  EXPECT_EQ(table.end(), next_hop_fixed_rows);
  EXPECT_EQ(table.live_end(), next_hop_fixed_rows);
  EXPECT_EQ(table.use(key(0)), next_hop_fixed_rows);
  EXPECT_EQ(table.use(key(0)), next_hop_fixed_rows);
}

TEST(NextHopTable, RowThatGoesIsReusedOnlyByALaterChange) {
  NextHopTable table;
  const uint32_t first = table.use(key(0));
  const uint32_t second = table.use(key(1));
  table.commit();
  std::vector<bool> used(table.end());
  used[second] = true;
  table.sweep(used);
  EXPECT_TRUE(table.is_going(first));
  EXPECT_TRUE(table.is_free(first));
  EXPECT_FALSE(table.is_free(second));
  EXPECT_NE(table.use(key(2)), first);
  table.commit();
  EXPECT_EQ(table.use(key(3)), first);
}

TEST(NextHopTable, FreeRowsAtTheEndAreCutOff) {
  NextHopTable table;
  for (uint32_t n = 0; n < 100; ++n)
    (void)table.use(key(n));
  table.commit();
  std::vector<bool> used(table.end());
  used[next_hop_fixed_rows + 10] = true;
  table.sweep(used);
  EXPECT_EQ(table.live_end(), next_hop_fixed_rows + 11);
  table.commit();
  EXPECT_EQ(table.end(), next_hop_fixed_rows + 11);
  for (uint32_t n = 100; n < 110; ++n)
    EXPECT_LT(table.use(key(n)), next_hop_fixed_rows + 10);
  EXPECT_EQ(table.use(key(110)), next_hop_fixed_rows + 11);
}

// Against a map: an index has one key, a key one index, and what is rolled back never was.
TEST(NextHopTable, RandomChangesAndRollbacks) {
  std::mt19937 random(5);
  NextHopTable table;
  std::map<uint32_t, uint32_t> rows;  // key number -> index
  for (int step = 0; step < 5'000; ++step) {
    auto wanted = rows;
    for (uint32_t i = 0; i < 5; ++i) {
      const uint32_t n = static_cast<uint32_t>(random() % 60);
      const uint32_t index = table.use(key(n));
      if (const auto known = wanted.find(n); known != wanted.end()) {
        ASSERT_EQ(known->second, index);
      }
      wanted[n] = index;
    }
    if (random() % 2 == 0) {
      std::vector<bool> used(table.end());
      for (auto row = wanted.begin(); row != wanted.end();) {
        used[row->second] = random() % 2 == 0;
        row = used[row->second] ? std::next(row) : wanted.erase(row);
      }
      table.sweep(used);
    }
    if (random() % 2 == 0) {
      table.commit();
      rows = std::move(wanted);
    } else {
      table.rollback();
    }
    std::vector<bool> taken(table.end());
    for (const auto& [n, index] : rows) {
      ASSERT_LT(index, table.end());
      ASSERT_FALSE(taken[index]);
      taken[index] = true;
      ASSERT_EQ(table.key(index), key(n));
    }
    for (uint32_t i = next_hop_fixed_rows; i < table.end(); ++i) {
      ASSERT_EQ(table.is_free(i), !taken[i]);
    }
  }
}

}  // namespace
}  // namespace headgate::control
