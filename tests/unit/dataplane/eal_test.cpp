#include "dataplane/eal.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

bool has(const std::vector<std::string>& list, const std::string& item) {
  return std::ranges::find(list, item) != list.end();
}

TEST(Memory, TakesHugePagesWhenEnoughAreFree) {
  const auto small = choose_memory(HugePages::automatic, 256, {.free_2m = 128, .free_1g = 0});
  ASSERT_TRUE(small);
  EXPECT_EQ(small->pages, HugePages::size_2m);
  const auto large = choose_memory(HugePages::automatic, 256, {.free_2m = 127, .free_1g = 1});
  ASSERT_TRUE(large);
  EXPECT_EQ(large->pages, HugePages::size_1g);
}

TEST(Memory, GoesOnWithOrdinaryPagesAndSaysWhatToType) {
  const auto choice = choose_memory(HugePages::automatic, 256, {.free_2m = 100, .free_1g = 0});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->pages, HugePages::none);
  EXPECT_EQ(choice->notice,
            "256 MB of ordinary pages, as 200 MB of 2 MB pages are free; for more speed: "
            "echo 128 > /proc/sys/vm/nr_hugepages");
}

TEST(Memory, RefusesWhenTheConfiguredPagesAreNotThere) {
  const auto two = choose_memory(HugePages::size_2m, 255, {.free_2m = 4, .free_1g = 9});
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().text(),
            "memory.huge_pages: 255 MB are needed, but only 8 MB of 2 MB pages are free: "
            "echo 128 > /proc/sys/vm/nr_hugepages");
  const auto one = choose_memory(HugePages::size_1g, 1025, {.free_2m = 9999, .free_1g = 1});
  ASSERT_FALSE(one);
  EXPECT_NE(one.error().remedy.find("echo 2 > "), std::string::npos);
}

TEST(Memory, LeavesHugePagesAloneWhenToldTo) {
  const auto choice = choose_memory(HugePages::none, 64, {.free_2m = 512, .free_1g = 4});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->pages, HugePages::none);
}

TEST(EalArguments, ShareNothingWithOtherDaemonsAndLookAtNoPciDevice) {
  EalOptions options;
  options.file_prefix = "second";
  options.memory_mb = 77;
  const auto arguments = eal_arguments(options, HugePages::none);
  EXPECT_EQ(arguments[0], "headgated");
  for (const char* expected : {"--no-shconf", "--no-telemetry", "--file-prefix=second", "--no-huge",
                               "77", "--no-pci", "--log-level=warning"}) {
    EXPECT_TRUE(has(arguments, expected)) << expected;
  }
}

TEST(EalArguments, TakeOnlyTheListedPciDevices) {
  EalOptions options;
  options.pci = {"0000:3b:00.0", "0000:3b:00.1"};
  const auto arguments = eal_arguments(options, HugePages::size_2m);
  EXPECT_FALSE(has(arguments, "--no-pci"));
  EXPECT_FALSE(has(arguments, "--no-huge"));
  EXPECT_TRUE(has(arguments, "--in-memory"));
  EXPECT_EQ(std::ranges::count(arguments, "-a"), 2);
  EXPECT_TRUE(has(arguments, "0000:3b:00.1"));
}

}  // namespace
}  // namespace headgate::dataplane
