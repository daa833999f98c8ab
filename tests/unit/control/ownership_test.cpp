// Who is master of an address reaches the workers at once, beside whatever is being prepared, and
// no later change takes it back.
#include "control/ownership.h"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

using control::Ownership;
using control::VirtualMac;

class OwnershipTest : public testing::Test {
 protected:
  OwnershipTest() {
    config_.services = {make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.11"}),
                        make_service("192.0.2.2", 80, config::Mode::nat, {"10.1.0.11"})};
    fixture_.apply_kernel(two_networks());
    fixture_.apply_config(config_);
  }

  uint64_t set(Ownership ownership) {
    const auto generation = fixture_.builder->set_ownership(std::move(ownership));
    EXPECT_TRUE(generation.has_value()) << generation.error().text;
    return generation.value_or(0);
  }
  [[nodiscard]] bool inactive(std::string_view address) const {
    return dataplane::is_inactive(fixture_.region(), fixture_.root(), ip(address));
  }
  // Polls until all that was replaced is freed.
  uint64_t used_bytes() {
    while (fixture_.store->poll() != 0) {
    }
    return fixture_.arena->usage().used_bytes;
  }

  config::Config config_;
  SnapshotFixture fixture_;
};

TEST_F(OwnershipTest, NamesTheAddressesOfOtherMasters) {
  EXPECT_FALSE(inactive("192.0.2.1"));
  const uint64_t before = fixture_.store->generation();
  EXPECT_EQ(set({{ip("192.0.2.1"), ip("fd01::7")}, {}}), before + 1);
  EXPECT_EQ(fixture_.root().generation, before + 1);
  EXPECT_TRUE(inactive("192.0.2.1"));
  EXPECT_TRUE(inactive("fd01::7"));
  EXPECT_FALSE(inactive("192.0.2.2"));
  EXPECT_EQ(fixture_.address_flags("192.0.2.1"), dataplane::address_vip);
  set({});
  EXPECT_FALSE(inactive("192.0.2.1"));
  EXPECT_EQ(fixture_.root().ownership_slots.count, 0U) << "nothing to look up without VRRP";
}

TEST_F(OwnershipTest, StaysThroughOtherChanges) {
  set({{ip("192.0.2.1")}, {}});
  config_.services.push_back(make_service("192.0.2.3", 80, config::Mode::nat, {"10.1.0.12"}));
  fixture_.apply_config(config_);
  EXPECT_TRUE(inactive("192.0.2.1"));
  control::KernelState kernel = two_networks();
  add_neighbour(kernel, 0, "10.1.0.11", "02:00:00:00:00:11");
  fixture_.apply_kernel(kernel);
  EXPECT_TRUE(inactive("192.0.2.1"));
  EXPECT_EQ(fixture_.root().generation, fixture_.store->generation());
}

TEST_F(OwnershipTest, SettingTheSameAgainPublishesNothing) {
  const uint64_t generation = set({{ip("192.0.2.1")}, {}});
  EXPECT_EQ(set({{ip("192.0.2.1")}, {}}), generation);
  EXPECT_EQ(fixture_.store->generation(), generation);
  EXPECT_EQ(fixture_.apply_config(config_), generation) << "and a reload that changes nothing";
}

TEST_F(OwnershipTest, DoesNotWaitForAPreparedSnapshotAndIsNotLostByIt) {
  config_.services.push_back(make_service("192.0.2.3", 80, config::Mode::nat, {"10.1.0.12"}));
  control::SnapshotChange change;
  change.config = &config_;
  change.all_services = true;
  auto prepared = fixture_.builder->prepare(change);
  ASSERT_TRUE(prepared.has_value());
  const uint64_t before = fixture_.store->generation();
  EXPECT_EQ(set({{ip("192.0.2.1")}, {}}), before + 1);
  EXPECT_EQ(set({{ip("192.0.2.2")}, {}}), before + 2);
  EXPECT_TRUE(inactive("192.0.2.2"));
  EXPECT_EQ(fixture_.service(config_.services[2]), nullptr);
  EXPECT_EQ(fixture_.builder->commit(std::move(*prepared)), before + 3);
  EXPECT_EQ(fixture_.root().generation, before + 3);
  EXPECT_NE(fixture_.service(config_.services[2]), nullptr);
  EXPECT_FALSE(inactive("192.0.2.1")) << "the newest counts";
  EXPECT_TRUE(inactive("192.0.2.2"));
}

TEST_F(OwnershipTest, OutlivesAPreparedSnapshotThatIsDropped) {
  config_.services.pop_back();
  control::SnapshotChange change;
  change.config = &config_;
  change.all_services = true;
  {
    auto dropped = fixture_.builder->prepare(change);
    ASSERT_TRUE(dropped.has_value());
    set({{ip("192.0.2.1")}, {}});
  }
  EXPECT_TRUE(inactive("192.0.2.1"));
  fixture_.apply(change);
  EXPECT_TRUE(inactive("192.0.2.1"));
}

