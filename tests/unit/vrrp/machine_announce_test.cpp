// When a master tells the segment where its addresses are: keepalived's patterns.
#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

Settings announcing(const AnnounceSettings& announce) {
  Settings settings = settings_of(Version::v3);
  settings.interval_cs = 4000;  // out of the way
  settings.announce = announce;
  return settings;
}

TEST(Announces, RightAfterTheClaimAndOnceMoreAfterTheDelay) {
  Rig rig = backup_of(announcing({.repeat = 3, .delay = 5s}));
  EXPECT_EQ(rig.wake(), "advert 100, claim, announce 3, backup>master (master down)");
  EXPECT_EQ(rig.left(), 5s);
  EXPECT_EQ(rig.wake(), "announce 3");
  EXPECT_EQ(rig.wake(), "advert 100");
  EXPECT_EQ(rig.wake(), "advert 100");
}

TEST(Announces, OnceWithoutADelay) {
  Rig rig = master_of(announcing({}));
  EXPECT_EQ(rig.wake(), "advert 100");
}

TEST(Announces, NothingIfSetTo0) {
  Rig rig = backup_of(announcing({.repeat = 0, .delay = 5s, .lower_priority_repeat = 0}));
  EXPECT_EQ(rig.wake(), "advert 100, claim, backup>master (master down)");
  EXPECT_EQ(rig.hear(50, 20), "advert 100");
  EXPECT_EQ(rig.wake(), "advert 100");
}

TEST(Announces, EachRefreshTimeOnItsGrid) {
  Rig rig = master_of(announcing({.refresh = 10s, .refresh_repeat = 2}));
  const Time since = rig.now;
  EXPECT_EQ(rig.wake(), "announce 2");
  EXPECT_EQ(rig.now, since + 10s);
  rig.now = since + 37s;  // late: once
  EXPECT_EQ(rig.on(TimerCame{}), "announce 2");
  EXPECT_EQ(rig.wake(), "advert 100, announce 2");
  EXPECT_EQ(rig.now, since + 40s);
}

TEST(Announces, RefreshFollowsTheConfiguration) {
  Rig rig = master_of(announcing({}));
  rig.settings.announce.refresh = 10s;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.left(), 10s);
  rig.now += 4s;
  rig.settings.announce.refresh = 20s;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.left(), 6s);
  rig.settings.announce.refresh = 0s;
  rig.on(Reconfigured{});
  EXPECT_EQ(rig.left(), 36s);
}

TEST(Announces, AgainAgainstALowerMaster) {
  Rig rig = master_of(announcing({.lower_priority_repeat = 4, .lower_priority_delay = 2s}));
  EXPECT_EQ(rig.hear(50, 20), "advert 100, announce 4");
  EXPECT_EQ(rig.left(), 2s);
  EXPECT_EQ(rig.wake(), "announce 4");
  EXPECT_EQ(rig.machine.announce_at, std::nullopt);
}

TEST(Announces, ALowerMasterThatGoesOnDoesNotPutOffTheSecondBurst) {
  Rig rig = master_of(announcing({.lower_priority_repeat = 4, .lower_priority_delay = 2s}));
  rig.hear(50, 20);
  rig.now += 1500ms;
  rig.hear(50, 20);
  EXPECT_EQ(rig.left(), 500ms);
}

TEST(Announces, TheLargerOfTwoSecondBurstsAtTheEarlierTime) {
  Rig rig = master_of(announcing(
      {.repeat = 5, .delay = 5s, .lower_priority_repeat = 2, .lower_priority_delay = 1s}));
  EXPECT_EQ(rig.hear(50, 20), "advert 100, announce 2");
  EXPECT_EQ(rig.left(), 5s);
  EXPECT_EQ(rig.wake(), "announce 5");
}

TEST(Announces, NothingAnyMoreAfterLeaving) {
  Rig rig = master_of(announcing({.delay = 5s, .refresh = 10s}));
  rig.hear(200, 20, 100);
  EXPECT_EQ(rig.machine.announce_at, std::nullopt);
  EXPECT_EQ(rig.machine.refresh_at, std::nullopt);
  EXPECT_EQ(rig.left(), 3609375us);
}

}  // namespace
}  // namespace headgate::vrrp::test
