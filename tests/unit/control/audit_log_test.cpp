// The audit log: lines that read back as what was written, in a file that may be moved away or
// full.
#include "control/audit_log.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <regex>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "control/log.h"

namespace headgate::control {
namespace {

namespace json = boost::json;

class AuditLogTest : public testing::Test {
 protected:
  AuditLogTest() {
    std::array<char, 40> pattern{"/tmp/headgate-audit-XXXXXX"};
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/audit.log";
    Log::get().set_sink([this](std::string_view line) { logged_.emplace_back(line); });
  }
  ~AuditLogTest() override {
    Log::get().set_sink({});
    std::filesystem::remove_all(directory_);
  }
  AuditLogTest(const AuditLogTest&) = delete;
  AuditLogTest& operator=(const AuditLogTest&) = delete;

  static AuditEntry entry(std::string command) {
    AuditEntry result;
    result.source = AuditSource::health;
    result.command = std::move(command);
    result.outcome = "done";
    return result;
  }
  static std::vector<std::string> commands_in(const std::string& path, size_t count = 1000) {
    std::vector<std::string> commands;
    const auto lines = last_audit_lines(path, count);
    EXPECT_TRUE(lines.has_value()) << lines.error().text;
    for (const json::object& line : *lines)
      commands.emplace_back(line.at("command").as_string());
    return commands;
  }
  [[nodiscard]] size_t errors() const {
    return static_cast<size_t>(std::ranges::count_if(
        logged_, [](const std::string& line) { return line.contains("error: audit log"); }));
  }

