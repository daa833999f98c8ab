// RFC 9568 6.4.2 and RFC 3768 6.4.2, line by line.
#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

class Backup : public testing::TestWithParam<Version> {};
INSTANTIATE_TEST_SUITE_P(BothVersions, Backup, testing::Values(Version::v2, Version::v3));

TEST_P(Backup, ShutdownCancelsTheTimerAndIsInit) {
  Rig rig = backup_of(settings_of(GetParam()));
  EXPECT_EQ(rig.on(Stopped{}), "backup>init (stopped)");
  EXPECT_EQ(next_deadline(rig.machine), std::nullopt);
}

TEST_P(Backup, MasterDownTimerMakesItMaster) {
  Rig rig = backup_of(settings_of(GetParam()));
  EXPECT_EQ(rig.wake(), "advert 100, claim, announce 5, backup>master (master down)");
  EXPECT_EQ(rig.machine.advert_at, rig.now + 1s);
  EXPECT_EQ(rig.machine.master_down_at, std::nullopt);
}

TEST_P(Backup, ATimerThatIsLookedAtTooEarlyDoesNothing) {
  Rig rig = backup_of(settings_of(GetParam()));
  EXPECT_EQ(rig.wait(3609375us - 1ns), "");
  EXPECT_EQ(rig.wait(1ns), "advert 100, claim, announce 5, backup>master (master down)");
}

TEST_P(Backup, Priority0SetsTheTimerToTheSkewTime) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.hear(150, 20);
  rig.now += 1s;
  EXPECT_EQ(rig.hear(0, 20), "");
  EXPECT_EQ(rig.left(), 609375us);
  EXPECT_EQ(rig.wake(), "advert 100, claim, announce 5, backup>master (master left)");
}

TEST_P(Backup, AnAdvertAfterPriority0IsFromANewMaster) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.hear(0, 20);
  rig.now += 500ms;
  rig.hear(120, 30);
  EXPECT_EQ(rig.left(), 3609375us);
  EXPECT_EQ(rig.machine.master, host(30));
  EXPECT_EQ(rig.wake(), "advert 100, claim, announce 5, backup>master (master down)");
}

TEST_P(Backup, AHigherPriorityResetsTheTimer) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.now += 3s;
  EXPECT_EQ(rig.hear(101, 20), "");
  EXPECT_EQ(rig.left(), 3609375us);
  EXPECT_EQ(rig.machine.master, host(20));
  EXPECT_EQ(rig.machine.master_priority, 101);
}

TEST_P(Backup, AnEqualPriorityResetsTheTimerFromAnyAddress) {
  for (const uint8_t from : {9, 11}) {
    Rig rig = backup_of(settings_of(GetParam()));
    rig.now += 3s;
    EXPECT_EQ(rig.hear(100, from), "");
    EXPECT_EQ(rig.left(), 3609375us);
  }
}

TEST_P(Backup, ALowerPriorityIsDiscardedAndTheTimerRunsOn) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.hear(150, 30);
  rig.now += 3s;
  Machine before = rig.machine;
  EXPECT_EQ(rig.hear(99, 20, 500), "");
  before.lower_master = true;
  EXPECT_EQ(rig.machine, before);
  EXPECT_EQ(rig.wake(), "advert 100, claim, announce 5, backup>master (preemption)");
}

TEST_P(Backup, WithoutPreemptionALowerPriorityResetsTheTimer) {
  Settings settings = settings_of(GetParam());
  settings.preempt = false;
  Rig rig = backup_of(settings);
  rig.now += 3s;
  EXPECT_EQ(rig.hear(1, 20), "");
  EXPECT_EQ(rig.left(), 3609375us);
  EXPECT_EQ(rig.machine.master, host(20));
}

TEST_P(Backup, WithoutPreemptionItTakesOverFromAMasterThatLeft) {
  Settings settings = settings_of(GetParam());
  settings.preempt = false;
  Rig rig = backup_of(settings);
  rig.hear(1, 20);
  rig.hear(0, 20);
  EXPECT_EQ(rig.left(), 609375us);
  EXPECT_EQ(rig.wake(), "advert 100, claim, announce 5, backup>master (master left)");
}

TEST(BackupVersion2, MeasuresSilenceByItsOwnInterval) {
  Rig rig = backup_of(settings_of(Version::v2));
  rig.hear(150, 20, 500);
  EXPECT_EQ(rig.left(), 3609375us);
}

