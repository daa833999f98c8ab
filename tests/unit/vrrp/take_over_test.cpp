// How long an address is without a master: the exact moments at which a backup takes over.
#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

constexpr std::string_view taking_over =
    "advert 100, claim, announce 5, backup>master (master down)";
constexpr std::string_view succeeding =
    "advert 100, claim, announce 5, backup>master (master left)";

// A backup of priority 100 that has heard a master for a while.
Rig backup_under_master(const Settings& settings) {
  Rig rig = backup_of(settings);
  for (int i = 0; i < 10; ++i) {
    rig.now += std::chrono::milliseconds(10) * settings.interval_cs;
    rig.hear(150, 20, settings.interval_cs);
  }
  return rig;
}

void expect_take_over(Rig rig, Duration after, std::string_view actions) {
  const Time last_heard = rig.now;
  rig.now = last_heard + after - 1ns;
  EXPECT_EQ(rig.on(TimerCame{}), "");
  EXPECT_EQ(rig.machine.state, State::backup);
  rig.now = last_heard + after;
  EXPECT_EQ(rig.on(TimerCame{}), actions);
  EXPECT_EQ(rig.machine.state, State::master);
  EXPECT_EQ(rig.machine.since, last_heard + after);
}

class TakeOver : public testing::TestWithParam<Version> {};
INSTANTIATE_TEST_SUITE_P(BothVersions, TakeOver, testing::Values(Version::v2, Version::v3));

TEST_P(TakeOver, ComesThreeIntervalsAndASkewAfterTheLastAdvertOfAMasterThatWasKilled) {
  const Rig rig = backup_under_master(settings_of(GetParam()));
  EXPECT_EQ(rig.left(), 3609375us);
  expect_take_over(rig, 3609375us, taking_over);
}

TEST_P(TakeOver, ComesASkewAfterPriority0) {
  Rig rig = backup_under_master(settings_of(GetParam()));
  rig.now += 300ms;
  EXPECT_EQ(rig.hear(0, 20), "");
  EXPECT_EQ(rig.left(), 609375us);
  expect_take_over(rig, 609375us, succeeding);
}

TEST(TakeOverTimes, At40MillisecondsItIs144AndThreeEighths) {
  Settings settings = settings_of(Version::v3);
  settings.interval_cs = 4;
  const Rig rig = backup_under_master(settings);
  EXPECT_EQ(rig.left(), 144375us);
  expect_take_over(rig, 144375us, taking_over);
}

TEST(TakeOverTimes, At40MillisecondsASkewAfterPriority0Is24AndThreeEighths) {
  Settings settings = settings_of(Version::v3);
  settings.interval_cs = 4;
  Rig rig = backup_under_master(settings);
  rig.hear(0, 20, 4);
  expect_take_over(rig, 24375us, succeeding);
}

TEST(TakeOverTimes, TheSkewOfVersion2DoesNotGrowWithTheInterval) {
  Settings settings = settings_of(Version::v2);
  settings.interval_cs = 1000;
  const Rig rig = backup_under_master(settings);
  expect_take_over(rig, 30609375us, taking_over);
}

TEST(TakeOverTimes, TheSkewOfVersion3GrowsWithTheInterval) {
  Settings settings = settings_of(Version::v3);
  settings.interval_cs = 1000;
  const Rig rig = backup_under_master(settings);
  expect_take_over(rig, 36093750us, taking_over);
}

TEST(TakeOverTimes, AtTheShortestIntervalFractionsOfAMicrosecondCount) {
  Settings settings = settings_of(Version::v3);
  settings.interval_cs = 1;
  const Rig rig = backup_under_master(settings);
  expect_take_over(rig, 36093750ns, taking_over);
}

TEST(TakeOverTimes, TheHigherPriorityIsTheSooner) {
  Rig low = backup_under_master(settings_of(Version::v3, 1));
  Rig high = backup_under_master(settings_of(Version::v3, 254));
  // The master of backup_under_master() is lower than 254, which lets its first timer run.
  high.machine.priority = 254;
  high.hear(254, 20);
  EXPECT_EQ(low.left(), 3s + 255s / 256.0);
  EXPECT_EQ(high.left(), 3s + 2s / 256.0);
}

}  // namespace
}  // namespace headgate::vrrp::test
