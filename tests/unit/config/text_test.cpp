#include "config/text.h"

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

TEST(Text, QuotesWhatATerminalShouldNotSee) {
  EXPECT_EQ(in_quotes("a\"b\\c\n\x1b"), "\"a\\\"b\\\\c\\n\\x1b\"");
}

TEST(Text, CutsLongValuesBetweenCharacters) {
  const std::string text = std::string(59, 'x') + "é and more";
  EXPECT_EQ(in_quotes(text), '"' + std::string(59, 'x') + "...\"");
}

TEST(Text, WritesPlainYamlOnlyWhereYamlReadsItBack) {
  EXPECT_EQ(as_yaml("/run/headgate"), "/run/headgate");
  EXPECT_EQ(as_yaml("web-1"), "web-1");
  for (const std::string_view text : {"", "no", "NULL", "True", "-x", "a b", "fd00::1", "a: b"}) {
    EXPECT_EQ(as_yaml(text).front(), '"') << text;
  }
}

TEST(Text, FindsTheKeyThatWasMeant) {
  const std::vector<std::string_view> keys{"address", "weight", "mode", "port", "timeout_s"};
  EXPECT_EQ(nearest("adress", keys), "address");
  EXPECT_EQ(nearest("wieght", keys), "weight");
  EXPECT_EQ(nearest("Mode", keys), "mode");
  EXPECT_EQ(nearest("timeout", keys), "timeout_s");
  EXPECT_EQ(nearest("ports", keys), "port");
  EXPECT_EQ(nearest("colour", keys), "");
  EXPECT_EQ(nearest("", keys), "");
  EXPECT_EQ(nearest(std::string(5000, 'x'), keys), "");
}

TEST(Text, JoinsWithALastWord) {
  EXPECT_EQ(join({"a", "b", "c"}, "and"), "a, b and c");
  EXPECT_EQ(join({"a"}, "or"), "a");
  EXPECT_EQ(join({}, "or"), "");
}

}  // namespace
}  // namespace headgate::config
