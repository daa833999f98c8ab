#include "tests/support/probe_fixture.h"

namespace headgate::control {
namespace {

using config::CheckType;

class PingProbe : public test::ProbeTest {
 protected:
  // Who may open sockets for pings; the others need raw ones.
  static void allow_groups(const std::string& range) {
    std::ofstream("/proc/sys/net/ipv4/ping_group_range") << range;
  }
  ~PingProbe() override { allow_groups("1 0"); }
};

TEST_F(PingProbe, GetsAnEchoByRawSockets) {
  allow_groups("1 0");
  for (const char* const address : {"127.0.0.1", "10.9.0.1", "::1", "fd09::1"}) {
    const ProbeOutcome outcome = probe(check_of(CheckType::ping), target(0, address));
    EXPECT_TRUE(outcome.up) << address << ": " << outcome.reason;
    EXPECT_EQ(outcome.reason, "echo");
  }
}

TEST_F(PingProbe, GetsAnEchoBySocketsForPings) {
  allow_groups("0 2147483647");
  for (const char* const address : {"127.0.0.1", "::1"}) {
    const ProbeOutcome outcome = probe(check_of(CheckType::ping), target(80, address));
    EXPECT_TRUE(outcome.up) << address << ": " << outcome.reason;
  }
}

TEST_F(PingProbe, IsDownWhereNobodyAnswers) {
  for (const char* const groups : {"1 0", "0 2147483647"}) {
    allow_groups(groups);
    const ProbeOutcome outcome = probe(check_of(CheckType::ping, short_ms), target(0, "10.9.0.7"));
    EXPECT_FALSE(outcome.up);
    EXPECT_EQ(outcome.reason, "no echo from 10.9.0.7 within 300 ms");
  }
}

TEST_F(PingProbe, TellsOfAHostThatCannotBeReached) {
  ASSERT_EQ(std::system("ip route add unreachable 10.66.0.0/16"), 0);
  EXPECT_EQ(probe(check_of(CheckType::ping), target(0, "10.66.0.1")).reason,
            "10.66.0.1: No route to host");
  ASSERT_EQ(std::system("ip route del unreachable 10.66.0.0/16"), 0);
}

TEST_F(PingProbe, ManyAtTheSameTimeHaveEachItsOwnEcho) {
  allow_groups("1 0");
  constexpr int count = 50;
  std::vector<std::unique_ptr<Prober>> probers;
  int up = 0;
  int ended = 0;
  for (int i = 0; i < count; ++i) {
    probers.push_back(prober_for(check_of(CheckType::ping, 5000),
                                 target(0, "127.0.0." + std::to_string(1 + i % 5))));
    boost::asio::co_spawn(loop, probers.back()->run(),
                          [&](std::exception_ptr, ProbeOutcome outcome) {
                            up += outcome.up ? 1 : 0;
                            ++ended;
                          });
  }
  EXPECT_TRUE(run_until([&] { return ended == count; }));
  EXPECT_EQ(up, count);
}

TEST_F(PingProbe, ClosesItsSocketWhenCancelled) {
  const auto before = test::count_descriptors();
  expect_cancellation(check_of(CheckType::ping), target(0, "10.9.0.7"),
                      [&] { return test::count_descriptors() > before; });
}

}  // namespace
}  // namespace headgate::control
