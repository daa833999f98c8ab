// KernelWatch on a real event loop.
#include "control/kernel_watch.h"

#include <chrono>
#include <memory>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <net/if.h>

#include "tests/e2e/namespaces.h"

namespace headgate::control {
namespace {

using test::Inside;
using test::NetNamespace;

class Watch : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    host.sh("ip link add twin0 type veth peer name far0 netns " + far.path());
    host.sh("ip link set twin0 up; ip address add 192.0.2.1/24 dev twin0");
    far.sh("ip link set far0 up; ip address add 192.0.2.2/24 dev far0");
    const Inside inside(host.fd());
    const int indexes[] = {static_cast<int>(if_nametoindex("twin0"))};
    auto mirror = KernelMirror::open(indexes);
    ASSERT_TRUE(mirror) << mirror.error().text;
    watch = std::make_unique<KernelWatch>(loop, std::move(*mirror),
                                          [this](const KernelState&, KernelParts parts) {
                                            ++calls;
                                            changed |= parts;
                                          });
  }
  void run_for(std::chrono::milliseconds time) {
    loop.restart();
    loop.run_for(time);
  }
  bool run_until(const std::function<bool()>& condition) {
    return test::eventually([&] {
      run_for(std::chrono::milliseconds(5));
      return condition();
    });
  }

  NetNamespace host;
  NetNamespace far;
  boost::asio::io_context loop;
  int calls = 0;
  KernelParts changed;
  std::unique_ptr<KernelWatch> watch;
};

TEST_F(Watch, TellsOfChangesAndIsSilentOtherwise) {
  run_for(std::chrono::milliseconds(100));
  calls = 0;
  run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(calls, 0);
  host.sh("ip route add 10.1.0.0/16 via 192.0.2.254");
  EXPECT_TRUE(run_until([&] { return changed.routes; }));
  EXPECT_FALSE(changed.neighbours);
}

TEST_F(Watch, ResolvesOnDemand) {
  const NeighbourKey wanted{0, net::parse_ip("192.0.2.2").value()};
  watch->resolve(wanted);
  EXPECT_TRUE(run_until([&] { return !watch->state().neighbours.empty(); }));
  EXPECT_TRUE(changed.neighbours);
}

TEST_F(Watch, KeepsFreshWithoutBeingPolled) {
  const NeighbourKey wanted[] = {{0, net::parse_ip("192.0.2.2").value()}};
  watch->keep_fresh(wanted);
  EXPECT_TRUE(run_until([&] { return !watch->state().neighbours.empty(); }));
}

TEST_F(Watch, CallsNobodyAfterItsEnd) {
  run_for(std::chrono::milliseconds(50));
  host.sh("ip route add 10.1.0.0/16 via 192.0.2.254");
  calls = 0;
  watch.reset();
  run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(loop.stopped());  // nothing of it keeps the loop busy
}

TEST_F(Watch, MayBeEndedByItsOwnCallback) {
  const Inside inside(host.fd());
  const int indexes[] = {static_cast<int>(if_nametoindex("twin0"))};
  auto mirror = KernelMirror::open(indexes);
  ASSERT_TRUE(mirror);
  std::unique_ptr<KernelWatch> second;
  second = std::make_unique<KernelWatch>(loop, std::move(*mirror),
                                         [&](const KernelState&, KernelParts) { second.reset(); });
  host.sh("ip route add 10.2.0.0/16 via 192.0.2.254");
  EXPECT_TRUE(run_until([&] { return second == nullptr; }));
}

}  // namespace
}  // namespace headgate::control