  using Commands = std::vector<std::string>;
  std::string directory_;
  std::string path_;
  std::vector<std::string> logged_;
  AuditLog log_;
};

TEST_F(AuditLogTest, ALineSaysWhoWhatAndWhatCameOfIt) {
  AuditEntry written;
  written.source = AuditSource::cli;
  written.peer = Peer{42, 0, 0};
  written.command = "reload";
  written.outcome = "done, generation 7";
  written.changes = {"service 192.0.2.1:80/tcp removed, with 2 backends"};
  written.generation = 7;
  log_.write_to(path_);
  log_.write(written);
  const auto lines = last_audit_lines(path_, 10);
  ASSERT_TRUE(lines.has_value());
  ASSERT_EQ(lines->size(), 1U);
  const json::object& line = lines->front();
  EXPECT_TRUE(std::regex_match(std::string(line.at("time").as_string()),
                               std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  EXPECT_EQ(line.at("source"), "cli");
  EXPECT_EQ(line.at("uid"), 0);
  EXPECT_EQ(line.at("pid"), 42);
  EXPECT_EQ(line.at("user"), "root");
  EXPECT_EQ(line.at("command"), "reload");
  EXPECT_EQ(line.at("outcome"), "done, generation 7");
  EXPECT_EQ(line.at("generation"), 7);
  EXPECT_EQ(line.at("changes").as_array().at(0).as_string(), written.changes[0]);
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
}

TEST_F(AuditLogTest, HostileTextsStayOneLineAndReadBack) {
  const std::string hostile = "x\"},\n{\"command\": \"forged\"}\r\n\\\t\x01\x7f ü";
  log_.write_to(path_);
  log_.write(entry(hostile));
  log_.write(entry("bad \xff\xc0\xaf\xed\xa0\x80 bytes\xe2\x82"));
  std::ifstream file(path_);
  size_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    json::error_code error;
    EXPECT_TRUE(json::parse(line, error).is_object()) << line;
    EXPECT_FALSE(error) << line;
  }
  EXPECT_EQ(count, 2U);
  EXPECT_EQ(commands_in(path_), (Commands{hostile, "bad ?????? bytes??"}));
}

TEST_F(AuditLogTest, WhatIsLongIsCutAndSaysSo) {
  AuditEntry long_one = entry(std::string(100000, 'x'));
  for (int i = 0; i < 250; ++i)
    long_one.changes.push_back(fmt::format("change {}", i));
  long_one.changes[0] = std::string(5000, 'y');
  long_one.more_changes = 1000;
  log_.write_to(path_);
  log_.write(long_one);
  const auto lines = last_audit_lines(path_, 1);
  ASSERT_TRUE(lines.has_value());
  const json::object& line = lines->at(0);
  EXPECT_EQ(line.at("command").as_string().size(), longest_audit_text + 24);
  EXPECT_TRUE(line.at("command").as_string().ends_with("... and 95904 bytes more"));
  const json::array& changes = line.at("changes").as_array();
  ASSERT_EQ(changes.size(), most_audit_changes + 1);
  EXPECT_TRUE(changes[0].as_string().ends_with("... and 3976 bytes more"));
  EXPECT_EQ(changes.back(), "... and 1150 more");
}

TEST_F(AuditLogTest, ARotatedFileIsLeftForTheNewOne) {
  log_.write_to(path_);
  log_.write(entry("one"));
  std::filesystem::rename(path_, path_ + ".1");
  log_.write(entry("two"));
  EXPECT_EQ(commands_in(path_ + ".1"), Commands{"one"});
  EXPECT_EQ(commands_in(path_), Commands{"two"});
  // The rotation made the new file itself.
  std::filesystem::rename(path_, path_ + ".2");
  std::ofstream(path_).close();
  log_.write(entry("three"));
  EXPECT_EQ(commands_in(path_), Commands{"three"});
  // Emptied in its place.
  std::filesystem::resize_file(path_, 0);
  log_.write(entry("four"));
  EXPECT_EQ(commands_in(path_), Commands{"four"});
}

TEST_F(AuditLogTest, AnotherPathOrNoneTakesEffectAtOnce) {
  log_.write(entry("nowhere"));
  log_.write_to(path_);
  log_.write(entry("here"));
  log_.write_to(path_ + ".other");
  log_.write(entry("there"));
  log_.write_to({});
  log_.write(entry("nowhere"));
  EXPECT_EQ(commands_in(path_), Commands{"here"});
  EXPECT_EQ(commands_in(path_ + ".other"), Commands{"there"});
  EXPECT_EQ(log_.lost(), 0U);
}

TEST_F(AuditLogTest, AFullDiskIsLoggedOnceAndCounted) {
  log_.write_to("/dev/full");
  for (int i = 0; i < 5; ++i)
    log_.write(entry("lost"));
  EXPECT_EQ(log_.lost(), 5U);
  EXPECT_EQ(errors(), 1U);
}

TEST_F(AuditLogTest, AMissingDirectoryLosesLinesUntilItIsThere) {
  const std::string path = directory_ + "/later/audit.log";
  log_.write_to(path);
  log_.write(entry("lost"));
  log_.write(entry("lost"));
  std::filesystem::create_directory(directory_ + "/later");
  log_.write(entry("kept"));
  EXPECT_EQ(commands_in(path), Commands{"kept"});
  EXPECT_EQ(log_.lost(), 2U);
  EXPECT_EQ(errors(), 1U);
  EXPECT_TRUE(std::ranges::any_of(
      logged_, [](const std::string& line) { return line.contains("2 lines are missing"); }));
}

// A limit in the middle of a line: what follows, of a later daemon as well, is whole again.
TEST_F(AuditLogTest, HalfALineSpoilsNoOther) {
  std::signal(SIGXFSZ, SIG_IGN);
  log_.write_to(path_);
  log_.write(entry("first"));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = std::filesystem::file_size(path_) + 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  log_.write(entry("torn"));
  log_.write(entry("lost"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  AuditLog later;
  later.write_to(path_);
  later.write(entry("later"));
  log_.write(entry("last"));
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(commands_in(path_), (Commands{"first", "later", "last"}));
  EXPECT_EQ(log_.lost(), 2U);
  EXPECT_EQ(later.lost(), 0U);
}

// Nobody reads it: opening it to write would wait without end.
TEST_F(AuditLogTest, APipeHoldsNothingUp) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  log_.write_to(path_);
  log_.write(entry("lost"));
  EXPECT_EQ(log_.lost(), 1U);
  EXPECT_FALSE(last_audit_lines(path_, 1).has_value());
}

TEST_F(AuditLogTest, TheEndOfALongLogIsRead) {
  log_.write_to(path_);
  AuditEntry large = entry("large");
  large.changes.assign(100, std::string(1000, 'z'));
  for (int i = 0; i < 200; ++i)
    log_.write(large);
  for (int i = 0; i < 30; ++i)
    log_.write(entry(std::to_string(i)));
  ASSERT_GT(std::filesystem::file_size(path_), 16U << 20);
  EXPECT_EQ(commands_in(path_, 3), (Commands{"27", "28", "29"}));
  EXPECT_LT(commands_in(path_, 1000).size(), 230U) << "as much as is bounded";
  EXPECT_GT(commands_in(path_, 1000).size(), 60U);
}

TEST(AuditText, ArgumentsAreToldApartWhateverTheyHold) {
  EXPECT_EQ(command_text("backend edit", json::parse(R"({"service": "web", "weight": 5,
                         "backend": "[fd00::1]:80", "on": true, "drain_deadline_s": null})")
                                             .as_object()),
            "backend edit service=web weight=5 backend=[fd00::1]:80 on=true "
            "drain_deadline_s=null");
  EXPECT_EQ(
      command_text("zero", json::parse(R"({"service": "web weight=7\n\"", "": 1})").as_object()),
      R"(zero service="web weight=7\n\"" ""=1)");
}

TEST(UserNames, FollowTheFile) {
  std::array<char, 40> name{"/tmp/headgate-passwd-XXXXXX"};
  close(mkstemp(name.data()));
  UserNames names(name.data());
  EXPECT_EQ(names.find(7), "");
  std::ofstream(name.data()) << "root:x:0:0::/:/bin/sh\nseven:x:7:7::/:/bin/sh\n";
  const timespec later[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, name.data(), later, 0), 0);
  EXPECT_EQ(names.find(7), "seven");
  EXPECT_EQ(names.find(8), "");
  unlink(name.data());
  EXPECT_EQ(names.find(7), "");
}

}  // namespace
}  // namespace headgate::control
