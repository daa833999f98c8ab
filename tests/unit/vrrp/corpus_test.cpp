// Replays the corpus of the advert's fuzzer, and each of its inputs cut short and with bytes
// changed.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace headgate::vrrp {
namespace {

// Aborts with a message when a promise is broken.
int run(const std::string& input) {
  return LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::vector<std::string> corpus() {
  std::vector<std::string> inputs;
  const std::string directory = std::string(HEADGATE_SOURCE_ROOT) + "/tests/fuzz/corpus/vrrp";
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

TEST(AdvertCorpus, KeepsItsPromises) {
  const std::vector<std::string> inputs = corpus();
  EXPECT_GE(inputs.size(), 20U);
  for (const std::string& input : inputs)
    EXPECT_EQ(run(input), 0);
}

TEST(AdvertCorpus, CutShortOrChangedItKeepsThem) {
  std::mt19937 random(3);  // NOLINT(bugprone-random-generator-seed): tests repeat
  for (const std::string& input : corpus()) {
    for (int i = 0; i < 200; ++i) {
      std::string changed = input.substr(0, random() % (input.size() + 1));
      for (size_t j = 0; !changed.empty() && j < 1 + random() % 3; ++j) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      EXPECT_EQ(run(changed), 0);
    }
  }
}

}  // namespace
}  // namespace headgate::vrrp
