#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "config/keepalived/source.h"
#include "config/keepalived/tree.h"
#include "config/limits.h"

namespace headgate::config::keepalived {
namespace {

// `FILE:LINE text` of each line; the errors instead, if there are any.
std::string lines_of(std::string_view text, const SourceOptions& options = {},
                     const std::string& name = "k.conf") {
  const Source source = read_source(text, name, options);
  std::string result;
  if (!source.errors.empty()) return to_string(source.errors);
  for (const SourceLine& line : source.lines)
    result += std::to_string(line.place.line) + " " + line.text + "\n";
  return result;
}

// The tree in brackets: keyword(word, word){statement statement}.
std::string shape(const std::vector<Statement>& statements) {
  std::string result;
  for (const Statement& statement : statements) {
    if (!result.empty()) result += ' ';
    for (size_t i = 0; i < statement.words.size(); ++i) {
      if (i > 0) result += ',';
      result += (statement.words[i].quoted ? "'" : "") + statement.words[i].text;
    }
    if (statement.block) result += "{" + shape(statement.children) + "}";
  }
  return result;
}

std::string tree_of(std::string_view text) {
  Source source = read_source(text, "k.conf", {});
  const std::vector<Statement> tree = parse_tree(source);
  return source.errors.empty() ? shape(tree) : to_string(source.errors);
}

TEST(KeepalivedSource, LeavesCommentsOutButNotWithinQuotes) {
  EXPECT_EQ(lines_of("a 1 # x\n! y\n  b 2!z\n\nc \"# ! '\" # d\nd '!' # '\n"),
            "1 a 1\n3 b 2\n5 c \"# ! '\"\n6 d '!'\n");
  EXPECT_EQ(lines_of("a \"x \\\" # y\" # z\n"), "1 a \"x \\\" # y\"\n");
  EXPECT_EQ(lines_of("weight 3   # 配置节点权值\r\n"), "1 weight 3\n");
}

TEST(KeepalivedSource, ABackslashContinuesALine) {
  EXPECT_EQ(lines_of("a \\\n  b \\ # x\n c\nd"), "1 a  b  c\n4 d\n");
  EXPECT_EQ(lines_of("a \\"), "1 a\n");
}

TEST(KeepalivedSource, TakesTheLinesOfItsConfigId) {
  const std::string text = "@main a\n@^main b\n@other c\n@^other d\n e\n";
  EXPECT_EQ(lines_of(text), "2 b\n4 d\n5 e\n");
  EXPECT_EQ(lines_of(text, {.config_id = "main"}), "1 a\n4 d\n5 e\n");
  EXPECT_EQ(lines_of(text, {.config_id = "other"}), "2 b\n3 c\n5 e\n");
}

TEST(KeepalivedSource, PutsDefinitionsInTheirPlaces) {
  EXPECT_EQ(lines_of("$IF=eth0\n$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.1 dev $IF\n$SUB=1\n${BASE}.1\n"),
            "4 10.2.0.1 dev eth0\n6 10.2.1.1\n");
  EXPECT_EQ(lines_of("a $NONE ${NONE} $IFx\n"), "1 a $NONE ${NONE} $IFx\n");
  EXPECT_EQ(lines_of("$E=\na ${E}b\n"), "2 a b\n");
  EXPECT_EQ(lines_of("a ${_HASH}x ${_BANG} ${_INSTANCE}\n", {.config_id = "me"}), "1 a #x ! me\n");
  EXPECT_EQ(lines_of("a ${_PWD}/x\n", {}, "/etc/keepalived/k.conf"), "1 a /etc/keepalived/x\n");
}

TEST(KeepalivedSource, DefinitionsOfSeveralLinesHoldConditionsAndDefinitions) {
  const std::string text =
      "$I= \\\nvrrp_instance VI_${N} { \\\n @high priority 130 \\\n @^high priority 120 \\\n "
      "$M=${N}0 "
      "\\\n x ${M} \\\n}\n$N=1\n$I\n$N=2\n$I\n";
  EXPECT_EQ(lines_of(text, {.config_id = "high"}),
            "9 vrrp_instance VI_1 {\n9 priority 130\n9 x 10\n9 }\n"
            "11 vrrp_instance VI_2 {\n11 priority 130\n11 x 20\n11 }\n");
}

TEST(KeepalivedSource, ADefinitionThatContainsItselfIsRefused) {
  EXPECT_EQ(lines_of("$A=${B}\n$B=${A}\nx ${A}\n"), "k.conf:3: a definition contains itself\n");
  EXPECT_EQ(lines_of("$A= \\\nx \\\n$A \\\n\n$A\n").substr(0, 44),
            "k.conf:5: definitions lie too deep in anothe");
}

TEST(KeepalivedSource, WritesSequencesAndListsOut) {
  EXPECT_EQ(lines_of("~SEQ(N, 1, 3) a ${N}\n"), "1 a 1\n1 a 2\n1 a 3\n");
  EXPECT_EQ(lines_of("~SEQ(N, 2) a ${N}\n~SEQ(N, 9, -4, 1) b ${N}\n"),
            "1 a 1\n1 a 2\n2 b 9\n2 b 5\n2 b 1\n");
  EXPECT_EQ(lines_of("~SEQx(N, 0x90, 0x10, 0xb0) a ${N}\n"), "1 a 90\n1 a a0\n1 a b0\n");
  EXPECT_EQ(lines_of("~LST({A, B}, {1,2},{3,4}) ~LST(C, x, y) ${A}${B}${C}\n"),
            "1 12x\n1 12y\n1 34x\n1 34y\n");
  EXPECT_EQ(lines_of("~SEQ(N, 1, 0, 3) a\n"),
            "k.conf:1: ~SEQ: the step of ~SEQ is 0: it would never end\n");
  EXPECT_EQ(lines_of("~SEQ(N, 1, 9999999) a\n"),
            "k.conf:1: ~SEQ: ~SEQ has more than 65536 rounds\n");
  EXPECT_EQ(lines_of("~LST({A, B}, {1}) a\n"),
            "k.conf:1: ~LST: ~LST has 2 names and 1 values in \"{1}\"\n");
  EXPECT_EQ(lines_of("~SEQ a\n"),
            "k.conf:1: ~SEQ: a list looks like ~SEQ(N, 1, 9) or ~LST(N, a, b)\n");
}

TEST(KeepalivedSource, RepetitionsOfNothingEndToo) {
  EXPECT_EQ(lines_of("~SEQ(A, 1, 65536) ~SEQ(B, 1, 65536) ~SEQ(C, 1, 65536) @x y\n"),
            "k.conf:1: more than 4194304 lines, with all repetitions\n");
  EXPECT_EQ(lines_of("~SEQ(A, 1, 65536) ~SEQ(B, 1, 65536) ~SEQ(C, 1, 65536)\n"),
            "k.conf:1: more than 4194304 lines, with all repetitions\n");
}

class KeepalivedIncludes : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "conf.d");
    write("conf.d/one.conf", "one\ninclude ../deep.conf\n");
    write("conf.d/two.conf", "two\n");
    write("deep.conf", "deep ${_PWD}\n");
    write("loop.conf", "include loop.conf\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  [[nodiscard]] std::string lines(const std::string& text) const {
    return lines_of(text, {}, (folder_ / "main.conf").string());
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("headgate-keepalived-" + std::to_string(getpid()));
};

TEST_F(KeepalivedIncludes, AreFoundBesideTheFileThatIncludesThem) {
  EXPECT_EQ(lines("include conf.d/*.conf\nlast\n"),
            "1 one\n1 deep " + (folder_ / "conf.d/..").string() + "\n1 two\n2 last\n");
  EXPECT_EQ(lines("include conf.d/{two,none}.conf\n"), "1 two\n");
  EXPECT_EQ(lines("include \"conf.d/two.conf\"\n"), "1 two\n");
}

TEST_F(KeepalivedIncludes, WithoutAFileAreANoteOrAnError) {
  const Source source = read_source("include none/*.conf\n", "k.conf", {});
  EXPECT_TRUE(source.errors.empty());
  ASSERT_EQ(source.notes.size(), 1U);
  EXPECT_EQ(source.notes[0].text, "no file is called \"none/*.conf\": left out");
  EXPECT_EQ(lines_of("includea none/*.conf\n"),
            "k.conf:1: includea: no file is called \"none/*.conf\"\n");
  EXPECT_EQ(lines_of("include\n"), "k.conf:1: include: the name of a file is missing\n");
}

TEST_F(KeepalivedIncludes, ThatLeadBackAreRefused) {
  const std::string loop = (folder_ / "loop.conf").string();
  EXPECT_EQ(lines("include loop.conf\n"), loop + ":1: include: \"" + loop + "\" includes itself\n");
}

TEST_F(KeepalivedIncludes, AreRefusedWhereThereAreNone) {
  EXPECT_EQ(lines_of("include x\n", {.config_id = {}, .includes = false}),
            "k.conf:1: include: this text cannot include files\n");
}

TEST(KeepalivedTree, BracesMayStandAnywhere) {
  EXPECT_EQ(tree_of("a b {\n c d\n}\ne\n"), "a,b{c,d} e");
  EXPECT_EQ(tree_of("a b\n\n{\n c d\n }"), "a,b{c,d}");
  EXPECT_EQ(tree_of("a{b c}d"), "a{b,c} d");
  EXPECT_EQ(tree_of("a { b { c 1 } } d { }"), "a{b{c,1}} d{}");
}

TEST(KeepalivedTree, QuotesKeepWordsTogetherAndEscapesMeanWhatTheyMeanInAShell) {
  EXPECT_EQ(tree_of("a \"b c\" 'd \"e\"' f\"g h\"i\n"), "a,'b c,'d \"e\",fg hi");
  EXPECT_EQ(tree_of(R"(a "\x41\102\"\\" 'it\'s')"), "a,'AB\"\\,'it's");
  EXPECT_EQ(tree_of("a \"{ }\" ${UNKNOWN}x"), "a,'{ },${UNKNOWN}x");
  EXPECT_EQ(tree_of("a \"b\tc\""), "a,'b c");
  EXPECT_EQ(tree_of("a \"b\\tc\""), "k.conf:1: \"b\\tc\" holds a control character\n");
  EXPECT_EQ(tree_of("a b\xff # \xff\n"), "k.conf:1: \"b\xff\" holds what is not UTF-8\n");
}

TEST(KeepalivedTree, SaysEveryBraceAndQuoteThatIsOneTooMuchOrMissing) {
  EXPECT_EQ(tree_of("a {\n b {\n c\n}\n"), "k.conf:1: {: is never closed: a '}' is missing\n");
  EXPECT_EQ(tree_of("a {\n}\n}\nb\n}"),
            "k.conf:3: }: closes a block that is not open\nk.conf:5: }: closes a block that is not "
            "open\n");
  EXPECT_EQ(tree_of("{\n}\n"), "k.conf:1: {: a block without a keyword before it\n");
  EXPECT_EQ(tree_of("a {\n} {\n}\n"), "k.conf:2: {: a block without a keyword before it\n");
  EXPECT_EQ(tree_of("a \"b\nc 'd\n"),
            "k.conf:1: a \" has no end: \"a \\\"b\"\nk.conf:2: a ' has no end: \"c 'd\"\n");
}

TEST(KeepalivedTree, BlocksLieOnlySoDeep) {
  std::string text;
  for (size_t i = 0; i < max_keepalived_blocks + 1; ++i)
    text += "a {\n";
  EXPECT_NE(tree_of(text).find("blocks lie more than 16 deep in each other"), std::string::npos);
}

}  // namespace
}  // namespace headgate::config::keepalived
