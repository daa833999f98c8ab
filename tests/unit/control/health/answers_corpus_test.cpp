// Replays the corpus of the answers' fuzzer, and each of its inputs cut short and with bytes
// changed.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/fuzz_corpus.h"

namespace headgate::control {
namespace {

TEST(AnswersCorpus, KeepsItsPromises) {
  const std::vector<std::string> inputs = test::fuzz_corpus("health");
  EXPECT_GE(inputs.size(), 20U);
  test::replay(inputs);
}

TEST(AnswersCorpus, CutShortOrChangedItKeepsThem) {
  test::replay_changed(test::fuzz_corpus("health"));
}

}  // namespace
}  // namespace headgate::control