// A backend that goes may not be given back before workers have left the snapshots that have it,
// however many changes of ownership came between.
TEST_F(OwnershipTest, BackendsRemovedMeanwhileAreGivenBackOnlyWhenWorkersHaveLeft) {
  const config::Service gone = config_.services[1];
  const auto id = fixture_.builder->backend_id(config::key_of(gone), key_of(gone.backends[0]));
  config_.services.pop_back();
  control::SnapshotChange change;
  change.config = &config_;
  change.all_services = true;
  auto prepared = fixture_.builder->prepare(change);
  ASSERT_TRUE(prepared.has_value());
  fixture_.grace.online(0);
  set({{ip("192.0.2.1")}, {}});
  fixture_.grace.quiescent(0);
  fixture_.store->poll();
  fixture_.builder->commit(std::move(*prepared));
  for (int looks = 0; looks < 4; ++looks) {
    fixture_.store->poll();
    EXPECT_FALSE(fixture_.builder->reclaimable()) << "worker 0 may still hold it";
  }
  bool due = false;
  for (int looks = 0; looks < 4; ++looks) {
    fixture_.grace.quiescent(0);
    fixture_.store->poll();
    due = fixture_.builder->reclaimable();
  }
  EXPECT_TRUE(due);
  control::SnapshotChange reclaim;
  reclaim.reclaim = true;
  fixture_.apply(reclaim);
  EXPECT_EQ(dataplane::find_backend(fixture_.region(), fixture_.root(), id.value()), nullptr);
  fixture_.grace.offline(0);
}

TEST_F(OwnershipTest, GivesBackTheMemoryOfWhatItReplaces) {
  set({{ip("192.0.2.1")}, {}});
  const uint64_t used = used_bytes();
  for (int i = 0; i < 100; ++i) {
    set({{ip("192.0.2.2")}, {{0, net::Family::ipv4, 7, {ip("192.0.2.1")}}}});
    set({{ip("192.0.2.1")}, {}});
  }
  EXPECT_EQ(used_bytes(), used);
}

TEST_F(OwnershipTest, HasRoomWhenEverythingElseHasTakenTheMemory) {
  set({{ip("192.0.2.1")}, {}});
  std::vector<control::Block> taken;
  for (uint64_t bytes = 1U << 20; bytes >= 64; bytes /= 2) {
    while (const auto block = fixture_.arena->allocate(bytes))
      taken.push_back(*block);
  }
  set({{ip("192.0.2.2")}, {}});
  EXPECT_TRUE(inactive("192.0.2.2"));
  while (fixture_.store->poll() != 0) {
  }
  set({{}, {{0, net::Family::ipv4, 7, {ip("192.0.2.1")}}}});
  EXPECT_FALSE(inactive("192.0.2.2"));
  for (const control::Block& block : taken)
    fixture_.arena->free(block);
}

TEST_F(OwnershipTest, BeforeTheFirstSnapshotItIsKeptForIt) {
  SnapshotFixture fixture;
  ASSERT_TRUE(fixture.builder->set_ownership({{ip("192.0.2.2")}, {}}).has_value());
  ASSERT_TRUE(fixture.builder->set_ownership({{ip("192.0.2.1")}, {}}).has_value());
  EXPECT_EQ(fixture.store->generation(), 0U);
  EXPECT_EQ(fixture.apply_config(config_), 1U);
  EXPECT_TRUE(dataplane::is_inactive(fixture.region(), fixture.root(), ip("192.0.2.1")));
  EXPECT_FALSE(dataplane::is_inactive(fixture.region(), fixture.root(), ip("192.0.2.2")));
}

TEST(OwnershipTables, VirtualMacsAreABitEachByInterfaceAndFamily) {
  Ownership ownership;
  ownership.virtual_macs = {{1, net::Family::ipv4, 1, {ip("192.0.2.1")}},
                            {1, net::Family::ipv6, 255, {ip("fd01::7")}},
                            {9, net::Family::ipv4, 3, {}},
                            {0, net::Family::ipv4, 0, {}}};
  const auto macs = control::virtual_macs(ownership, 2);
  ASSERT_EQ(macs.size(), 2U);
  int bits = 0;
  for (const dataplane::VirtualMacs& on : macs) {
    for (int vrid = 0; vrid < 256; ++vrid) {
      bits += on.has(net::Family::ipv4, static_cast<uint8_t>(vrid));
      bits += on.has(net::Family::ipv6, static_cast<uint8_t>(vrid));
    }
  }
  EXPECT_EQ(bits, 2) << "no interface 9, no VRID 0";
  EXPECT_TRUE(macs[1].has(net::Family::ipv4, 1));
  EXPECT_TRUE(macs[1].has(net::Family::ipv6, 255));
  EXPECT_TRUE(control::virtual_macs({}, 2).empty());
}

TEST(OwnershipTables, AnAddressCanBeInactiveAndHaveAVirtualMac) {
  Ownership ownership;
  ownership.inactive = {ip("192.0.2.1"), ip("192.0.2.2")};
  ownership.virtual_macs = {{1, net::Family::ipv4, 9, {ip("192.0.2.1"), ip("fd01::7")}}};
  const auto slots = control::ownership_slots(ownership);
  const auto of = [&](const net::IpAddress& address) {
    return std::ranges::find(slots, address, &dataplane::OwnershipSlot::address);
  };
  ASSERT_NE(of(ip("192.0.2.1")), slots.end());
  EXPECT_EQ(of(ip("192.0.2.1"))->inactive, 1);
  EXPECT_EQ(of(ip("192.0.2.1"))->vrid, 9);
  EXPECT_EQ(of(ip("192.0.2.1"))->interface, 1);
  EXPECT_EQ(of(ip("192.0.2.2"))->vrid, 0);
  EXPECT_EQ(of(ip("fd01::7")), slots.end()) << "not of the virtual router's family";
}

}  // namespace
}  // namespace headgate::test
