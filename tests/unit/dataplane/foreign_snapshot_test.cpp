#include "dataplane/foreign_snapshot.h"

#include <gtest/gtest.h>

#include "tests/support/snapshot_fixture.h"

namespace headgate::test {
namespace {

using dataplane::ForeignSnapshot;

class ForeignSnapshotTest : public testing::Test {
 protected:
  ForeignSnapshotTest() {
    config_.services = {make_service("192.0.2.1", 80, config::Mode::nat, {"10.1.0.1", "10.1.0.2"})};
  }

  SnapshotFixture fixture_;
  config::Config config_;
};

TEST_F(ForeignSnapshotTest, NothingIsCopiedBeforeTheFirstSnapshot) {
  const ForeignSnapshot snapshot(fixture_.region());
  dataplane::SnapshotRoot root;
  EXPECT_FALSE(snapshot.copy_root(root));
}

TEST_F(ForeignSnapshotTest, CopiesAreWholeUntilTheNextGeneration) {
  fixture_.apply_config(config_);
  const ForeignSnapshot snapshot(fixture_.region());
  dataplane::SnapshotRoot root;
  std::vector<dataplane::ServiceSlot> slots;
  ASSERT_TRUE(snapshot.copy_root(root));
  ASSERT_TRUE(snapshot.copy(root.service_slots, slots));
  EXPECT_EQ(root.generation, 1U);
  const auto* slot = &slots[0];
  while (!slot->block)
    ++slot;
  dataplane::ServiceBlock block;
  std::vector<dataplane::ServiceBackend> backends;
  ASSERT_TRUE(snapshot.copy(slot->block, block));
  ASSERT_TRUE(snapshot.copy(block.backends, backends));
  EXPECT_EQ(backends.size(), 2U);
  EXPECT_TRUE(snapshot.whole());
  config_.services[0].backends[0].weight = 3;
  fixture_.apply_config(config_);
  EXPECT_FALSE(snapshot.whole());
}

TEST_F(ForeignSnapshotTest, OffsetsOutsideOfTheAreaAreRefused) {
  fixture_.apply_config(config_);
  const ForeignSnapshot snapshot(fixture_.region());
  const dataplane::RegionArea& area = fixture_.memory.header().snapshot;
  dataplane::ServiceBlock block;
  std::vector<uint64_t> words;
  const auto refuses = [&](uint64_t offset) {
    return !snapshot.copy(dataplane::Offset<dataplane::ServiceBlock>{offset}, block);
  };
  EXPECT_TRUE(refuses(0));
  EXPECT_TRUE(refuses(area.offset - 1));
  EXPECT_TRUE(refuses(area.offset + area.bytes - 8));
  EXPECT_TRUE(refuses(~uint64_t{0}));
  EXPECT_FALSE(snapshot.copy(
      dataplane::OffsetArray<uint64_t>{.first = {area.offset}, .count = 0xffffffff}, words));
  EXPECT_TRUE(words.empty()) << "nothing is allocated for nonsense";
}

}  // namespace
}  // namespace headgate::test
