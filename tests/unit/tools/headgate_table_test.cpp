#include "tools/headgate_table.h"

#include <gtest/gtest.h>

namespace headgate::cli {
namespace {

TEST(Table, AlignsColumnsAndTotal) {
  Table table({{"NAME", Align::left}, {"PACKETS", Align::right}, {"NOTE", Align::left}});
  table.add({"a", "1", ""});
  table.add({"longer name", "12345678", "x"});
  table.set_total({"total", "12345679"});
  EXPECT_EQ(table.take(),
            "NAME          PACKETS  NOTE\n"
            "a                   1\n"
            "longer name  12345678  x\n"
            "---------------------------\n"
            "total        12345679\n");
}

TEST(Table, PrintsLongListsInPiecesWithOneHeading) {
  Table table({{"A", Align::left}, {"B", Align::right}});
  table.add({"wide cell", "1"});
  EXPECT_EQ(table.take(), "A          B\nwide cell  1\n");
  table.add({"x", "2"});
  EXPECT_EQ(table.take(), "x          2\n");
  EXPECT_TRUE(table.empty());
}

TEST(Numbers, AreShortForPeopleAndWholeWhenAsked) {
  EXPECT_EQ(count_text(99999, false), "99999");
  EXPECT_EQ(count_text(100000, false), "100.0K");
  EXPECT_EQ(count_text(999950, false), "1.0M");
  EXPECT_EQ(count_text(12345678, false), "12.3M");
  EXPECT_EQ(count_text(UINT64_MAX, false), "18446.7P");
  EXPECT_EQ(count_text(UINT64_MAX, true), "18446744073709551615");
  EXPECT_EQ(bytes_text(0, false), "0 B");
  EXPECT_EQ(bytes_text(999, false), "999 B");
  EXPECT_EQ(bytes_text(1000, false), "1.0 kB");
  EXPECT_EQ(bytes_text(4500000000, false), "4.5 GB");
  EXPECT_EQ(bytes_text(4500000000, true), "4500000000");
}

TEST(Numbers, DurationsHaveTwoUnitsAtMost) {
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(59), "59s");
  EXPECT_EQ(duration_text(125), "2m05s");
  EXPECT_EQ(duration_text(3600), "1h00m");
  EXPECT_EQ(duration_text(187200), "2d04h");
}

}  // namespace
}  // namespace headgate::cli
