// A fuzz target's corpus, replayed by a test program that it is linked into: each input as it is,
// and cut short with bytes changed. The target aborts with a message when a promise is broken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace headgate::test {

inline int run_fuzz_target(const std::string& input) {
  return LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

// Of tests/fuzz/corpus/FOLDER.
inline std::vector<std::string> fuzz_corpus(const std::string& folder) {
  std::vector<std::string> inputs;
  const std::string directory = std::string(HEADGATE_SOURCE_ROOT) + "/tests/fuzz/corpus/" + folder;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

inline void replay(const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs)
    EXPECT_EQ(run_fuzz_target(input), 0);
}

inline void replay_changed(const std::vector<std::string>& inputs) {
  std::mt19937 random(3);  // NOLINT(bugprone-random-generator-seed): tests repeat
  for (const std::string& input : inputs) {
    for (int i = 0; i < 200; ++i) {
      std::string changed = input.substr(0, random() % (input.size() + 1));
      for (size_t j = 0; !changed.empty() && j < 1 + random() % 3; ++j) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      EXPECT_EQ(run_fuzz_target(changed), 0);
    }
  }
}

}  // namespace headgate::test
