#include <limits>

#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

TEST(SkewTime, IsAFractionOfASecondInVersion2) {
  Settings settings = settings_of(Version::v2);
  settings.interval_cs = 500;
  for (int priority = 1; priority <= 255; ++priority) {
    Machine machine{.priority = static_cast<uint8_t>(priority)};
    machine.master_interval_cs = 7;
    EXPECT_EQ(skew_time(settings, machine), (256 - priority) * 3906250ns);
    EXPECT_EQ(master_down_time(settings, machine), 15s + (256 - priority) * 3906250ns);
  }
}

TEST(SkewTime, IsAFractionOfTheMastersIntervalInVersion3) {
  const Settings settings = settings_of(Version::v3);
  for (int priority = 1; priority <= 255; ++priority) {
    Machine machine{.priority = static_cast<uint8_t>(priority)};
    machine.master_interval_cs = 256;
    EXPECT_EQ(skew_time(settings, machine), (256 - priority) * 10ms);
    EXPECT_EQ(master_down_time(settings, machine), 7680ms + (256 - priority) * 10ms);
  }
}

TEST(SkewTime, IsOfTheConfiguredIntervalWhileNoMasterWasHeard) {
  Settings settings = settings_of(Version::v3);
  settings.interval_cs = 512;
  EXPECT_EQ(skew_time(settings, Machine{}), 156 * 20ms);
}

TEST(NextDeadline, IsTheEarliestOfTheRunningTimers) {
  Machine machine;
  EXPECT_EQ(next_deadline(machine), std::nullopt);
  machine.refresh_at = 9s;
  EXPECT_EQ(next_deadline(machine), 9s);
  machine.announce_at = 7s;
  EXPECT_EQ(next_deadline(machine), 7s);
  machine.advert_at = 8s;
  EXPECT_EQ(next_deadline(machine), 7s);
  machine.master_down_at = 5s;
  EXPECT_EQ(next_deadline(machine), 5s);
  machine.preempt_at = 6s;
  EXPECT_EQ(next_deadline(machine), 5s);
  machine.preempt_at = 4s;
  EXPECT_EQ(next_deadline(machine), 4s);
}

TEST(EffectivePriority, AddsWeightsAndStaysBetween1And254) {
  EXPECT_EQ(effective_priority(100, 0), 100);
  EXPECT_EQ(effective_priority(100, 50), 150);
  EXPECT_EQ(effective_priority(100, -30), 70);
  EXPECT_EQ(effective_priority(100, -99), 1);
  EXPECT_EQ(effective_priority(100, -100), 1);
  EXPECT_EQ(effective_priority(100, -253), 1);
  EXPECT_EQ(effective_priority(100, 154), 254);
  EXPECT_EQ(effective_priority(100, 155), 254);
  EXPECT_EQ(effective_priority(254, 253), 254);
  EXPECT_EQ(effective_priority(1, std::numeric_limits<int>::min()), 1);
  EXPECT_EQ(effective_priority(254, std::numeric_limits<int>::max()), 254);
}

TEST(EffectivePriority, OfAnOwnerStays255) {
  EXPECT_EQ(effective_priority(255, -253), 255);
  EXPECT_EQ(effective_priority(255, 253), 255);
}

TEST(Names, AreDifferentWords) {
  EXPECT_EQ(name_of(State::init), "init");
  EXPECT_EQ(name_of(State::fault), "fault");
  EXPECT_EQ(name_of(State::backup), "backup");
  EXPECT_EQ(name_of(State::master), "master");
  EXPECT_EQ(name_of(Reason::none), "none");
  EXPECT_EQ(name_of(Reason::started), "started");
  EXPECT_EQ(name_of(Reason::stopped), "stopped");
  EXPECT_EQ(name_of(Reason::owner), "address owner");
  EXPECT_EQ(name_of(Reason::master_down), "master down");
  EXPECT_EQ(name_of(Reason::master_left), "master left");
  EXPECT_EQ(name_of(Reason::higher_priority), "higher priority");
  EXPECT_EQ(name_of(Reason::higher_address), "higher address");
  EXPECT_EQ(name_of(Reason::step_down), "step down");
  EXPECT_EQ(name_of(Reason::fault), "fault");
  EXPECT_EQ(name_of(Reason::fault_ended), "fault ended");
  EXPECT_EQ(name_of(Reason::group), "sync group");
}

}  // namespace
}  // namespace headgate::vrrp::test
