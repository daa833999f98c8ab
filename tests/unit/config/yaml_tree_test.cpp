#include "config/yaml_tree.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config/limits.h"

namespace headgate::config {
namespace {

using Kind = YamlNode::Kind;
using namespace std::string_literals;

std::string only_error(std::string_view text) {
  const YamlTree tree = parse_yaml(text, "t.yaml");
  EXPECT_EQ(tree.errors.size(), 1U) << to_string(tree.errors);
  return tree.errors.empty() ? "" : to_string(tree.errors.front());
}

TEST(YamlTree, KnowsLineAndColumnOfEveryValue) {
  const YamlTree tree = parse_yaml("a: 1\nb:\n  - x\n  - {k: [v, w]}\n", "t.yaml");
  ASSERT_TRUE(tree.errors.empty());
  const YamlNode& w = tree.locate("b[1].k[1]");
  EXPECT_EQ(w.text, "w");
  EXPECT_EQ(w.line, 4U);
  EXPECT_EQ(w.column, 13U);
}

TEST(YamlTree, CountsColumnsInCharactersAndLinesByNewline) {
  const YamlTree tree = parse_yaml("é: {ü: x}\r\nb: y\r\n", "t.yaml");
  ASSERT_TRUE(tree.errors.empty());
  EXPECT_EQ(tree.locate("é.ü").column, 8U);
  EXPECT_EQ(tree.locate("b").line, 2U);
  EXPECT_EQ(tree.locate("b").text, "y");
}

TEST(YamlTree, LocatesTheClosestNodeAroundWhatIsMissing) {
  const YamlTree tree = parse_yaml("services:\n  - port: 80\n", "t.yaml");
  EXPECT_EQ(&tree.locate("services[0].address"), &tree.locate("services[0]"));
  EXPECT_EQ(&tree.locate("services[7]"), &tree.locate("services"));
  EXPECT_EQ(&tree.locate("nothing.at.all"), &tree.root());
  EXPECT_EQ(tree.locate("services[0]").line, 2U);
}

TEST(YamlTree, KeepsKeysThatAreGivenTwice) {
  const YamlTree tree = parse_yaml("a: 1\na: 2\n", "t.yaml");
  ASSERT_EQ(tree.root().children.size(), 4U);
  EXPECT_EQ(tree.nodes[tree.root().children[3]].text, "2");
}

TEST(YamlTree, AliasStandsForItsAnchor) {
  const YamlTree tree = parse_yaml("a: &x [1, 2]\nb: *x\n", "t.yaml");
  ASSERT_TRUE(tree.errors.empty());
  EXPECT_EQ(tree.locate("b[1]").text, "2");
}

TEST(YamlTree, RefusesAnAliasWithinItsAnchor) {
  EXPECT_EQ(
      only_error("a: &x [1, *x]\n"),
      "t.yaml:1:11: an alias within the very part that its anchor names: it would have no end");
}

TEST(YamlTree, RefusesAliasesThatMultiplyBeyondTheLimit) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    text += fmt::format("a{0}: &a{0} [*a{1}", i, i - 1);
    for (int j = 0; j < 9; ++j)
      text += fmt::format(", *a{}", i - 1);
    text += "]\n";
  }
  EXPECT_NE(only_error(text).find("more than 8388608 values"), std::string::npos);
}

TEST(YamlTree, RefusesAnAliasWithoutAnchor) {
  EXPECT_EQ(only_error("a: *x\n"), "t.yaml:1:4: an alias (*name) without its anchor (&name)");
}

TEST(YamlTree, RefusesControlCharactersWithTheirPlace) {
  EXPECT_EQ(only_error("a: 1\nb: \0 2\n"s),
            "t.yaml:2:4: control character 0x00: remove it; a configuration is plain text");
  // Where yaml-cpp itself would take the file to end.
  EXPECT_EQ(only_error("a: 1\n\x04"
                       "b: 2\n"),
            "t.yaml:2:1: control character 0x04: remove it; a configuration is plain text");
  EXPECT_EQ(only_error("a: \x1b[31m\n"),
            "t.yaml:1:4: control character 0x1b: remove it; a configuration is plain text");
}

