// RFC 9568 6.4.1 and RFC 3768 6.4.1, and fault, which keepalived adds.
#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

class Idle : public testing::TestWithParam<Version> {};
INSTANTIATE_TEST_SUITE_P(BothVersions, Idle, testing::Values(Version::v2, Version::v3));

TEST_P(Idle, StartupOfAnOwnerSendsAnAdvertAndIsMaster) {
  Rig rig(settings_of(GetParam(), 255));
  EXPECT_EQ(rig.on(Started{}), "advert 255, claim, announce 5, init>master (address owner)");
  EXPECT_EQ(rig.machine.state, State::master);
  EXPECT_EQ(rig.machine.advert_at, rig.now + 1s);
  EXPECT_EQ(rig.machine.master_down_at, std::nullopt);
}

TEST_P(Idle, StartupOfAnyOtherIsBackupForTheMasterDownTime) {
  Rig rig(settings_of(GetParam()));
  EXPECT_EQ(rig.on(Started{}), "init>backup (started)");
  EXPECT_EQ(rig.machine.state, State::backup);
  EXPECT_EQ(rig.machine.master_down_at, rig.now + 3609375us);
  EXPECT_EQ(rig.machine.advert_at, std::nullopt);
  EXPECT_EQ(rig.machine.since, rig.now);
  EXPECT_EQ(rig.machine.reason, Reason::started);
}

TEST_P(Idle, AdvertsTimersAndOrdersMeanNothingInInit) {
  Rig rig(settings_of(GetParam()));
  const Machine before = rig.machine;
  EXPECT_EQ(next_deadline(rig.machine), std::nullopt);
  for (const Event& event : std::vector<Event>{
           AdvertCame{0, 100, host(20)}, AdvertCame{50, 100, host(20)},
           AdvertCame{200, 100, host(20)}, TimerCame{}, StepDown{}, Stopped{}, FaultEnded{},
           GroupMoved{State::master}, GroupMoved{State::backup}, Reconfigured{}}) {
    EXPECT_EQ(rig.on(event), "");
    EXPECT_EQ(rig.machine, before);
  }
}

TEST_P(Idle, APriorityThatChangesBeforeTheStartCounts) {
  Rig rig(settings_of(GetParam()));
  EXPECT_EQ(rig.on(PriorityChanged{200}), "");
  rig.on(Started{});
  EXPECT_EQ(rig.left(), 3s + 56s / 256.0);
}

TEST_P(Idle, ARouterThatStartsWithSomethingDownIsInFault) {
  Rig rig(settings_of(GetParam()));
  EXPECT_EQ(rig.on(FaultBegan{}), "init>fault (fault)");
  EXPECT_EQ(rig.on(Started{}), "");
  EXPECT_EQ(rig.on(FaultEnded{}), "fault>backup (fault ended)");
}

TEST_P(Idle, NobodyIsMasterInFault) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.on(FaultBegan{});
  const Machine before = rig.machine;
  EXPECT_EQ(next_deadline(rig.machine), std::nullopt);
  for (const Event& event : std::vector<Event>{
           AdvertCame{0, 100, host(20)}, AdvertCame{50, 100, host(20)},
           AdvertCame{200, 100, host(20)}, TimerCame{}, StepDown{}, Started{}, FaultBegan{},
           GroupMoved{State::master}, GroupMoved{State::backup}, Reconfigured{}}) {
    EXPECT_EQ(rig.on(event), "");
    EXPECT_EQ(rig.machine, before);
  }
}

TEST_P(Idle, TheEndOfAFaultIsAStart) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.on(FaultBegan{});
  rig.now += 100s;
  rig.on(PriorityChanged{90});
  EXPECT_EQ(rig.on(FaultEnded{}), "fault>backup (fault ended)");
  EXPECT_EQ(rig.left(), 3s + 166s / 256.0);
}

TEST_P(Idle, TheEndOfAnOwnersFaultMakesItMaster) {
  Rig rig(settings_of(GetParam(), 255));
  rig.on(Started{});
  EXPECT_EQ(rig.on(FaultBegan{}), "advert 0, release, master>fault (fault)");
  EXPECT_EQ(rig.on(FaultEnded{}), "advert 255, claim, announce 5, fault>master (address owner)");
}

TEST_P(Idle, FaultStops) {
  Rig rig = backup_of(settings_of(GetParam()));
  rig.on(FaultBegan{});
  EXPECT_EQ(rig.on(Stopped{}), "fault>init (stopped)");
  EXPECT_EQ(rig.on(FaultEnded{}), "");
  EXPECT_EQ(rig.machine.state, State::init);
}

TEST_P(Idle, StartsAgainAfterAStop) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.on(Stopped{});
  rig.now += 1s;
  EXPECT_EQ(rig.on(Started{}), "init>backup (started)");
  EXPECT_EQ(rig.left(), 3609375us);
}

TEST_P(Idle, ASecondStartIsNone) {
  Rig backup = backup_of(settings_of(GetParam()));
  backup.now += 1s;
  EXPECT_EQ(backup.on(Started{}), "");
  EXPECT_EQ(backup.left(), 2609375us);
  Rig master = master_of(settings_of(GetParam()));
  EXPECT_EQ(master.on(Started{}), "");
}

}  // namespace
}  // namespace headgate::vrrp::test
