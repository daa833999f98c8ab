// Who gives way to whom, and when: preempt_delay and StepDown.
#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

Settings delayed_by(Duration delay) {
  Settings settings = settings_of(Version::v3);
  settings.preempt_delay = delay;
  return settings;
}

// Adverts of this priority once a second, until something happens or the time is over.
std::string under_master(Rig& rig, uint8_t priority, Duration time) {
  const Time end = rig.now + time;
  Time next_advert = rig.now;
  std::string said;
  while (said.empty()) {
    const Time deadline = next_deadline(rig.machine).value();
    const bool timer_first = deadline <= next_advert;
    const Time next = timer_first ? deadline : next_advert;
    if (next > end) break;
    rig.now = next;
    said = timer_first ? rig.on(TimerCame{}) : rig.hear(priority, 20);
    if (!timer_first) next_advert += 1s;
  }
  return said;
}

constexpr std::string_view takes_over =
    "advert 100, claim, announce 5, backup>master (master down)";
constexpr std::string_view preempts = "advert 100, claim, announce 5, backup>master (preemption)";

TEST(PreemptDelay, CountsFromTheStart) {
  Rig rig = backup_of(delayed_by(60s));
  const Time started = rig.now;
  EXPECT_EQ(under_master(rig, 50, 100s), preempts);
  // The last advert that counted came at 59 s: at 60 s the timer comes first.
  EXPECT_EQ(rig.now - started, 59s + 3609375us);
}

TEST(PreemptDelay, DoesNotHoldBackATakeOverFromNobody) {
  Rig rig = backup_of(delayed_by(60s));
  EXPECT_EQ(rig.wake(), takes_over);
  EXPECT_EQ(rig.machine.preempt_at, std::nullopt);
}

TEST(PreemptDelay, IsForNothingUnderABetterMaster) {
  Rig rig = backup_of(delayed_by(60s));
  EXPECT_EQ(under_master(rig, 150, 100s), "");
  EXPECT_EQ(rig.machine.preempt_at, std::nullopt);
  EXPECT_FALSE(rig.machine.preempts);
}

TEST(PreemptDelay, CountsFromTheFirstSightOfALowerMaster) {
  Rig rig = backup_of(delayed_by(60s));
  under_master(rig, 150, 100s);
  const Time seen = rig.now += 1s;
  EXPECT_EQ(under_master(rig, 50, 100s), preempts);
  EXPECT_EQ(rig.now - seen, 59s + 3609375us);
}

TEST(PreemptDelay, StartsAnewAfterABetterMasterInBetween) {
  Rig rig = backup_of(delayed_by(10s));
  under_master(rig, 50, 8s);
  under_master(rig, 100, 0s);
  const Time seen = rig.now += 1s;
  EXPECT_EQ(under_master(rig, 50, 100s), preempts);
  EXPECT_EQ(rig.now - seen, 9s + 3609375us);
}

TEST(PreemptDelay, LetsTheTimerRunOnceItIsOver) {
  Rig rig = backup_of(delayed_by(10s));
  under_master(rig, 50, 10s);
  EXPECT_TRUE(rig.machine.preempts);
  const Machine before = rig.machine;
  EXPECT_EQ(rig.hear(50, 20), "");
  EXPECT_EQ(rig.machine, before);
}

TEST(PreemptDelay, CountsFromTheEndOfAFault) {
  Rig rig = backup_of(delayed_by(10s));
  under_master(rig, 50, 10s);
  rig.on(FaultBegan{});
  rig.on(FaultEnded{});
  EXPECT_FALSE(rig.machine.preempts);
  EXPECT_EQ(rig.machine.preempt_at, rig.now + 10s);
}

TEST(PreemptDelay, IsNotBegunWithoutPreemption) {
  Settings settings = delayed_by(10s);
  settings.preempt = false;
  Rig rig = backup_of(settings);
  EXPECT_EQ(under_master(rig, 50, 100s), "");
  EXPECT_EQ(rig.machine.state, State::backup);
}

TEST(PreemptDelay, MayBeMadeShorterAndTakenAway) {
  Rig rig = backup_of(delayed_by(60s));
  rig.settings.preempt_delay = 20s;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.machine.preempt_at, rig.now + 20s);
  rig.settings.preempt_delay = 90s;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.machine.preempt_at, rig.now + 20s);
  rig.settings.preempt_delay = 0s;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.machine.preempt_at, std::nullopt);
  EXPECT_EQ(under_master(rig, 50, 10s), preempts);
}

class StepsDown : public testing::TestWithParam<Version> {};
INSTANTIATE_TEST_SUITE_P(BothVersions, StepsDown, testing::Values(Version::v2, Version::v3));

TEST_P(StepsDown, WithPriority0) {
  Rig rig = master_of(settings_of(GetParam()));
  EXPECT_EQ(rig.on(StepDown{}), "advert 0, release, master>backup (step down)");
  EXPECT_EQ(rig.left(), 3609375us);
  EXPECT_TRUE(rig.machine.yields);
}

TEST_P(StepsDown, AndDoesNotPreemptItsSuccessor) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.on(StepDown{});
  EXPECT_EQ(under_master(rig, 50, 1000s), "");
  EXPECT_EQ(rig.machine.state, State::backup);
}

TEST_P(StepsDown, AndIsMasterAgainIfNobodyElseIs) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.on(StepDown{});
  EXPECT_EQ(rig.wake(), takes_over);
  EXPECT_FALSE(rig.machine.yields);
}

TEST_P(StepsDown, AndPreemptsAsEverOnceItWasMasterAgain) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.on(StepDown{});
  under_master(rig, 50, 5s);
  rig.wake();
  EXPECT_EQ(rig.hear(200, 30), "release, master>backup (higher priority)");
  EXPECT_EQ(under_master(rig, 50, 10s), preempts);
}

TEST_P(StepsDown, AndAFaultDoesNotMakeItPreempt) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.on(StepDown{});
  rig.on(FaultBegan{});
  rig.on(FaultEnded{});
  EXPECT_EQ(under_master(rig, 50, 100s), "");
}

TEST_P(StepsDown, AndAStopForgetsIt) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.on(StepDown{});
  rig.on(Stopped{});
  rig.on(Started{});
  EXPECT_EQ(under_master(rig, 50, 100s), preempts);
}

TEST_P(StepsDown, AnOwnerToo) {
  Rig rig = master_of(settings_of(GetParam(), 255));
  EXPECT_EQ(rig.on(StepDown{}), "advert 0, release, master>backup (step down)");
  EXPECT_EQ(rig.on(PriorityChanged{255}), "");
  EXPECT_EQ(under_master(rig, 50, 100s), "");
}

}  // namespace
}  // namespace headgate::vrrp::test
