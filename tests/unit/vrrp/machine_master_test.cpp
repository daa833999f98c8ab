// RFC 9568 6.4.3 and RFC 3768 6.4.3, line by line.
#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

class Master : public testing::TestWithParam<Version> {};
INSTANTIATE_TEST_SUITE_P(BothVersions, Master, testing::Values(Version::v2, Version::v3));

TEST_P(Master, ShutdownSendsPriority0AndIsInit) {
  Rig rig = master_of(settings_of(GetParam()));
  EXPECT_EQ(rig.on(Stopped{}), "advert 0, release, master>init (stopped)");
  EXPECT_EQ(next_deadline(rig.machine), std::nullopt);
}

TEST_P(Master, AdvertTimerSendsAnAdvertAndIsSetAnew) {
  Rig rig = master_of(settings_of(GetParam()));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(rig.left(), 1s);
    EXPECT_EQ(rig.wake(), "advert 100");
  }
}

TEST_P(Master, Priority0IsAnsweredAndTheTimerSetAnew) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.now += 400ms;
  EXPECT_EQ(rig.hear(0, 20), "advert 100");
  EXPECT_EQ(rig.left(), 1s);
}

TEST_P(Master, YieldsToAHigherPriority) {
  Rig rig = master_of(settings_of(GetParam()));
  EXPECT_EQ(rig.hear(101, 5), "release, master>backup (higher priority)");
  EXPECT_EQ(rig.machine.advert_at, std::nullopt);
  EXPECT_EQ(rig.machine.master_down_at, rig.now + 3609375us);
  EXPECT_EQ(rig.machine.master, host(5));
  EXPECT_EQ(rig.machine.master_priority, 101);
}

TEST_P(Master, YieldsToAnEqualPriorityFromAHigherAddress) {
  Rig rig = master_of(settings_of(GetParam()));
  EXPECT_EQ(rig.hear(100, 11), "release, master>backup (higher address)");
  EXPECT_EQ(rig.machine.master_down_at, rig.now + 3609375us);
}

TEST_P(Master, StaysWithAnEqualPriorityFromALowerAddress) {
  Rig rig = master_of(settings_of(GetParam()));
  EXPECT_EQ(rig.hear(100, 9), "advert 100, announce 5");
  EXPECT_EQ(rig.machine.state, State::master);
}

TEST_P(Master, StaysWithALowerPriorityFromAHigherAddress) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.now += 400ms;
  EXPECT_EQ(rig.hear(99, 11), "advert 100, announce 5");
  EXPECT_EQ(rig.machine.state, State::master);
  EXPECT_EQ(rig.left(), 600ms);
}

TEST(MasterAddresses, AreComparedByAllTheirBytesAsUnsignedNumbers) {
  Settings settings = settings_of(Version::v3);
  settings.source = net::Ipv4Address::from_host(0x0a4d7f01);
  Rig rig = master_of(settings);
  EXPECT_EQ(rig.on(AdvertCame{100, 100, net::Ipv4Address::from_host(0x0a4d7eff)}),
            "advert 100, announce 5");
  EXPECT_EQ(rig.on(AdvertCame{100, 100, net::Ipv4Address::from_host(0x0a4d8000)}),
            "release, master>backup (higher address)");
}

TEST(MasterAddresses, OfIpv6AreComparedAlike) {
  Settings settings = settings_of(Version::v3);
  settings.source = *net::parse_ip("fe80::7fff:1");
  Rig rig = master_of(settings);
  EXPECT_EQ(rig.on(AdvertCame{100, 100, *net::parse_ip("fe80::7ffe:ffff")}),
            "advert 100, announce 5");
  EXPECT_EQ(rig.on(AdvertCame{100, 100, *net::parse_ip("fe80::8000:0")}),
            "release, master>backup (higher address)");
}

TEST(MasterVersion3, AdoptsTheIntervalOfTheMasterItYieldsTo) {
  Rig rig = master_of(settings_of(Version::v3));
  rig.hear(150, 20, 400);
  EXPECT_EQ(rig.left(), 4 * 3609375us);
}

TEST(MasterVersion2, KeepsItsOwnIntervalWhenItYields) {
  Rig rig = master_of(settings_of(Version::v2));
  rig.hear(150, 20, 400);
  EXPECT_EQ(rig.left(), 3609375us);
}

TEST_P(Master, AnOwnerNeverYields) {
  Rig rig = master_of(settings_of(GetParam(), 255));
  EXPECT_EQ(rig.hear(255, 250), "advert 255, announce 5");
  EXPECT_EQ(rig.machine.state, State::master);
}

