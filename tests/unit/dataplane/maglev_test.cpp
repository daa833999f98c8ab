#include "dataplane/maglev.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/snapshot.h"

namespace headgate::dataplane {
namespace {

using Table = std::vector<uint16_t>;

std::vector<MaglevBackend> equal_backends(uint32_t count) {
  std::vector<MaglevBackend> result;
  result.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    result.push_back({.address = net::Ipv4Address::from_host(0x0a000000 + i),
                      .port = net::be16::from_host(80),
                      .weight = 1});
  }
  return result;
}

Table table_of(const std::vector<MaglevBackend>& backends, uint32_t size) {
  Table table(size);
  fill_maglev(backends, table);
  return table;
}

std::vector<uint32_t> slots_of(const Table& table, size_t backends) {
  std::vector<uint32_t> slots(backends);
  for (const uint16_t index : table)
    ++slots.at(index);
  return slots;
}

// The share, in per cent, of all slots that change hands between backends that stay.
double moved_without_need(const Table& before, const Table& after,
                          const std::vector<MaglevBackend>& backends) {
  uint32_t moved = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] != after[i] && backends[before[i]].weight != 0) ++moved;
  }
  return 100.0 * moved / static_cast<double>(before.size());
}

double moved_when_down(uint32_t count, uint32_t size, uint32_t down) {
  std::vector<MaglevBackend> backends = equal_backends(count);
  const Table before = table_of(backends, size);
  std::mt19937 random(count + down);
  double sum = 0;
  constexpr int rounds = 5;
  for (int round = 0; round < rounds; ++round) {
    std::vector<MaglevBackend> rest = backends;
    for (uint32_t gone = 0; gone < down;) {
      MaglevBackend& backend = rest[random() % count];
      if (backend.weight != 0) ++gone;
      backend.weight = 0;
    }
    sum += moved_without_need(before, table_of(rest, size), rest);
  }
  return sum / rounds;
}

TEST(Maglev, EqualWeightsHaveEqualShares) {
  for (const uint32_t count : {1U, 2U, 3U, 100U, 1000U}) {
    const auto slots = slots_of(table_of(equal_backends(count), maglev_default_table), count);
    const auto [least, most] = std::ranges::minmax_element(slots);
    EXPECT_LE(*most - *least, 1) << count;
  }
}

TEST(Maglev, RecommendedSizesKeepSharesWithinTwoPercent) {
  for (const uint32_t count : {2U, 8U, 50U, 500U, 5000U}) {
    const auto slots = slots_of(table_of(equal_backends(count), maglev_table_size(count)), count);
    const auto [least, most] = std::ranges::minmax_element(slots);
    EXPECT_LE((*most - *least) * 100, *most * 2) << count;
  }
}

TEST(Maglev, SharesFollowTheWeights) {
  std::mt19937 random(1);
  std::vector<MaglevBackend> backends = equal_backends(50);
  uint64_t total = 0;
  for (MaglevBackend& backend : backends)
    total += backend.weight = random() % 100 + 1;
  const auto slots = slots_of(table_of(backends, maglev_default_table), backends.size());
  for (size_t i = 0; i < backends.size(); ++i) {
    const double exact =
        static_cast<double>(maglev_default_table) * backends[i].weight / static_cast<double>(total);
    EXPECT_NEAR(slots[i], exact, 1.0) << "weight " << backends[i].weight;
  }
}

TEST(Maglev, ExtremeWeightsKeepTheirShares) {
  std::vector<MaglevBackend> backends = equal_backends(2);
  backends[0].weight = 65535;
  const auto slots = slots_of(table_of(backends, maglev_default_table), 2);
  EXPECT_EQ(slots[1], 1);
}

TEST(Maglev, WeightZeroGetsNoSlot) {
  std::vector<MaglevBackend> backends = equal_backends(3);
  backends[1].weight = 0;
  const auto slots = slots_of(table_of(backends, 251), 3);
  EXPECT_EQ(slots[1], 0);
  EXPECT_EQ(slots[0] + slots[2], 251);
}

