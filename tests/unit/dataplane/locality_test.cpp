// The memory of lblc and lblcr by itself: bounds, expiry, and workers that come at the same moment.
#include "dataplane/locality.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

constexpr Tick start = 1000;

net::IpAddress destination(uint32_t n) {
  return net::Ipv4Address::from_host(0xc0000000 + n);
}

TEST(Locality, RemembersByServiceAndDestination) {
  LocalityTable table(1);
  for (const uint32_t service : {0U, 1U}) {
    for (uint32_t n = 0; n < 100; ++n) {
      Locality known = table.find(service, destination(n), start);
      EXPECT_EQ(known.server(0), none);
      EXPECT_EQ(table.put(known, 0, service * 1000 + n, start), service * 1000 + n);
    }
  }
  for (const uint32_t service : {0U, 1U}) {
    for (uint32_t n = 0; n < 100; ++n) {
      const Locality known = table.find(service, destination(n), start);
      EXPECT_EQ(known.server(0), service * 1000 + n);
      EXPECT_EQ(known.server(1), none);
    }
  }
  EXPECT_EQ(table.find(2, destination(0), start).server(0), none);
  net::Ipv6Address six{};
  const net::IpAddress four = destination(1);
  std::copy_n(four.bytes.begin(), 16, six.bytes.begin());
  EXPECT_EQ(table.find(0, six, start).server(0), none) << "the same bytes of another family";
}

TEST(Locality, KeepsASetAndSaysWhenItChanged) {
  LocalityTable table(1);
  Locality known = table.find(0, destination(1), start);
  for (uint32_t place = 0; place < locality_servers; ++place)
    EXPECT_EQ(table.put(known, place, 10 + place, start + place), 10 + place);
  known = table.find(0, destination(1), start + 100);
  for (uint32_t place = 0; place < locality_servers; ++place)
    EXPECT_EQ(known.server(place), 10 + place);
  EXPECT_EQ(known.changed(), start + locality_servers - 1);
  Locality late = known;
  EXPECT_TRUE(table.remove(known, 2, start + 100));
  EXPECT_FALSE(table.remove(late, 3, start + 100)) << "the set has changed";
  known = table.find(0, destination(1), start + 100);
  EXPECT_EQ(known.server(2), none);
  EXPECT_EQ(known.server(3), 13U);
  EXPECT_EQ(known.changed(), start + 100);
}

TEST(Locality, IsForgottenWhenADayPassesWithoutUse) {
  LocalityTable table(1);
  Locality known = table.find(0, destination(1), start);
  table.put(known, 0, 7, start);
  Tick now = start;
  for (int i = 0; i < 3; ++i) {
    now += locality_idle_ticks - 1;
    EXPECT_EQ(table.find(0, destination(1), now).server(0), 7U) << "used each day";
  }
  now += locality_idle_ticks;
  known = table.find(0, destination(1), now);
  EXPECT_EQ(known.server(0), none);
  EXPECT_EQ(table.put(known, 0, 8, now), 8U);
  EXPECT_EQ(table.find(0, destination(1), now).server(0), 8U);
}

TEST(Locality, ForgetsTheDestinationThatWasNotUsedForTheLongestTime) {
  LocalityTable table(1, 1);  // one group
  for (uint32_t n = 0; n < locality_ways; ++n) {
    Locality known = table.find(0, destination(n), start + n);
    table.put(known, 0, n, start + n);
  }
  EXPECT_EQ(table.find(0, destination(0), start + 10).server(0), 0U);
  Locality one_more = table.find(0, destination(99), start + 11);
  EXPECT_EQ(table.put(one_more, 0, 99, start + 11), 99U);
  EXPECT_EQ(table.find(0, destination(1), start + 12).server(0), none);
  for (const uint32_t n : {0U, 2U, 3U, 99U})
    EXPECT_EQ(table.find(0, destination(n), start + 12).server(0), n);
}

TEST(Locality, ALineThatAWorkerAheadOfUsHasUsedIsNotTheOldest) {
  LocalityTable table(1, 1);
  for (uint32_t n = 0; n < locality_ways; ++n) {
    Locality known = table.find(0, destination(n), start);
    table.put(known, 0, n, start);
  }
  (void)table.find(0, destination(0), start + 2);
  Locality one_more = table.find(0, destination(99), start + 1);
  table.put(one_more, 0, 99, start + 1);
  EXPECT_EQ(table.find(0, destination(0), start + 2).server(0), 0U);
}

TEST(Locality, TheFirstOfTwoWorkersThatSeeADestinationAtOnceCounts) {
  LocalityTable table(1);
  Locality mine = table.find(0, destination(1), start);
  Locality other = table.find(0, destination(1), start);
  EXPECT_EQ(table.put(other, 0, 5, start), 5U);
  EXPECT_EQ(table.put(mine, 0, 6, start), 5U);
  // So does the first one to replace a server.
  mine = table.find(0, destination(1), start);
  other = table.find(0, destination(1), start);
  EXPECT_EQ(table.put(other, 0, 8, start), 8U);
  EXPECT_EQ(table.put(mine, 0, 9, start), 8U);
  EXPECT_EQ(table.find(0, destination(1), start).server(0), 8U);
}

TEST(Locality, AWorkerThatIsLateChangesNothingOfAnotherDestination) {
  LocalityTable table(1, 1);
  Locality late = table.find(0, destination(0), start);
  table.put(late, 0, 50, start);
  late = table.find(0, destination(0), start);
  for (uint32_t n = 1; n <= locality_ways; ++n) {
    Locality known = table.find(0, destination(n), start + n);
    table.put(known, 0, n, start + n);
  }
  table.put(late, 0, 51, start + 9);
  table.put(late, 1, 52, start + 9);
  EXPECT_FALSE(table.remove(late, 0, start + 9));
  for (uint32_t n = 1; n <= locality_ways; ++n) {
    const Locality known = table.find(0, destination(n), start + 9);
    EXPECT_EQ(known.server(0), n);
    EXPECT_EQ(known.server(1), none);
  }
}

// Against a map: what is known is right, and as long as there is room nothing is forgotten.
TEST(Locality, IsLikeAMapWithinItsBounds) {
  std::mt19937 random(7);
  for (const uint32_t destinations : {500U, 5000U}) {
    LocalityTable table(9, 1024);
    std::map<uint32_t, uint32_t> model;
    uint32_t lost = 0;
    uint32_t asked = 0;
    Tick now = start;
    for (uint32_t i = 0; i < 200'000; ++i) {
      now += random() % 2;
      const uint32_t n = random() % destinations;
      Locality known = table.find(3, destination(n), now);
      const auto expected = model.find(n);
      if (expected != model.end()) {
        ++asked;
        ASSERT_TRUE(known.server(0) == none || known.server(0) == expected->second);
        lost += known.server(0) == none ? 1 : 0;
      } else {
        ASSERT_EQ(known.server(0), none);
      }
      if (known.server(0) != none && random() % 8 != 0) continue;
      const uint32_t server = random() % 1000;
      ASSERT_EQ(table.put(known, 0, server, now), server);
      model[n] = server;
    }
    if (destinations == 500) {
      EXPECT_LT(lost, asked / 1000) << "an eighth of the lines in use";
    } else {
      EXPECT_GT(lost, 0U) << "more destinations than lines";
      EXPECT_LT(lost, asked / 2);
    }
  }
}

}  // namespace
}  // namespace headgate::dataplane
