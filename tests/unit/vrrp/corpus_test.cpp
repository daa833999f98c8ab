// Replays the corpus of the advert's fuzzer, and each of its inputs cut short and with bytes
// changed.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/fuzz_corpus.h"

namespace headgate::vrrp {
namespace {

TEST(AdvertCorpus, KeepsItsPromises) {
  const std::vector<std::string> inputs = test::fuzz_corpus("vrrp");
  EXPECT_GE(inputs.size(), 20U);
  test::replay(inputs);
}

TEST(AdvertCorpus, CutShortOrChangedItKeepsThem) {
  test::replay_changed(test::fuzz_corpus("vrrp"));
}

}  // namespace
}  // namespace headgate::vrrp