TEST_P(Master, AnAdvertFromItsOwnAddressIsNone) {
  Rig rig = master_of(settings_of(GetParam()));
  const Machine before = rig.machine;
  EXPECT_EQ(rig.hear(200, 10), "");
  EXPECT_EQ(rig.hear(100, 10), "");
  EXPECT_EQ(rig.hear(0, 10), "");
  EXPECT_EQ(rig.machine, before);
}

TEST_P(Master, OneMoreAdvertBeforeYieldingIfAskedFor) {
  Settings settings = settings_of(GetParam());
  settings.higher_priority_send_advert = true;
  Rig rig = master_of(settings);
  EXPECT_EQ(rig.hear(101, 20), "advert 100, release, master>backup (higher priority)");
}

TEST_P(Master, NoAnswerToALowerPriorityIfAskedFor) {
  Settings settings = settings_of(GetParam());
  settings.lower_priority_no_advert = true;
  Rig rig = master_of(settings);
  EXPECT_EQ(rig.hear(99, 20), "announce 5");
  EXPECT_EQ(rig.hear(0, 20), "advert 100");
}

TEST_P(Master, LeavesWithPriority0ForAFault) {
  Rig rig = master_of(settings_of(GetParam()));
  EXPECT_EQ(rig.on(FaultBegan{}), "advert 0, release, master>fault (fault)");
  EXPECT_EQ(next_deadline(rig.machine), std::nullopt);
}

TEST_P(Master, LeavesWithPriority0ForItsGroup) {
  Rig rig = master_of(settings_of(GetParam()));
  EXPECT_EQ(rig.on(GroupMoved{State::master}), "");
  EXPECT_EQ(rig.on(GroupMoved{State::backup}), "advert 0, release, master>backup (sync group)");
  EXPECT_EQ(rig.left(), 3609375us);
  EXPECT_FALSE(rig.machine.yields);
}

TEST_P(Master, SaysAnotherPriorityInItsNextAdvert) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.now += 300ms;
  EXPECT_EQ(rig.on(PriorityChanged{70}), "");
  EXPECT_EQ(rig.left(), 700ms);
  EXPECT_EQ(rig.wake(), "advert 70");
  EXPECT_EQ(rig.hear(71, 5), "release, master>backup (higher priority)");
}

TEST_P(Master, ATimerSeenLateSendsOneAdvertAndKeepsThePhase) {
  Rig rig = master_of(settings_of(GetParam()));
  const Time due = *rig.machine.advert_at;
  rig.now = due + 4700ms;
  EXPECT_EQ(rig.on(TimerCame{}), "advert 100");
  EXPECT_EQ(rig.machine.advert_at, due + 5s);
  EXPECT_EQ(rig.wake(), "advert 100");
  EXPECT_EQ(rig.machine.advert_at, due + 6s);
}

TEST_P(Master, ATimerSeenAWholeIntervalLateIsDueAWholeIntervalLater) {
  Rig rig = master_of(settings_of(GetParam()));
  const Time due = *rig.machine.advert_at;
  rig.now = due + 1s;
  EXPECT_EQ(rig.on(TimerCame{}), "advert 100");
  EXPECT_EQ(rig.machine.advert_at, due + 2s);
}

TEST_P(Master, TheSecondAdvertComesAtThePhaseAndTheOthersAfterWholeIntervals) {
  Settings settings = settings_of(GetParam());
  settings.phase = 250ms;
  Rig rig = master_of(settings);
  EXPECT_EQ(rig.left(), 250ms);
  EXPECT_EQ(rig.wake(), "advert 100");
  EXPECT_EQ(rig.left(), 1s);
  for (const Duration none : {Duration(0), Duration(1s), Duration(5s)}) {
    settings.phase = none;
    EXPECT_EQ(master_of(settings).left(), 1s);
  }
}

TEST_P(Master, AnotherIntervalCountsFromTheNextAdvertAtTheLatest) {
  Rig rig = master_of(settings_of(GetParam()));
  rig.now += 200ms;
  rig.settings.interval_cs = 500;
  EXPECT_EQ(rig.on(Reconfigured{}), "");
  EXPECT_EQ(rig.left(), 800ms);
  rig.wake();
  EXPECT_EQ(rig.left(), 5s);
  rig.settings.interval_cs = 100;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.left(), 1s);
}

TEST_P(Master, HasNoFaultToEndAndIsNotStartedTwice) {
  Rig rig = master_of(settings_of(GetParam()));
  const Machine before = rig.machine;
  EXPECT_EQ(rig.on(FaultEnded{}), "");
  EXPECT_EQ(rig.on(Started{}), "");
  EXPECT_EQ(rig.machine, before);
}

}  // namespace
}  // namespace headgate::vrrp::test
