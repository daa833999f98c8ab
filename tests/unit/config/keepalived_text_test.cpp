// The configurations of the manuals that people copy, word by word: what becomes of them. For each
// NAME.conf in data/keepalived there is a NAME.yaml beside it.
#include <filesystem>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "config/dump.h"
#include "config/reader.h"
#include "tests/unit/config/support.h"
#include "tools/headgate_convert.h"

namespace headgate::config {
namespace {

const std::string folder = "tests/unit/config/data/keepalived/";

std::string path_of(const std::string& name) {
  return std::string(HEADGATE_SOURCE_ROOT) + "/" + folder + name;
}

std::string yaml_of(const std::string& name) {
  const auto reading = read_file(path_of(name));
  if (!reading) return to_string(reading.error());
  return to_yaml(reading->config);
}

// The notes, a line each without the file's name.
std::string notes_of(const std::string& name) {
  const auto reading = read_file(path_of(name));
  if (!reading) return to_string(reading.error());
  std::string result;
  for (const keepalived::Note& note : reading->notes)
    result += std::to_string(note.line) + " " + note.keyword + ": " + note.text + "\n";
  return result;
}

constexpr const char* shell_note =
    "script: has a shell's syntax and is given to /bin/bash; keepalived runs scripts without a "
    "shell "
    "since version 2.0, so that this one does nothing there\n";
constexpr const char* removed_note =
    "virtual_server: connections of a backend that is taken out run to their end; "
    "`on_backend_removed: drop` for the way of IPVS\n";
constexpr const char* order_note =
    "virtual_server: schedulers begin with the real_server that is listed first; `newest_first: "
    "on` "
    "for the way of IPVS\n";

TEST(KeepalivedText, EveryConfigurationOfTheManualsBecomesTheSameInYaml) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path_of(""))) {
    if (entry.path().extension() != ".conf") continue;
    const std::string name = entry.path().stem();
    EXPECT_EQ(yaml_of(name + ".conf"), source_file(folder + name + ".yaml")) << name;
    ++count;
  }
  EXPECT_EQ(count, 6U);
}

TEST(KeepalivedText, WhatIsOtherwiseIsSaid) {
  EXPECT_EQ(notes_of("haproxy.conf"), std::string("21 ") + shell_note);
  EXPECT_EQ(notes_of("haproxy_both.conf"), std::string("21 ") + shell_note);
  EXPECT_EQ(notes_of("lvs_http.conf"),
            std::string("15 ") + shell_note + "46 " + removed_note + "46 " + order_note);
  EXPECT_EQ(notes_of("lvs_tcp.conf"),
            std::string("15 ") + shell_note + "46 " + removed_note + "46 " + order_note +
                "53 sorry_server: 127.0.0.1 is this box itself, and no service of its own can take "
                "the place of backends: left out; write the address of another server\n");
  EXPECT_EQ(notes_of("dr_master.conf"),
            std::string("25 ") + removed_note + "25 " + order_note +
                "29 nat_mask: has had no effect in LVS since long: ignored\n");
  EXPECT_EQ(notes_of("dr_backup_instance.conf"), "");
}

TEST(KeepalivedText, ConvertPrintsYamlWithTheNotesWhereTheyBelong) {
  std::ostringstream out;
  std::ostringstream err;
  const std::string name = path_of("dr_master.conf");
  EXPECT_EQ(cli::convert(name, {}, out, err), 0);
  EXPECT_EQ(err.str().substr(0, err.str().find('\n')),
            name +
                ":25: virtual_server: connections of a backend that is taken out run to their end; "
                "`on_backend_removed: drop` for the way of IPVS");
  EXPECT_NE(
      out.str().find("    # line 25, virtual_server: schedulers begin with the real_server that "
                     "is listed first;\n    # `newest_first: on` for the way of IPVS\n"),
      std::string::npos)
      << out.str();
  const auto again = read_text(out.str(), "again.yaml");
  ASSERT_TRUE(again.has_value()) << to_string(again.error());
  EXPECT_EQ(to_yaml(again->config), source_file(folder + "dr_master.yaml"));
}

TEST(KeepalivedText, WhatCannotBeConvertedHasStatusOne) {
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(cli::convert(path_of("none.conf"), {}, out, err), 1);
  EXPECT_EQ(out.str(), "");
  EXPECT_NE(err.str().find("No such file"), std::string::npos) << err.str();
}

TEST(KeepalivedText, TheFormatIsTheTextsAndNotTheNames) {
  using keepalived::is_keepalived;
  EXPECT_TRUE(is_keepalived("! x\n\n  global_defs {\n", "x.yaml"));
  EXPECT_TRUE(is_keepalived("vrrp_instance A{\n", "x"));
  EXPECT_TRUE(is_keepalived("virtual_server 10.0.0.1 80\n{\n", "x"));
  EXPECT_TRUE(is_keepalived("@id x\n", "x"));
  EXPECT_TRUE(is_keepalived("$A=b\n", "x"));
  EXPECT_TRUE(is_keepalived("include a.conf\n", "x"));
  EXPECT_TRUE(is_keepalived("headgate_ports {\n", "x"));
  EXPECT_TRUE(is_keepalived("\xef\xbb\xbfglobal_defs {\n", "x"));
  EXPECT_TRUE(is_keepalived("", "keepalived.conf"));
  EXPECT_TRUE(is_keepalived("wrong_word {\n", "keepalived.conf"));
  EXPECT_FALSE(is_keepalived("ports:\n", "keepalived.conf"));
  EXPECT_FALSE(is_keepalived("# x\n---\nports: []\n", "x.conf"));
  EXPECT_FALSE(is_keepalived("services: []\n", "x.yaml"));
  EXPECT_FALSE(is_keepalived("", "x.yaml"));
  EXPECT_FALSE(is_keepalived("{ports: []}\n", "x.yaml"));
}

}  // namespace
}  // namespace headgate::config