TEST(BackupVersion3, AdoptsTheMastersInterval) {
  Rig rig = backup_of(settings_of(Version::v3));
  rig.hear(150, 20, 500);
  EXPECT_EQ(rig.machine.master_interval_cs, 500);
  EXPECT_EQ(rig.left(), 5 * 3609375us);
  rig.hear(0, 20, 100);
  EXPECT_EQ(rig.left(), 5 * 609375us);  // priority 0 brings no interval
}

TEST(BackupVersion3, SendsByItsOwnIntervalOnceItIsMaster) {
  Rig rig = backup_of(settings_of(Version::v3));
  rig.hear(150, 20, 500);
  rig.wake();
  EXPECT_EQ(rig.left(), 1s);
  rig.hear(200, 20, 100);
  EXPECT_EQ(rig.left(), 3609375us);
}

TEST(BackupVersion3, AnIntervalOf0IsNoInterval) {
  Rig rig = backup_of(settings_of(Version::v3));
  rig.hear(150, 20, 0);
  EXPECT_EQ(rig.left(), 3609375us);
}

TEST_P(Backup, AnAdvertFromItsOwnAddressIsNone) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.now += 1s;
  const Machine before = rig.machine;
  EXPECT_EQ(rig.hear(200, 10), "");
  EXPECT_EQ(rig.machine, before);
}

TEST_P(Backup, AFaultEndsItsCandidacy) {
  Rig rig = backup_of(settings_of(GetParam()));
  EXPECT_EQ(rig.on(FaultBegan{}), "backup>fault (fault)");
  EXPECT_EQ(next_deadline(rig.machine), std::nullopt);
}

TEST_P(Backup, FollowsItsGroup) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.hear(200, 20);
  EXPECT_EQ(rig.on(GroupMoved{State::backup}), "");
  EXPECT_EQ(rig.on(GroupMoved{State::master}),
            "advert 100, claim, announce 5, backup>master (sync group)");
}

TEST_P(Backup, HasNothingToStepDownFromNorAFaultToEnd) {
  Rig rig = backup_of(settings_of(GetParam()));
  const Machine before = rig.machine;
  EXPECT_EQ(rig.on(StepDown{}), "");
  EXPECT_EQ(rig.on(FaultEnded{}), "");
  EXPECT_EQ(rig.machine, before);
}

TEST_P(Backup, AnotherPriorityMovesTheTimerByTheDifferenceOfTheSkews) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.now += 2s;
  EXPECT_EQ(rig.on(PriorityChanged{228}), "");
  EXPECT_EQ(rig.left(), 1s + 28s / 256.0);
  rig.on(PriorityChanged{100});
  EXPECT_EQ(rig.left(), 1609375us);
}

TEST_P(Backup, PrioritiesThatChangeAllTheTimeDoNotPutOffTheTakeOver) {
  Rig rig = backup_of(settings_of(GetParam()));
  const Time started = rig.now;
  for (int i = 0; rig.machine.state == State::backup && i < 1000; ++i) {
    rig.on(PriorityChanged{static_cast<uint8_t>(i % 2 == 0 ? 101 : 100)});
    rig.wait(10ms);
  }
  EXPECT_EQ(rig.machine.state, State::master);
  EXPECT_EQ(rig.now - started, 3610ms);
}

TEST_P(Backup, BecomingTheOwnerIsMasterAtOnce) {
  Rig rig = backup_of(settings_of(GetParam()));
  EXPECT_EQ(rig.on(PriorityChanged{255}),
            "advert 255, claim, announce 5, backup>master (address owner)");
}

TEST_P(Backup, AnotherIntervalSetsTheTimerAnewWhileItCountsByIt) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.now += 3s;
  rig.settings.interval_cs = 200;
  EXPECT_EQ(rig.on(Reconfigured{}), "");
  EXPECT_EQ(rig.left(), master_down_time(rig.settings, rig.machine));
  rig.now += 3s;
  const Duration left = rig.left();
  rig.on(Reconfigured{});  // nothing that it depends on
  EXPECT_EQ(rig.left(), left);
}

TEST(BackupVersion3, AnotherIntervalOfItsOwnIsNothingUnderAMaster) {
  Rig rig = backup_of(settings_of(Version::v3));
  rig.hear(150, 20);
  rig.now += 1s;
  rig.settings.interval_cs = 1000;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.left(), 2609375us);
}

}  // namespace
}  // namespace headgate::vrrp::test
