#include "vrrp/group.h"

#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine_rig.h"

namespace headgate::vrrp::test {
namespace {

// Members of one group on one box, run as the control thread runs them.
class Group {
 public:
  explicit Group(size_t count, const Settings& settings = settings_of(Version::v3)) {
    for (size_t i = 0; i < count; ++i)
      rigs_.emplace_back(settings);
    own_fault_.resize(count);
  }

  // What the member and then the others did: "0: …; 1: …".
  std::string on(size_t member, const Event& event) {
    const State before = rigs_[member].machine.state;
    std::string said = write(member, rigs_[member].on(event));
    const Machine& after = rigs_[member].machine;
    if (after.state == before) return said;
    for (const auto& [other, told] : follow(members(), member, {before, after.state, after.reason}))
      said += write(other, rigs_[other].on(told));
    return said;
  }

  std::string fault(size_t member, bool is_down) {
    own_fault_[member] = is_down;
    if (is_down) return on(member, FaultBegan{});
    return is_in_fault(members()) ? "" : on(member, FaultEnded{});
  }

  Rig& operator[](size_t index) { return rigs_[index]; }

  [[nodiscard]] std::vector<Member> members() const {
    std::vector<Member> members;
    members.reserve(rigs_.size());
    for (size_t i = 0; i < rigs_.size(); ++i)
      members.push_back({.state = rigs_[i].machine.state, .own_fault = own_fault_[i]});
    return members;
  }
  [[nodiscard]] GroupState state() const { return state_of(members()); }

 private:
  static std::string write(size_t member, const std::string& text) {
    return std::to_string(member) + ": " + text + "; ";
  }

  std::vector<Rig> rigs_;
  std::vector<bool> own_fault_;
};

Group started(size_t count, const Settings& settings = settings_of(Version::v3)) {
  Group group(count, settings);
  for (size_t i = 0; i < count; ++i)
    group.on(i, Started{});
  return group;
}

Group in_office(size_t count) {
  Group group = started(count);
  group[0].now += 10s;
  group.on(0, TimerCame{});
  return group;
}

TEST(SyncGroup, OneThatStartsLaterJoinsTheMastersAndStopsNoneOfThem) {
  Group group(3);
  group.on(0, Started{});
  group.on(1, Started{});
  group[0].now += 10s;
  group.on(0, TimerCame{});
  EXPECT_EQ(group.on(2, Started{}),
            "2: init>backup (started); "
            "2: advert 100, claim, announce 5, backup>master (sync group); ");
  EXPECT_EQ(group.state(), GroupState::master);
}

TEST(SyncGroup, AllBecomeMasterWithTheFirst) {
  Group group = started(3);
  EXPECT_EQ(group.state(), GroupState::backup);
  group[1].now += 10s;
  EXPECT_EQ(group.on(1, TimerCame{}),
            "1: advert 100, claim, announce 5, backup>master (master down); "
            "0: advert 100, claim, announce 5, backup>master (sync group); "
            "2: advert 100, claim, announce 5, backup>master (sync group); ");
  EXPECT_EQ(group.state(), GroupState::master);
}

TEST(SyncGroup, AllYieldWithTheFirst) {
  Group group = in_office(3);
  EXPECT_EQ(group.on(2, AdvertCame{150, 100, host(20)}),
            "2: release, master>backup (higher priority); "
            "0: advert 0, release, master>backup (sync group); "
            "1: advert 0, release, master>backup (sync group); ");
  EXPECT_EQ(group.state(), GroupState::backup);
}

TEST(SyncGroup, AllStepDownAndNoneOfThemPreempts) {
  Group group = in_office(2);
  EXPECT_EQ(group.on(0, StepDown{}),
            "0: advert 0, release, master>backup (step down); "
            "1: advert 0, release, master>backup (step down); ");
  EXPECT_TRUE(group[0].machine.yields);
  EXPECT_TRUE(group[1].machine.yields);
}

TEST(SyncGroup, AFaultOfOneIsAFaultOfAll) {
  Group group = in_office(3);
  EXPECT_EQ(group.fault(1, true),
            "1: advert 0, release, master>fault (fault); "
            "0: advert 0, release, master>fault (fault); "
            "2: advert 0, release, master>fault (fault); ");
  EXPECT_EQ(group.state(), GroupState::fault);
  EXPECT_EQ(group.fault(1, false),
            "1: fault>backup (fault ended); 0: fault>backup (fault ended); "
            "2: fault>backup (fault ended); ");
  EXPECT_EQ(group.state(), GroupState::backup);
}

TEST(SyncGroup, StaysInFaultUntilTheLastFaultIsOver) {
  Group group = in_office(2);
  group.fault(0, true);
  EXPECT_EQ(group.fault(1, true), "1: ; ");
  EXPECT_TRUE(is_in_fault(group.members()));
  EXPECT_EQ(group.fault(0, false), "");
  EXPECT_EQ(group.state(), GroupState::fault);
  EXPECT_NE(group.fault(1, false), "");
  EXPECT_FALSE(is_in_fault(group.members()));
  EXPECT_EQ(group.state(), GroupState::backup);
}

TEST(SyncGroup, AMemberThatStartsInFaultPutsTheOthersThere) {
  Group group(2);
  group.on(0, Started{});
  EXPECT_EQ(group.fault(1, true), "1: init>fault (fault); 0: backup>fault (fault); ");
}

TEST(SyncGroup, OwnersAreMasterTogetherWhenAFaultEnds) {
  Group group(2, settings_of(Version::v3, 255));
  group.fault(0, true);
  EXPECT_EQ(group.on(1, FaultBegan{}), "1: init>fault (fault); ");
  EXPECT_EQ(group.fault(0, false),
            "0: advert 255, claim, announce 5, fault>master (address owner); "
            "1: advert 255, claim, announce 5, fault>master (address owner); 1: ; ");
  EXPECT_EQ(group.state(), GroupState::master);
}

TEST(SyncGroup, AMemberThatStopsLeavesTheOthersAlone) {
  Group group = in_office(2);
  EXPECT_EQ(group.on(0, Stopped{}), "0: advert 0, release, master>init (stopped); ");
  EXPECT_EQ(group[1].machine.state, State::master);
  EXPECT_EQ(group.state(), GroupState::mixed);
  EXPECT_EQ(group.on(1, AdvertCame{150, 100, host(20)}),
            "1: release, master>backup (higher priority); ");
}

TEST(SyncGroup, WithAFaultLeftNobodyIsLedAnywhereElse) {
  const std::vector<Member> members{{State::backup, false}, {State::fault, true}};
  EXPECT_TRUE(follow(members, 0, {State::fault, State::backup, Reason::fault_ended}).empty());
  EXPECT_TRUE(follow(members, 0, {State::backup, State::master, Reason::master_down}).empty());
}

TEST(SyncGroup, WithoutMembersIsNothing) {
  EXPECT_EQ(state_of({}), GroupState::mixed);
  EXPECT_FALSE(is_in_fault({}));
}

TEST(SyncGroup, OfStoppedMembersIsMixed) {
  EXPECT_EQ(Group(2).state(), GroupState::mixed);
}

}  // namespace
}  // namespace headgate::vrrp::test
