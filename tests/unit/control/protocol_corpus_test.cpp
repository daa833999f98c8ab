// Replays the corpus of the protocol's fuzzer, and each of its streams cut short and with bytes
// changed.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/fuzz_corpus.h"

namespace headgate::control {
namespace {

TEST(ProtocolCorpus, KeepsItsPromises) {
  const std::vector<std::string> inputs = test::fuzz_corpus("control");
  EXPECT_GE(inputs.size(), 20U);
  test::replay(inputs);
}

TEST(ProtocolCorpus, StreamsCutShortOrChangedKeepThePromises) {
  test::replay_changed(test::fuzz_corpus("control"));
}

}  // namespace
}  // namespace headgate::control