TEST(Maglev, NobodyWithWeightLeavesTheTableEmpty) {
  std::vector<MaglevBackend> backends = equal_backends(2);
  for (MaglevBackend& backend : backends)
    backend.weight = 0;
  for (const Table& table : {table_of(backends, 251), table_of({}, 251)}) {
    EXPECT_TRUE(std::ranges::all_of(table, [](uint16_t i) { return i == maglev_empty; }));
  }
}

TEST(Maglev, TableDependsOnTheSetAndNotOnItsOrder) {
  std::mt19937 random(2);
  std::vector<MaglevBackend> backends = equal_backends(100);
  for (MaglevBackend& backend : backends)
    backend.weight = random() % 5;
  const Table before = table_of(backends, 65537);
  std::vector<MaglevBackend> shuffled = backends;
  std::ranges::shuffle(shuffled, random);
  const Table after = table_of(shuffled, 65537);
  for (size_t i = 0; i < before.size(); ++i) {
    ASSERT_EQ(backends[before[i]].address, shuffled[after[i]].address);
  }
}

TEST(Maglev, PortsTellBackendsOfOneAddressApart) {
  std::vector<MaglevBackend> backends = equal_backends(8);
  for (uint32_t i = 0; i < backends.size(); ++i) {
    backends[i].address = *net::parse_ip("2001:db8::1");
    backends[i].port = net::be16::from_host(static_cast<uint16_t>(8000 + i));
  }
  const Table before = table_of(backends, 65537);
  backends[3].weight = 0;
  EXPECT_LT(moved_without_need(before, table_of(backends, 65537), backends), 2.0);
}

// Figures of a simulation of the published algorithm: 0.58, 0.57, 2.34, 0.33 and 0.58 per cent.
TEST(Maglev, MovesLittleWhenBackendsGo) {
  EXPECT_LE(moved_when_down(100, 65537, 1), 0.70);
  EXPECT_LE(moved_when_down(1000, 65537, 1), 0.70);
  EXPECT_LE(moved_when_down(1000, 65537, 10), 2.60);
  EXPECT_LE(moved_when_down(1000, 655373, 1), 0.40);
  EXPECT_LE(moved_when_down(1000, 655373, 10), 0.70);
}

TEST(Maglev, ComingBackRestoresTheTable) {
  std::vector<MaglevBackend> backends = equal_backends(20);
  const Table before = table_of(backends, 65537);
  backends[7].weight = 0;
  EXPECT_NE(table_of(backends, 65537), before);
  backends[7].weight = 1;
  EXPECT_EQ(table_of(backends, 65537), before);
}

TEST(Maglev, SmallestTablesAreFilled) {
  for (const uint32_t size : {3U, 5U, 7U}) {
    const Table table = table_of(equal_backends(10), size);
    EXPECT_TRUE(std::ranges::all_of(table, [](uint16_t i) { return i < 10; }));
  }
}

TEST(Primes, AreFoundFromAnyNumberUp) {
  EXPECT_EQ(next_prime(0), 2);
  EXPECT_EQ(next_prime(4), 5);
  EXPECT_EQ(next_prime(65536), 65537);
  EXPECT_EQ(next_prime(65538), 65539);
  for (const uint32_t size : maglev_table_sizes)
    EXPECT_TRUE(is_prime(size)) << size;
  for (const uint32_t composite : {0U, 1U, 4U, 9U, 25U, 65536U, 4294967295U}) {
    EXPECT_FALSE(is_prime(composite)) << composite;
  }
}

TEST(Maglev, TableSizesGrowInFewSteps) {
  EXPECT_EQ(maglev_table_size(1), 251);
  EXPECT_EQ(maglev_table_size(10), 1021);
  EXPECT_EQ(maglev_table_size(655), maglev_default_table);
  EXPECT_EQ(maglev_table_size(60000), 655373);
  for (uint32_t count = 1; count < 6000; ++count) {
    EXPECT_GE(maglev_table_size(count), count * 100);
  }
}

}  // namespace
}  // namespace headgate::dataplane
