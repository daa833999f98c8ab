// Replays the fuzzer's corpus, and the configurations of the manuals cut short at every byte and
// with bytes and lines changed.
#include <algorithm>
#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/config/support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace headgate::config {
namespace {

int run(const std::string& text) {
  return LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

std::string sample(const std::string& name) {
  std::string text = source_file("tests/unit/config/data/keepalived/" + name);
  EXPECT_FALSE(text.empty()) << name;
  return text;
}

TEST(KeepalivedCorpus, KeepsItsPromises) {
  size_t count = 0;
  const std::string folder = "tests/fuzz/corpus/keepalived/";
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(HEADGATE_SOURCE_ROOT) + "/" + folder)) {
    EXPECT_EQ(run(source_file(folder + entry.path().filename().string())), 0) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 10U);
}

TEST(KeepalivedCorpus, AFileCutShortAnywhereKeepsItsPromises) {
  for (const char* name : {"dr_master.conf", "haproxy.conf"}) {
    const std::string text = sample(name);
    for (size_t length = 0; length < text.size(); length += 3) {
      EXPECT_EQ(run(text.substr(0, length)), 0) << length;
    }
  }
}

TEST(KeepalivedCorpus, AFileWithBytesChangedKeepsItsPromises) {
  const std::string text =
      sample("lvs_http.conf") + source_file("tests/fuzz/corpus/keepalived/everything");
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): tests repeat
  std::uniform_int_distribution<size_t> place(0, text.size() - 1);
  constexpr std::string_view bytes = "\n {}#!\"'\\$@~=-0159aZ.\t\xff\x01";
  std::uniform_int_distribution<size_t> byte(0, bytes.size() - 1);
  for (int i = 0; i < 300; ++i) {
    std::string changed = text;
    for (int j = 0; j <= i % 6; ++j)
      changed[place(random)] = bytes[byte(random)];
    EXPECT_EQ(run(changed), 0);
  }
}

TEST(KeepalivedCorpus, AFileWithLinesMovedAndLostKeepsItsPromises) {
  std::istringstream stream(sample("lvs_tcp.conf") +
                            source_file("tests/fuzz/corpus/keepalived/everything"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line + "\n");
  std::mt19937 random(8);  // NOLINT(bugprone-random-generator-seed): tests repeat
  std::uniform_int_distribution<size_t> place(0, lines.size() - 1);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::string> changed = lines;
    std::swap(changed[place(random)], changed[place(random)]);
    changed[place(random)].clear();
    std::string text;
    for (const std::string& line : changed)
      text += line;
    EXPECT_EQ(run(text), 0);
  }
}

}  // namespace
}  // namespace headgate::config
