#include "control/health/byte_pattern.h"
#include "tests/support/probe_fixture.h"

namespace headgate::control {
namespace {

using config::CheckType;
using test::UdpServer;
using Replies = std::vector<std::string>;

class UdpProbe : public test::ProbeTest {
 protected:
  static config::Check wanting_reply(uint32_t timeout_ms = 10000) {
    config::Check check = check_of(CheckType::udp, timeout_ms);
    check.udp.require_reply = true;
    return check;
  }
};

TEST_F(UdpProbe, SendsItsPayloadAndTakesTheReplyItExpects) {
  UdpServer server([](const std::string& question) {
    return question == std::string(
                           "\x01\x02"
                           "ab",
                           4)
               ? Replies{"pong 17"}
               : Replies{"what?"};
  });
  config::Check check = wanting_reply();
  check.udp.send = "hex:01 02 6162";
  check.udp.expect = "pong";
  ProbeOutcome outcome = probe(check, target(server.port()));
  EXPECT_TRUE(outcome.up);
  EXPECT_EQ(outcome.reason, "a reply of 7 bytes");
  check.udp.send = "ping";
  outcome = probe(check, target(server.port()));
  EXPECT_FALSE(outcome.up);
  EXPECT_EQ(outcome.reason, "a reply other than expected: 5 bytes, 77 68 61 74 3f");
}

TEST_F(UdpProbe, SendsAnEmptyDatagramByDefault) {
  UdpServer server(
      [](const std::string& question) { return question.empty() ? Replies{""} : Replies{}; },
      "::1");
  EXPECT_EQ(probe(wanting_reply(), target(server.port(), "::1")).reason, "a reply of 0 bytes");
}

TEST_F(UdpProbe, BoundsTheReplysLength) {
  UdpServer server([](const std::string&) { return Replies{std::string(9000, 'x')}; });
  config::Check check = wanting_reply();
  check.udp.min_reply_bytes = check.udp.max_reply_bytes = 9000;
  check.udp.expect = std::string(200, 'x');
  EXPECT_TRUE(probe(check, target(server.port())).up);
  check.udp.max_reply_bytes = 9001;
  check.udp.min_reply_bytes = 9001;
  EXPECT_EQ(probe(check, target(server.port())).reason,
            "a reply of 9000 bytes, expected 9001 to 9001");
  check.udp.min_reply_bytes = 0;
  check.udp.max_reply_bytes = 8999;
  EXPECT_FALSE(probe(check, target(server.port())).up);
}

TEST_F(UdpProbe, TakesAPortThatIsClosedForDown) {
  uint16_t port = 0;
  {
    port = UdpServer([](const std::string&) { return Replies{}; }).port();
  }
  const std::string name = "127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(probe(check_of(CheckType::udp), target(port)).reason, name + ": port unreachable");
  EXPECT_FALSE(probe(wanting_reply(), target(port)).up);
  EXPECT_EQ(probe(check_of(CheckType::udp), target(port, "::1")).reason,
            "[::1]:" + std::to_string(port) + ": port unreachable");
}

TEST_F(UdpProbe, TakesSilenceForUpUnlessAReplyIsRequired) {
  UdpServer server([](const std::string&) { return Replies{}; });
  ProbeOutcome outcome = probe(check_of(CheckType::udp, short_ms), target(server.port()));
  EXPECT_TRUE(outcome.up);
  EXPECT_EQ(outcome.reason, "no error within 300 ms");
  outcome = probe(wanting_reply(short_ms), target(server.port()));
  EXPECT_FALSE(outcome.up);
  EXPECT_EQ(outcome.reason,
            "no answer from 127.0.0.1:" + std::to_string(server.port()) + " within 300 ms");
}

TEST_F(UdpProbe, TakesAHostThatCannotBeReachedForDown) {
  ASSERT_EQ(std::system("ip route add unreachable 10.66.0.0/16"), 0);
  EXPECT_EQ(probe(check_of(CheckType::udp), target(9, "10.66.0.1")).reason,
            "10.66.0.1:9: No route to host");
  ASSERT_EQ(std::system("ip route del unreachable 10.66.0.0/16"), 0);
}

TEST_F(UdpProbe, DoesNotHearAnotherSocket) {
  UdpServer server([](const std::string&) { return Replies{"pong"}; });
  server.from_elsewhere = true;
  EXPECT_FALSE(probe(wanting_reply(short_ms), target(server.port())).up);
}

TEST_F(UdpProbe, ClosesItsSocketWhenCancelled) {
  UdpServer server([](const std::string&) { return Replies{}; });
  expect_cancellation(wanting_reply(), target(server.port()),
                      [&] { return server.questions() > 0; });
}

TEST_F(UdpProbe, RefusesPatternsThatAreNone) {
  config::Check check = check_of(CheckType::udp);
  for (const char* const send : {"hex:1", "hex:1 2", "hex:zz", "hex:0X", "hex:0x01"}) {
    check.udp.send = send;
    EXPECT_FALSE(make_prober(check, target(9))) << send;
  }
  check.udp.send = "hex:";
  EXPECT_TRUE(make_prober(check, target(9))) << "no byte at all";
}

TEST(BytePattern, TakesXForAnyDigit) {
  const auto pattern = BytePattern::parse("hex:1X X2 XX fF");
  ASSERT_TRUE(pattern);
  const auto matches = [&](std::vector<uint8_t> bytes) { return pattern->matches(bytes); };
  EXPECT_TRUE(matches({0x10, 0x02, 0x77, 0xff}));
  EXPECT_TRUE(matches({0x1f, 0xf2, 0x00, 0xff, 0x01})) << "only the beginning has to match";
  EXPECT_FALSE(matches({0x20, 0x02, 0x77, 0xff}));
  EXPECT_FALSE(matches({0x10, 0x03, 0x77, 0xff}));
  EXPECT_FALSE(matches({0x10, 0x02, 0x77})) << "shorter";
}

TEST(BytePattern, TakesTextAsItIs) {
  const auto pattern = BytePattern::parse("heX:12");
  ASSERT_TRUE(pattern);
  EXPECT_EQ(pattern->size(), 6U);
  EXPECT_FALSE(pattern->has_wildcards());
}

}  // namespace
}  // namespace headgate::control
