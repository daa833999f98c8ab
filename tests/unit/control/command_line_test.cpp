#include "control/command_line.h"

#include <gtest/gtest.h>

#include "control/program_user.h"

namespace headgate::control {
namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view text) {
  auto words = split_command(text);
  EXPECT_TRUE(words) << words.error().text;
  return words.value_or(Words{});
}

TEST(CommandLine, SplitsAtBlanks) {
  EXPECT_EQ(words_of("  /etc/keepalived/notify.sh \t master\n"),
            (Words{"/etc/keepalived/notify.sh", "master"}));
}

TEST(CommandLine, KeepsQuotedBlanksAndEmptyWords) {
  EXPECT_EQ(words_of(R"(a "b c" 'd  e' '' f"g h"'i')"), (Words{"a", "b c", "d  e", "", "fg hi"}));
}

TEST(CommandLine, TreatsBackslashesAsAShellDoes) {
  EXPECT_EQ(words_of(R"(a\ b \"c 'd\n' "e\"\\\$\`\n")"),
            (Words{"a b", "\"c", R"(d\n)", R"(e"\$`\n)"}));
}

TEST(CommandLine, ExpandsNothing) {
  EXPECT_EQ(words_of("echo $HOME * ~ `id` ; a|b >c"),
            (Words{"echo", "$HOME", "*", "~", "`id`", ";", "a|b", ">c"}));
}

TEST(CommandLine, RefusesWhatHasNoEndAndWhatIsEmpty) {
  for (const char* text : {"a 'b", "a \"b\\\"", "a \\", "", "  \t"}) {
    EXPECT_FALSE(split_command(text)) << text;
  }
  EXPECT_EQ(split_command("a 'b").error().text, "the command `a 'b`: a ' has no end");
}

TEST(CommandLine, GivesAShellTheTextAsItIsAndTheArgumentsAsItsOwn) {
  EXPECT_EQ(*command_words("echo \"$1\" | cat", true, {"one"}),
            (Words{"/bin/sh", "-c", "echo \"$1\" | cat", "/bin/sh", "one"}));
  EXPECT_EQ(*command_words("exit 3", true), (Words{"/bin/sh", "-c", "exit 3"}));
  EXPECT_EQ(*command_words("echo", false, {"one two"}), (Words{"echo", "one two"}));
  EXPECT_FALSE(command_words("  ", true));
}

TEST(CommandLine, LeavesQuotesWithoutAnEndToAShell) {
  // It is not ours to say what a here-document's text may hold.
  EXPECT_TRUE(command_words("cat <<E\nit's\nE\n", true));
}

TEST(ProgramUser, FindsUsersAndGroupsByNameAndNumber) {
  const auto root = resolve_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0U);
  EXPECT_EQ(root->gid, 0U);
  EXPECT_FALSE(root->groups.empty());
  const auto number = resolve_user("54321:root");
  ASSERT_TRUE(number);
  EXPECT_EQ(number->uid, 54321U);
  EXPECT_EQ(number->gid, 0U);
  EXPECT_EQ(number->groups, std::vector<gid_t>{0});
}

TEST(ProgramUser, RefusesWhatIsNotThere) {
  for (const char* name :
       {"no-such-user-here", "root:no-such-group-here", ":root", "", "-1", "4294967295", "root:"}) {
    EXPECT_FALSE(resolve_user(name)) << name;
  }
  EXPECT_EQ(resolve_user("no-such-user-here").error().text,
            "there is no user 'no-such-user-here' on this machine");
}

}  // namespace
}  // namespace headgate::control
