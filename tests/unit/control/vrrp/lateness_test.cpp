#include "control/vrrp/lateness.h"

#include <chrono>
#include <thread>
#include <time.h>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

using std::chrono::milliseconds;

// What the thread has had of a processor.
std::chrono::nanoseconds worked() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST(Lateness, IsPutDownToWhatTookMoreOfIt) {
  EXPECT_EQ(lateness_cause(milliseconds(600), milliseconds(500), milliseconds(90)),
            "the thread was busy for 500 ms");
  EXPECT_EQ(lateness_cause(milliseconds(600), milliseconds(90), milliseconds(500)),
            "the thread waited 500 ms for a processor");
  EXPECT_EQ(lateness_cause(milliseconds(600), milliseconds(100), milliseconds(100)),
            "the process or the machine stood still");
}

TEST(LatenessProbe, KnowsWhatAThreadWorked) {
  LatenessProbe probe;
  const auto until = worked() + milliseconds(60);
  while (worked() < until) {
  }
  probe.mark();
  // It waited as well, where the machine is busy.
  EXPECT_NE(probe.cause(milliseconds(60)), "the process or the machine stood still");
}

TEST(LatenessProbe, AThreadThatNeitherWorkedNorWaitedStoodStill) {
  LatenessProbe probe;
  std::this_thread::sleep_for(milliseconds(20));
  probe.mark();
  // A hundred times what passed: whatever this machine did meanwhile is no more than half of it.
  EXPECT_EQ(probe.cause(std::chrono::seconds(60)), "the process or the machine stood still");
}

}  // namespace
}  // namespace headgate::control
