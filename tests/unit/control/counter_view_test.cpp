#include "control/counter_view.h"

#include <gtest/gtest.h>

#include "control/region_memory.h"

namespace headgate::control {
namespace {

class CounterViewTest : public testing::Test {
 protected:
  CounterViewTest()
      : memory_(std::move(
            RegionMemory::create(
                {.workers = 3, .max_services = 4, .max_backends = 8, .snapshot_bytes = 4096},
                RegionPages::plain)
                .value())),
        view_(memory_.view()) {}

  [[nodiscard]] dataplane::CounterRows rows(uint32_t worker) const {
    return dataplane::counter_rows(memory_.view(), worker);
  }

  RegionMemory memory_;
  CounterView view_;
};

TEST_F(CounterViewTest, SumsOverTheWorkers) {
  for (uint32_t worker = 0; worker < 3; ++worker) {
    rows(worker).services[2].in_packets.add(10);
    rows(worker).services[2].refused.add(1);
    rows(worker).backends[7].out_bytes.add(worker);
    rows(worker).worker->verdicts[5].add(100);
  }
  EXPECT_EQ(view_.service(2).in_packets, 30U);
  EXPECT_EQ(view_.service(2).refused, 3U);
  EXPECT_EQ(view_.service(1), TrafficTotals{});
  EXPECT_EQ(view_.backend(7).out_bytes, 3U);
  EXPECT_EQ(view_.verdict(static_cast<dataplane::Verdict>(5)), 300U);
  EXPECT_EQ(view_.worker(1).verdicts[5].get(), 100U);
  EXPECT_EQ(view_.workers(), 3U);
}

TEST_F(CounterViewTest, ZeroingSubtractsAndLeavesTheRowsToTheirWorkers) {
  rows(0).backends[3].connections.add(5);
  rows(0).backends[3].active.add(2);
  view_.zero_backend(3);
  EXPECT_EQ(view_.backend(3).connections, 0U);
  EXPECT_EQ(view_.backend(3).active, 2U) << "live connections are not zeroed";
  EXPECT_EQ(rows(0).backends[3].connections.get(), 5U);
  rows(1).backends[3].connections.add(1);
  EXPECT_EQ(view_.backend(3).connections, 1U);
}

TEST_F(CounterViewTest, ConnectionsThatEndElsewhereCancelOut) {
  rows(0).backends[0].active.add(3);
  rows(2).backends[0].active.add(static_cast<uint64_t>(-2));
  EXPECT_EQ(view_.backend(0).active, 1U);
  EXPECT_EQ(view_.live(0), (LiveCounts{.active = 1, .inactive = 0}));
}

TEST_F(CounterViewTest, FailuresOfABackendAreSumsThatNobodyZeroes) {
  rows(0).backends[7].refused.add(2);
  rows(2).backends[7].refused.add(1);
  rows(1).unanswered[7].add(5);
  rows(1).unanswered[6].add(9);
  view_.zero_backend(7);
  EXPECT_EQ(view_.failures(7), (BackendFailures{.refused = 3, .unanswered = 5}));
  EXPECT_EQ(view_.backend(7).unanswered, 0U);
  rows(0).unanswered[7].add(1);
  EXPECT_EQ(view_.backend(7).unanswered, 1U);
  EXPECT_EQ(view_.failures(7).unanswered, 6U);
}

TEST_F(CounterViewTest, SumCaughtInTheMiddleOfAMoveIsNotShownAsHuge) {
  rows(1).backends[0].active.add(static_cast<uint64_t>(-1));
  EXPECT_EQ(view_.backend(0).active, 0U);
  EXPECT_NE(view_.live(0), LiveCounts{}) << "but it is no zero to believe in";
}

}  // namespace
}  // namespace headgate::control
