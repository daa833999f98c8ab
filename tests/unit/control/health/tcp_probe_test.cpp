#include <fcntl.h>

#include <sys/resource.h>

#include "tests/support/probe_fixture.h"

namespace headgate::control {
namespace {

using config::CheckType;
using test::Peer;
using test::TcpServer;

class TcpProbe : public test::ProbeTest {};

TEST_F(TcpProbe, IsUpWhenAConnectionComesAboutAndResetsIt) {
  std::atomic<int> resets = 0;
  {
    TcpServer server([&](const Peer& peer) { resets += peer.wait_for_reset() ? 1 : 0; });
    const auto prober = prober_for(check_of(CheckType::tcp), target(server.port()));
    for (int i = 1; i <= 20; ++i) {
      const ProbeOutcome outcome = attempt(*prober);
      EXPECT_TRUE(outcome.up) << outcome.reason;
      EXPECT_EQ(outcome.reason, "connected");
      ASSERT_TRUE(run_until([&] { return resets == i; })) << "nothing is left in TIME_WAIT";
    }
  }
}

TEST_F(TcpProbe, AsksServersByIpv6) {
  TcpServer server([](const Peer& peer) { peer.wait_for_end(); }, "::1");
  EXPECT_EQ(probe(check_of(CheckType::tcp), target(server.port(), "::1")).reason, "connected");
}

TEST_F(TcpProbe, IsDownWhenRefused) {
  uint16_t port = 0;
  {
    port = TcpServer([](const Peer&) {}).port();
  }
  const ProbeOutcome outcome = probe(check_of(CheckType::tcp), target(port));
  EXPECT_FALSE(outcome.up);
  EXPECT_TRUE(outcome.asked);
  EXPECT_EQ(outcome.reason, "127.0.0.1:" + std::to_string(port) + " refused the connection");
}

TEST_F(TcpProbe, TimesOutWhereNobodyAnswers) {
  const ProbeOutcome outcome = probe(check_of(CheckType::tcp, short_ms), target(80, "10.9.0.7"));
  EXPECT_FALSE(outcome.up);
  EXPECT_EQ(outcome.reason, "connect to 10.9.0.7:80 timed out after 300 ms");
}

TEST_F(TcpProbe, TellsOfANetworkThatCannotBeReached) {
  const ProbeOutcome outcome = probe(check_of(CheckType::tcp), target(80, "192.0.2.1"));
  EXPECT_FALSE(outcome.up);
  EXPECT_EQ(outcome.reason, "192.0.2.1:80: Network is unreachable");
}

TEST_F(TcpProbe, GoesOutFromTheChecksSource) {
  TcpServer server([](const Peer& peer) { peer.wait_for_end(); });
  config::Check check = check_of(CheckType::tcp);
  check.source = *net::parse_ip("127.0.0.9");
  check.source_port = 5001;
  const auto prober = prober_for(check, target(server.port()));
  // At once again from the same port: there is no connection left in its way.
  for (int i = 0; i < 3; ++i) {
    const ProbeOutcome outcome = attempt(*prober);
    ASSERT_TRUE(outcome.up) << outcome.reason;
    ASSERT_TRUE(run_until([&] { return server.connections() == i + 1; }));
    EXPECT_EQ(server.client(), "127.0.0.9:5001");
  }
  check.source = *net::parse_ip("10.77.0.1");
  EXPECT_EQ(probe(check, target(server.port())).reason,
            "cannot go out from the check's source: Cannot assign requested address (this machine "
            "does not have the address)");
}

TEST_F(TcpProbe, ManyGoOutFromOnePortAtTheSameTime) {
  const auto hold = [](const Peer& peer) { peer.wait_for_end(); };
  TcpServer one(hold);
  config::Check check = check_of(CheckType::tcp, short_ms);
  check.source_port = 5002;
  const auto waiting = prober_for(check, target(80, "10.9.0.7"));
  std::optional<ProbeOutcome> late;
  boost::asio::co_spawn(loop, waiting->run(), [&](std::exception_ptr, ProbeOutcome outcome) {
    late = std::move(outcome);
  });
  EXPECT_EQ(probe(check, target(one.port())).reason, "connected");
  EXPECT_TRUE(run_until([&] { return late.has_value(); }));
  EXPECT_EQ(late->reason, "connect to 10.9.0.7:80 timed out after 300 ms");
}

TEST_F(TcpProbe, GoesOutByTheChecksInterface) {
  TcpServer server([](const Peer& peer) { peer.wait_for_end(); });
  config::Check check = check_of(CheckType::tcp, short_ms);
  check.interface = "lo";
  EXPECT_EQ(probe(check, target(server.port())).reason, "connected");
  check.interface = "void0";
  EXPECT_FALSE(probe(check, target(server.port())).up) << "what goes out there is lost";
  check.interface = "nosuch0";
  EXPECT_EQ(probe(check, target(server.port())).reason, "interface nosuch0: No such device");
}

TEST_F(TcpProbe, MarksItsPackets) {
  ASSERT_EQ(std::system("ip rule add fwmark 7 type unreachable"), 0);
  config::Check check = check_of(CheckType::tcp, short_ms);
  const ProbeTarget asked = target(80, "10.9.0.7");
  EXPECT_EQ(probe(check, asked).reason, "connect to 10.9.0.7:80 timed out after 300 ms");
  check.mark = 7;
  EXPECT_EQ(probe(check, asked).reason, "10.9.0.7:80: Network is unreachable");
  ASSERT_EQ(std::system("ip rule del fwmark 7 type unreachable"), 0);
}

TEST_F(TcpProbe, DoesNotCondemnAServerForWantOfDescriptors) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto prober = prober_for(check_of(CheckType::tcp), target(80));
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const ProbeOutcome outcome = attempt(*prober);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(outcome.asked);
  EXPECT_EQ(outcome.reason, "no socket: Too many open files");
}

TEST_F(TcpProbe, ClosesItsSocketWhenCancelled) {
  const ProbeTarget nobody = target(80, "10.9.0.7");
  const auto before = test::count_descriptors();
  expect_cancellation(check_of(CheckType::tcp), nobody,
                      [&] { return test::count_descriptors() > before; });
}

TEST_F(TcpProbe, EndsWithItsLoop) {
  const auto before = test::count_descriptors();
  const auto prober = prober_for(check_of(CheckType::tcp), target(80, "10.9.0.7"));
  {
    boost::asio::io_context other;
    boost::asio::co_spawn(other, prober->run(),
                          [](const std::exception_ptr&, const ProbeOutcome&) {});
    other.poll();
    EXPECT_GT(test::count_descriptors(), before);
  }
  EXPECT_EQ(test::count_descriptors(), before);
}

TEST_F(TcpProbe, HasToBeToldWhomToAsk) {
  const auto error_of = [](const config::Check& check, const ProbeTarget& asked) {
    const auto prober = make_prober(check, asked);
    return prober ? std::string("none") : prober.error().text;
  };
  config::Check check = check_of(CheckType::tcp);
  EXPECT_EQ(error_of(check, {}), "no address to ask: give the check one");
  EXPECT_EQ(error_of(check, target(0)), "no port to ask: give the check one");
  check.source = *net::parse_ip("::1");
  EXPECT_EQ(error_of(check, target(80)), "source ::1 is of another family than 127.0.0.1");
}

}  // namespace
}  // namespace headgate::control
