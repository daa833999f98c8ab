// Replays the corpus of the packet path's fuzzer, as it is and with bytes changed.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace headgate::tests {
namespace {

using Bytes = std::vector<uint8_t>;

// By name, so that a failure comes again.
std::vector<std::filesystem::path> corpus() {
  const std::filesystem::path folder = HEADGATE_SOURCE_ROOT "/tests/fuzz/corpus/pipeline";
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

Bytes contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Aborts with a message when the packet path breaks a promise.
int run(const Bytes& bytes) {
  return LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

TEST(PipelineCorpus, KeepsItsPromises) {
  const auto files = corpus();
  EXPECT_GE(files.size(), 10U);
  for (const auto& path : files) {
    SCOPED_TRACE(path.filename());
    EXPECT_EQ(run(contents(path)), 0);
  }
}

TEST(PipelineCorpus, WithBytesChangedKeepsItsPromises) {
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): tests repeat
  for (const auto& path : corpus()) {
    SCOPED_TRACE(path.filename());
    const Bytes original = contents(path);
    ASSERT_FALSE(original.empty());
    for (int i = 0; i < 20; ++i) {
      Bytes changed = original;
      for (int j = 0; j <= i % 4; ++j)
        changed[random() % changed.size()] = static_cast<uint8_t>(random());
      EXPECT_EQ(run(changed), 0);
    }
  }
}

}  // namespace
}  // namespace headgate::tests
