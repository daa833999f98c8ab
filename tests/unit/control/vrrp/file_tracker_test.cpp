#include "control/vrrp/file_tracker.h"

#include <sys/stat.h>

#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

namespace fs = std::filesystem;
using Told = std::vector<std::pair<std::string, int32_t>>;

class FileTracking : public test::LoopTest {
 protected:
  bool tells(const std::string& name, int32_t value) {
    return run_until([&] { return !told.empty() && told.back() == std::pair(name, value); });
  }

  Told told;
  FileTracker tracker{
      loop, [this](const std::string& name, int32_t value) { told.emplace_back(name, value); }};
};

TEST_F(FileTracking, ReadsWhatIsThereAndFollowsWrites) {
  write("weight", "-20\n");
  tracker.configure(std::vector<config::VrrpFile>{{"w", path("weight")}});
  EXPECT_EQ(tracker.value("w"), -20);
  write("weight", "7");
  EXPECT_TRUE(tells("w", 7));
  EXPECT_EQ(tracker.value("w"), 7);
  EXPECT_EQ(told.size(), 1U) << "a file that is written anew does not count as 0 meanwhile";
}

TEST_F(FileTracking, CountsAMissingFileAsZeroAndSurvivesRemovalAndRename) {
  tracker.configure(std::vector<config::VrrpFile>{{"w", path("weight")}});
  EXPECT_EQ(tracker.value("w"), 0);
  write("weight", "1");
  EXPECT_TRUE(tells("w", 1));
  fs::remove(path("weight"));
  EXPECT_TRUE(tells("w", 0));
  write("weight.new", "3");
  fs::rename(path("weight.new"), path("weight"));
  EXPECT_TRUE(tells("w", 3));
  write("weight.new", "4");
  fs::rename(path("weight.new"), path("weight"));
  EXPECT_TRUE(tells("w", 4));
  fs::rename(path("weight"), path("weight.old"));
  EXPECT_TRUE(tells("w", 0));
}

TEST_F(FileTracking, WaitsForAFolderAndFollowsAnotherInItsPlace) {
  tracker.configure(std::vector<config::VrrpFile>{{"w", path("run/weight")}});
  fs::create_directory(path("run"));
  write("run/weight", "5");
  EXPECT_TRUE(tells("w", 5));
  write("run/weight", "6");
  EXPECT_TRUE(tells("w", 6)) << "by its own watch now";
  fs::remove_all(path("run"));
  EXPECT_TRUE(tells("w", 0));
  fs::create_directory(path("run"));
  write("run/weight", "7");
  EXPECT_TRUE(tells("w", 7));
  fs::create_directory(path("other"));
  write("other/weight", "8");
  fs::rename(path("run"), path("gone"));
  fs::rename(path("other"), path("run"));
  EXPECT_TRUE(tells("w", 8));
  write("run/weight", "9");
  EXPECT_TRUE(tells("w", 9));
}

TEST_F(FileTracking, TellsEachNameOfAFileAndForgetsWhatIsConfiguredNoMore) {
  fs::create_directory(path("other"));
  tracker.configure(std::vector<config::VrrpFile>{
      {"a", path("weight")}, {"b", path("weight")}, {"c", path("other/weight")}});
  write("weight", "2");
  ASSERT_TRUE(run_until([&] { return told.size() == 2; }));
  EXPECT_EQ(told, (Told{{"a", 2}, {"b", 2}}));
  tracker.configure(std::vector<config::VrrpFile>{{"c", path("other/weight")}});
  EXPECT_EQ(tracker.value("a"), 0);
  write("weight", "3");
  write("other/weight", "4");
  ASSERT_TRUE(tells("c", 4));
  EXPECT_EQ(told.size(), 3U);
}

TEST_F(FileTracking, IsNotHeldUpByAPipe) {
  ASSERT_EQ(mkfifo(path("weight").c_str(), 0600), 0);
  tracker.configure(std::vector<config::VrrpFile>{{"w", path("weight")}});
  EXPECT_EQ(tracker.value("w"), 0);
}

TEST(FileValue, IsAWholeNumberWithinBounds) {
  EXPECT_EQ(parse_file_value("12"), 12);
  EXPECT_EQ(parse_file_value("  -3\nrest"), -3);
  EXPECT_EQ(parse_file_value("+4 comment"), 4);
  EXPECT_EQ(parse_file_value("99999999999999999999999"), 1'000'000);
  EXPECT_EQ(parse_file_value("-99999999999999999999999"), -1'000'000);
  EXPECT_EQ(parse_file_value("1000001"), 1'000'000);
  for (const char* text : {"", " \n", "x", "1x", "1.5", "-", "+", "+-1", "--1", "0x10"}) {
    EXPECT_EQ(parse_file_value(text), 0) << text;
  }
}

}  // namespace
}  // namespace headgate::control
