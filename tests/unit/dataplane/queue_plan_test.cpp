#include "dataplane/queue_plan.h"

#include <set>

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

TEST(QueuePlan, GivesEveryWorkerAQueueOfEachDirectionWhereThePortHasEnough) {
  const PortLimits ports[] = {{"wan", 4, 4}, {"lan", 8, 2}};
  const QueuePlan plan = plan_queues(2, ports);
  ASSERT_EQ(plan.ports.size(), 2U);
  for (const PortQueues& port : plan.ports) {
    EXPECT_EQ(port.rx_queues, 2);
    EXPECT_EQ(port.tx_queues, 2);
    EXPECT_EQ(port.workers[0], (QueueShare{0, 0, 0}));
    EXPECT_EQ(port.workers[1], (QueueShare{1, 1, 1}));
  }
  EXPECT_TRUE(plan.notes.empty());
}

TEST(QueuePlan, HandsFramesOfSurplusWorkersToAnOwner) {
  const PortLimits ports[] = {{"wan", 2, 2}};
  const QueuePlan plan = plan_queues(5, ports);
  const PortQueues& port = plan.ports[0];
  EXPECT_EQ(port.workers[0], (QueueShare{0, 0, 0}));
  EXPECT_EQ(port.workers[1], (QueueShare{1, 1, 1}));
  EXPECT_EQ(port.workers[2], (QueueShare{no_queue, no_queue, 0}));
  EXPECT_EQ(port.workers[3], (QueueShare{no_queue, no_queue, 1}));
  EXPECT_EQ(port.workers[4], (QueueShare{no_queue, no_queue, 0}));
  ASSERT_EQ(plan.notes.size(), 2U);
  EXPECT_EQ(plan.notes[0],
            "wan: 2 receive queues for 5 workers: only worker 0, 1 receives from it");
  EXPECT_EQ(plan.notes[1],
            "wan: 2 transmit queues for 5 workers: the others hand frames for it to worker 0, 1");
}

TEST(QueuePlan, KeepsTwoWorkersBusyWithTwoPortsOfOneQueue) {
  const PortLimits ports[] = {{"wan", 1, 1}, {"lan", 1, 1}, {"dmz", 1, 1}};
  const QueuePlan plan = plan_queues(2, ports);
  EXPECT_EQ(plan.ports[0].workers[0].rx_queue, 0);
  EXPECT_EQ(plan.ports[0].workers[1].rx_queue, no_queue);
  EXPECT_EQ(plan.ports[1].workers[0].rx_queue, no_queue);
  EXPECT_EQ(plan.ports[1].workers[1].rx_queue, 0);
  EXPECT_EQ(plan.ports[2].workers[0].rx_queue, 0);
  EXPECT_EQ(plan.ports[1].twin_worker, 1);
}

TEST(QueuePlan, HoldsItsInvariantsForEveryCombination) {
  for (uint16_t workers = 1; workers <= 9; ++workers) {
    for (uint16_t rx = 0; rx <= 10; ++rx) {
      for (uint16_t tx = 0; tx <= 10; ++tx) {
        const PortLimits ports[] = {{"a", rx, tx}, {"b", tx, rx}};
        const QueuePlan plan = plan_queues(workers, ports);
        for (const PortQueues& port : plan.ports) {
          ASSERT_GE(port.rx_queues, 1);
          ASSERT_GE(port.tx_queues, 1);
          ASSERT_EQ(port.workers.size(), workers);
          std::set<uint16_t> rx_seen;
          std::set<uint16_t> tx_seen;
          for (uint16_t w = 0; w < workers; ++w) {
            const QueueShare& share = port.workers[w];
            if (share.rx_queue != no_queue) {
              ASSERT_TRUE(rx_seen.insert(share.rx_queue).second);
            }
            if (share.tx_queue != no_queue) {
              ASSERT_TRUE(tx_seen.insert(share.tx_queue).second);
              ASSERT_EQ(share.tx_owner, w);
            }
            ASSERT_LT(share.tx_owner, workers);
            ASSERT_NE(port.workers[share.tx_owner].tx_queue, no_queue);
          }
          ASSERT_EQ(rx_seen.size(), port.rx_queues);  // each queue is polled by one worker
          ASSERT_EQ(*rx_seen.rbegin(), port.rx_queues - 1);
          ASSERT_EQ(tx_seen.size(), port.tx_queues);
          ASSERT_NE(port.workers[port.twin_worker].tx_queue, no_queue);
        }
      }
    }
  }
}

}  // namespace
}  // namespace headgate::dataplane
