#include "control/health/passive_watch.h"

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

class Passive : public testing::Test {
 protected:
  Passive() {
    service.passive = config::Passive{.failures = 3, .window_ms = 1000};
    for (uint32_t i = 1; i <= 2; ++i) {
      config::Backend backend;
      backend.address = net::Ipv4Address::from_host(i);
      service.backends.push_back(backend);
    }
    EXPECT_TRUE(look({100, 50}, 0).empty()) << "what was before does not count";
  }
  std::vector<size_t> look(const std::vector<uint64_t>& failures, int64_t ms) {
    return watch.look(service, failures, ms);
  }
  config::Service service;
  PassiveWatch watch;
};

TEST_F(Passive, SuspectsABackendOnceInAWindow) {
  EXPECT_TRUE(look({102, 50}, 200).empty());
  EXPECT_EQ(look({103, 50}, 400), std::vector<size_t>{0});
  EXPECT_TRUE(look({150, 50}, 600).empty());
  EXPECT_TRUE(look({150, 50}, 1000).empty());
  EXPECT_EQ(look({153, 50}, 1200), std::vector<size_t>{0});
}

TEST_F(Passive, FailuresThatAreFarApartAreNone) {
  for (int64_t i = 1; i < 10; ++i)
    EXPECT_TRUE(look({100 + static_cast<uint64_t>(i), 50}, i * 600).empty());
}

TEST_F(Passive, AnotherBackendInThePlaceBeginsAnew) {
  service.backends[0].address = net::Ipv4Address::from_host(9);
  EXPECT_TRUE(look({900, 50}, 100).empty());
  EXPECT_EQ(look({903, 50}, 200), std::vector<size_t>{0});
}

}  // namespace
}  // namespace headgate::control
