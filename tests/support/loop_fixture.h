// What tests of programs on an event loop share: a folder of their own, a loop that turns until a
// condition holds, and a look at the children that there are.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "control/log.h"

namespace headgate::test {

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Children of this process that are not reaped, dead ones too.
inline int count_children() {
  const std::string parent = std::to_string(getpid());
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string stat = read_text(entry.path() / "stat");
    const size_t comm_end = stat.rfind(") ");
    if (comm_end == std::string::npos) continue;
    std::istringstream rest(stat.substr(comm_end + 2));
    std::string state;
    std::string ppid;
    rest >> state >> ppid;
    if (ppid == parent) ++count;
  }
  return count;
}

class LoopTest : public testing::Test {
 protected:
  LoopTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "headgate-test-XXXXXX";
    folder = mkdtemp(pattern.data());
    control::Log::get().set_sink(
        [this](std::string_view line) { log += std::string(line) + "\n"; });
  }
  ~LoopTest() override {
    control::Log::get().set_sink({});
    std::filesystem::remove_all(folder);
  }

  // Turns the loop until the condition holds; false: it did not within the bound.
  bool run_until(const std::function<bool()>& condition,
                 std::chrono::seconds bound = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + bound;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop.restart();
      loop.run_one_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  [[nodiscard]] std::string path(const std::string& name) const { return folder + "/" + name; }
  [[nodiscard]] std::string text(const std::string& name) const { return read_text(path(name)); }
  void write(const std::string& name, std::string_view content) const {
    std::ofstream(path(name)) << content;
  }
  // An executable shell script; $dir is the test's folder.
  [[nodiscard]] std::string script(const std::string& name, const std::string& body) const {
    write(name, "#!/bin/sh\ndir=" + folder + "\n" + body + "\n");
    std::filesystem::permissions(path(name), std::filesystem::perms(0755));
    return path(name);
  }

  std::string folder;
  std::string log;
  boost::asio::io_context loop;
};

}  // namespace headgate::test
