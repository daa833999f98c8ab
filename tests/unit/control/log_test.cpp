#include "control/log.h"

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

TEST(RepeatFilter, WritesTheFirstAndCountsTheRest) {
  RepeatFilter filter(10s);
  const RepeatFilter::Time start{};
  EXPECT_EQ(filter.pass("a", start), Lines{"a"});
  EXPECT_EQ(filter.pass("a", start + 1s), Lines{});
  EXPECT_EQ(filter.pass("b", start + 2s), Lines{"b"});
  EXPECT_EQ(filter.pass("a", start + 9s), Lines{});
  EXPECT_EQ(filter.pass("a", start + 10s), (Lines{"a (2 more in 10 s)", "a"}));
}

TEST(RepeatFilter, TellsOfRepeatsThatStopped) {
  RepeatFilter filter(10s);
  const RepeatFilter::Time start{};
  EXPECT_EQ(filter.pass("a", start), Lines{"a"});
  EXPECT_EQ(filter.pass("a", start), Lines{});
  EXPECT_EQ(filter.flush(start + 9s), Lines{});
  EXPECT_EQ(filter.flush(start + 10s), Lines{"a (1 more in 10 s)"});
  EXPECT_EQ(filter.flush(start + 20s), Lines{});
}

TEST(RepeatFilter, DoesNotGrowWithoutEnd) {
  RepeatFilter filter(10s);
  const RepeatFilter::Time start{};
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(filter.pass(std::to_string(i), start).size(), 1U);
  }
  EXPECT_EQ(filter.pass("999", start).size(), 1U) << "beyond its list texts pass unfiltered";
}

TEST(Log, WritesOneLineWithTimeAndLevel) {
  Lines lines;
  Log::get().set_sink([&](std::string_view line) { lines.emplace_back(line); });
  log_warning("port {}: \n{}", "wan", 5);
  log_debug("not at this level");
  Log::get().set_sink({});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].substr(24), " warning: port wan:  5");
  EXPECT_EQ(lines[0].substr(4, 1), "-");
  EXPECT_EQ(lines[0].substr(10, 1), "T");
  EXPECT_EQ(lines[0].substr(23, 1), "Z");
}

}  // namespace
}  // namespace headgate::control