TEST(YamlTree, RefusesBytesThatAreNotUtf8) {
  for (const std::string_view bytes :
       {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    const std::string error = only_error("a: é" + std::string(bytes));
    EXPECT_NE(error.find("t.yaml:1:5: byte 0x"), std::string::npos) << error;
    EXPECT_NE(error.find("is not UTF-8"), std::string::npos) << error;
  }
  EXPECT_TRUE(parse_yaml("a: \xf0\x9f\x98\x80 \xe2\x82\xac", "t.yaml").errors.empty());
}

TEST(YamlTree, SkipsAByteOrderMark) {
  const YamlTree tree = parse_yaml(
      "\xef\xbb\xbf"
      "a: 1\n",
      "t.yaml");
  ASSERT_TRUE(tree.errors.empty());
  EXPECT_EQ(tree.locate("a").text, "1");
}

TEST(YamlTree, SaysWhatIsWrongWithBrokenYamlAndWhereInWordsOfOurs) {
  EXPECT_EQ(only_error("a:\n\tb: 1\n"),
            "t.yaml:2:1: a tab in the indentation: YAML takes spaces only");
  EXPECT_EQ(only_error("a: [1, 2\n"), "t.yaml:1:9: a '[' without its ']', or a ',' missing");
  EXPECT_EQ(only_error("a: b: c\n"),
            "t.yaml:1:5: a ':' in a place where no key can be: check the indentation of this line "
            "and the one above, and quote a value that holds ': '");
  EXPECT_EQ(only_error("a: @b\n"),
            "t.yaml:1:4: a character that cannot begin a value: put the value in quotes");
  EXPECT_EQ(only_error("a: 1\n---\nb: 2\n"),
            "t.yaml:3:1: a second document ('---') in one file: a configuration is one document");
  EXPECT_EQ(only_error("a: !!int 1\n"),
            "t.yaml:1:4: a tag ('!' before a value) has no meaning here: remove it, or quote the "
            "value");
}

TEST(YamlTree, PointsAtQuotesThatAreNotClosed) {
  // yaml-cpp takes the first two for whole.
  for (const std::string_view text : {"x: it's # don't\na: \"b\nc: d\n", "x: 'y'\na: 'b\n\n",
                                      "x: \"y\\\"\"\na: \"b", "x: 1\na: \"b\n# c\n"}) {
    EXPECT_EQ(only_error(text), "t.yaml:2:4: quotes that are opened and not closed") << text;
  }
}

TEST(YamlTree, PlacesAValueThatIsNotThereWhereItIsMissing) {
  const YamlTree tree = parse_yaml("a:\nb:\n  -\n  - - \n  - x\nc: ~\n", "t.yaml");
  ASSERT_TRUE(tree.errors.empty());
  EXPECT_EQ(tree.locate("a").line, 1U);
  EXPECT_EQ(tree.locate("b[0]").line, 3U);
  EXPECT_EQ(tree.locate("b[1][0]").line, 4U);
  EXPECT_EQ(tree.locate("b[1][0]").column, 5U);
  EXPECT_EQ(tree.locate("c").column, 4U);
}

TEST(YamlTree, MarksWhatASyntaxErrorLeftOpen) {
  const YamlTree tree = parse_yaml("a: {b: 1}\nc:\n  - d: 2\n    e: [\n", "t.yaml");
  ASSERT_EQ(tree.errors.size(), 1U);
  EXPECT_TRUE(tree.locate("a").complete);
  EXPECT_FALSE(tree.root().complete);
}

TEST(YamlTree, SurvivesDeepNesting) {
  for (const std::string_view open : {"[", "{a: ", "- ", "? "}) {
    std::string text;
    for (int i = 0; i < 20000; ++i)
      text += open;
    const std::string error = only_error(text);
    EXPECT_NE(error.find("nested too deeply"), std::string::npos) << open << error;
  }
}

TEST(YamlTree, RefusesAFileBeyondTheLimit) {
  const std::string text(max_file_bytes + 1, ' ');
  EXPECT_NE(only_error(text).find("bytes are more than a configuration may have"),
            std::string::npos);
}

TEST(YamlTree, AnEmptyTextIsANull) {
  for (const std::string_view text : {"", "\n\n", "# a comment\n", "---\n", "~\n"}) {
    const YamlTree tree = parse_yaml(text, "t.yaml");
    EXPECT_TRUE(tree.errors.empty()) << text;
    EXPECT_EQ(tree.root().kind, Kind::null) << text;
  }
}

}  // namespace
}  // namespace headgate::config
