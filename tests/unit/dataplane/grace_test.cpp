#include "dataplane/grace.h"

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

TEST(GracePeriod, PassesAtOnceWhileAllReadersAreOffline) {
  GracePeriod grace(3);
  EXPECT_EQ(grace.readers(), 3U);
  EXPECT_TRUE(grace.passed(grace.start()));
}

TEST(GracePeriod, WaitsForEveryOnlineReader) {
  GracePeriod grace(3);
  grace.online(0);
  grace.online(2);
  const uint64_t token = grace.start();
  EXPECT_FALSE(grace.passed(token));
  grace.quiescent(0);
  EXPECT_FALSE(grace.passed(token));
  grace.quiescent(2);
  EXPECT_TRUE(grace.passed(token));
}

TEST(GracePeriod, ReaderThatGoesOfflineHoldsNobodyUp) {
  GracePeriod grace(2);
  grace.online(0);
  grace.online(1);
  const uint64_t token = grace.start();
  grace.quiescent(0);
  grace.offline(1);
  EXPECT_TRUE(grace.passed(token));
  const uint64_t later = grace.start();
  grace.quiescent(0);
  EXPECT_TRUE(grace.passed(later));
}

TEST(GracePeriod, ReaderThatComesOnlineLaterIsNotWaitedFor) {
  GracePeriod grace(2);
  const uint64_t token = grace.start();
  grace.online(1);
  EXPECT_TRUE(grace.passed(token));
  EXPECT_FALSE(grace.passed(grace.start()));
}

TEST(GracePeriod, LaterTokenCoversEarlierOnes) {
  GracePeriod grace(1);
  grace.online(0);
  const uint64_t first = grace.start();
  const uint64_t second = grace.start();
  EXPECT_LT(first, second);
  grace.quiescent(0);
  EXPECT_TRUE(grace.passed(first));
  EXPECT_TRUE(grace.passed(second));
}

}  // namespace
}  // namespace headgate::dataplane
