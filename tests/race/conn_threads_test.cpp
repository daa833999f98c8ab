// Real threads on the connection table. Under ThreadSanitizer this is also where an order that is
// too weak shows.
#include "tests/race/conn_threads.h"

#include <cstdio>

#include <gtest/gtest.h>

namespace headgate::dataplane::test {
namespace {

#if defined(HEADGATE_TSAN) || defined(HEADGATE_ASAN)
constexpr uint32_t rounds = 15'000;
#else
constexpr uint32_t rounds = 100'000;
#endif

void expect_clean(const Stress& plan) {
  const StressResult result = stress(plan);
  EXPECT_EQ(result.violation, "");
  EXPECT_GT(result.inserted, rounds / 100);
  // In a table as small as these both buckets of a key may be full, unless it is nearly empty.
  const bool roomy = plan.ids * 2 <= plan.capacity;
  EXPECT_TRUE(!roomy || result.full == 0) << result.full;
  EXPECT_GT(result.found, rounds / 100);
  EXPECT_GT(result.expired, rounds / 100);
  std::printf("%u threads: %lu inserted, %lu refused, %lu found, %lu expired or retired\n",
              plan.threads, result.inserted, result.races, result.found, result.expired);
}

TEST(ConnThreads, TwoKeepEveryKeyUniqueAndFindable) {
  expect_clean({.threads = 2, .rounds = rounds, .seed = 1});
}

TEST(ConnThreads, FourKeepEveryKeyUniqueAndFindable) {
  expect_clean({.threads = 4, .rounds = rounds / 2, .seed = 2});
}

TEST(ConnThreads, ThreeContendForTwoConnections) {
  expect_clean({.threads = 3, .rounds = rounds, .ids = 2, .capacity = 40, .seed = 3});
}

TEST(ConnThreads, ThreeInterruptedOftenInTheMiddle) {
  expect_clean({.threads = 3, .rounds = rounds / 5, .ids = 8, .seed = 4, .yield_every = 4});
}

// Many more connections than entries: buckets are crowded, keys are away, entries are reused at
// once.
TEST(ConnThreads, ThreeInAFullTable) {
  expect_clean({.threads = 3, .rounds = rounds, .ids = 400, .capacity = 96, .seed = 5});
}

}  // namespace
}  // namespace headgate::dataplane::test
