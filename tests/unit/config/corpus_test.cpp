// Replays the fuzzer's corpus, and the examples cut short at every byte and with bytes changed.
#include <filesystem>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/config/support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace headgate::config {
namespace {

// Aborts with a message when the input breaks a promise of the reader.
int run(const std::string& text) {
  return LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

TEST(Corpus, KeepsItsPromises) {
  size_t count = 0;
  const std::string directory = std::string(HEADGATE_SOURCE_ROOT) + "/tests/fuzz/corpus/config";
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    SCOPED_TRACE(name);
    EXPECT_EQ(run(source_file("tests/fuzz/corpus/config/" + name)), 0);
    ++count;
  }
  EXPECT_GE(count, 20U);
}

TEST(Corpus, AnExampleCutShortAnywhereKeepsItsPromises) {
  const std::string text = source_file("config/examples/ipip.yaml");
  ASSERT_FALSE(text.empty());
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(run(text.substr(0, length)), 0) << length;
  }
}

TEST(Corpus, AnExampleWithBytesChangedKeepsItsPromises) {
  const std::string text = source_file("config/examples/everything.yaml");
  ASSERT_FALSE(text.empty());
  std::mt19937 random(6);  // NOLINT(bugprone-random-generator-seed): tests repeat
  std::uniform_int_distribution<size_t> place(0, text.size() - 1);
  constexpr std::string_view bytes = "\n :-[]{},&*!|>'\"%@`#0159aZ~\t\xff";
  std::uniform_int_distribution<size_t> byte(0, bytes.size() - 1);
  for (int i = 0; i < 500; ++i) {
    std::string changed = text;
    for (int j = 0; j <= i % 4; ++j)
      changed[place(random)] = bytes[byte(random)];
    EXPECT_EQ(run(changed), 0);
  }
}

}  // namespace
}  // namespace headgate::config
