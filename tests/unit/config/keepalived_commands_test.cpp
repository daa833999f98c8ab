// Scripts: with arguments, users, and the syntax of a shell.
#include <gtest/gtest.h>

#include "tests/unit/config/support_keepalived.h"

namespace headgate::config {
namespace {

VrrpScript script_of(const std::string& lines) {
  const auto conversion = converted("vrrp_script s {\n" + lines + "\n}\n");
  return conversion.config.vrrp.scripts.at(0);
}

std::string command_of(const std::string& value) {
  return script_of("script " + value).command;
}

TEST(KeepalivedCommands, AQuotedStringIsACommandWithItsArguments) {
  EXPECT_EQ(command_of("\"/etc/keepalived/notify.sh master -n 5\""),
            "/etc/keepalived/notify.sh master -n 5");
  EXPECT_EQ(command_of("\"/bin/x 'two words' \\\"three w o\\\"\""),
            "/bin/x 'two words' 'three w o'");
  EXPECT_EQ(command_of("\"/bin/x http://h/?a=1&b=2 *\""), "/bin/x 'http://h/?a=1&b=2' '*'");
  EXPECT_EQ(command_of("\"killall -0 haproxy\""), "/usr/bin/env killall -0 haproxy");
}

TEST(KeepalivedCommands, BehindAnUnquotedOneStandUserAndGroup) {
  const VrrpScript script = script_of("script /bin/x nobody nogroup");
  EXPECT_EQ(script.command, "/bin/x");
  EXPECT_EQ(script.user, "nobody:nogroup");
  EXPECT_EQ(script_of("script \"/bin/x a\" nobody").user, "nobody");
}

TEST(KeepalivedCommands, AShellsSyntaxIsGivenToBash) {
  EXPECT_EQ(command_of("\"[[ -f /etc/keepalived/down ]] && exit 1 || exit 0\""),
            "/bin/bash -c '[[ -f /etc/keepalived/down ]] && exit 1 || exit 0'");
  EXPECT_EQ(command_of("\"/bin/x | grep 'it''s'\""),
            R"(/bin/bash -c '/bin/x | grep '\''it'\'''\''s'\''')");
  for (const char* text : {"/bin/x >/dev/null", "/bin/x 2>&1", "/bin/x; /bin/y", "/bin/x $HOME",
                           "/bin/x `date`", "exit 0", "/bin/x && /bin/y", "(/bin/x)"}) {
    EXPECT_TRUE(command_of(std::string("\"") + text + "\"").starts_with("/bin/bash -c '")) << text;
  }
  EXPECT_FALSE(command_of("\"/bin/x '>' '$HOME' a;b\"").starts_with("/bin/bash"));
}

TEST(KeepalivedCommands, ASyntaxForAShellIsNoted) {
  EXPECT_EQ(
      notes_of("vrrp_script s {\nscript \"/bin/a && /bin/b\"\n}\n"),
      "k.conf:2: script: has a shell's syntax and is given to /bin/bash; keepalived runs scripts "
      "without a shell since version 2.0, so that this one does nothing there\n");
}

TEST(KeepalivedCommands, WithoutACommandIsAnError) {
  EXPECT_EQ(errors_of("vrrp_script s {\nscript\n}\n"), "k.conf:2: script: a command is missing\n");
  EXPECT_EQ(errors_of("vrrp_script s {\nscript \"\"\n}\n"),
            "k.conf:2: script: a command is missing\n");
}

}  // namespace
}  // namespace headgate::config
