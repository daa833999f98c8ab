#include "control/worker_watch.h"

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

using std::chrono::milliseconds;

// Samples each tenth of a second.
class WorkerWatchTest : public testing::Test {
 protected:
  std::string sample(std::vector<uint64_t> polls, milliseconds later = milliseconds(100)) {
    now_ += later;
    return watch_.sample(polls, {3, 5}, now_);
  }

  WorkerWatch watch_;
  WorkerWatch::Time now_{std::chrono::hours(1)};
};

TEST_F(WorkerWatchTest, NamesTheWorkerThatStandsStillForTwoSeconds) {
  uint64_t turns = 1;
  EXPECT_EQ(sample({turns, 7}), "");
  for (int i = 0; i < 19; ++i)
    EXPECT_EQ(sample({++turns, 7}), "");
  EXPECT_EQ(sample({++turns, 7}), "worker 1 on core 5 does not poll");
}

TEST_F(WorkerWatchTest, IsContentAgainWhenItPolls) {
  EXPECT_EQ(sample({1, 1}), "");
  for (int i = 0; i < 30; ++i)
    sample({1, 1});
  EXPECT_EQ(sample({1, 1}), "worker 0 on core 3 does not poll");
  EXPECT_EQ(sample({2, 2}), "");
}

TEST_F(WorkerWatchTest, DoesNotHoldItsOwnAbsenceAgainstThem) {
  EXPECT_EQ(sample({1, 1}), "");
  // The machine stood still for a minute: the workers did as well.
  EXPECT_EQ(sample({1, 1}, std::chrono::minutes(1)), "");
  EXPECT_EQ(sample({2, 2}), "");
}

TEST_F(WorkerWatchTest, WithoutWorkersThereIsNoTrouble) {
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(sample({}), "");
}

}  // namespace
}  // namespace headgate::control
