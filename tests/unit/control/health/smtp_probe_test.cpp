#include "control/health/smtp_reply.h"
#include "tests/support/probe_fixture.h"

namespace headgate::control {
namespace {

using config::CheckType;
using test::Peer;
using test::TcpServer;

class SmtpProbe : public test::ProbeTest {
 protected:
  // Asks a server of this talk.
  ProbeOutcome ask(const TcpServer::Talk& talk, uint32_t timeout_ms = 10000) {
    TcpServer server(talk);
    port = server.port();
    return probe(check_of(CheckType::smtp, timeout_ms), target(port));
  }
  [[nodiscard]] std::string name() const { return "127.0.0.1:" + std::to_string(port); }
  uint16_t port = 0;
};

TEST_F(SmtpProbe, GreetsAndTakesItsLeave) {
  std::string hello;
  std::string quit;
  const ProbeOutcome outcome = ask([&](const Peer& peer) {
    peer.send("220-mail.example.org\r\n220 ready\r\n");
    hello = peer.receive_until("\r\n");
    peer.send("250-mail.example.org\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n");
    quit = peer.receive_until("\r\n");
    peer.send("221 bye\r\n");
  });
  EXPECT_TRUE(outcome.up);
  EXPECT_EQ(outcome.reason, "greeted with 250");
  EXPECT_EQ(hello, "EHLO localhost\r\n");
  EXPECT_EQ(quit, "QUIT\r\n");
}

TEST_F(SmtpProbe, GreetsOldServersWithHelo) {
  std::string hello;
  const ProbeOutcome outcome = ask([&](const Peer& peer) {
    peer.send("220 ready\r\n");
    (void)peer.receive_until("\r\n");
    peer.send("500 what?\r\n");
    hello = peer.receive_until("\r\n");
    peer.send("250 hello\r\n");
    (void)peer.receive_until("\r\n");
  });
  EXPECT_TRUE(outcome.up) << outcome.reason;
  EXPECT_EQ(hello, "HELO localhost\r\n");
}

TEST_F(SmtpProbe, IsUpThoughTheFarewellIsNotAnswered) {
  const ProbeOutcome outcome = ask([&](const Peer& peer) {
    peer.send("220 ready\r\n");
    (void)peer.receive_until("\r\n");
    peer.send("250 hello\r\n");
    peer.wait_for_end();
  });
  EXPECT_TRUE(outcome.up) << outcome.reason;
}

TEST_F(SmtpProbe, TellsWhatTheServerSaidInstead) {
  EXPECT_EQ(ask([](const Peer& peer) { peer.send("421 too busy\r\n"); }).reason,
            "the greeting: 421 too busy, expected 220");
  EXPECT_EQ(ask([](const Peer& peer) {
              peer.send("220 ready\r\n");
              (void)peer.receive_until("\r\n");
              peer.send("550 not you\r\n");
              (void)peer.receive_until("\r\n");
              peer.send("550 no, \033[0m not you\r\n");
            }).reason,
            "EHLO: 550 no, ?[0m not you, expected 250");
}

TEST_F(SmtpProbe, IsDownForOnesThatAreNoMailServers) {
  EXPECT_EQ(ask([](const Peer& peer) { peer.send("SSH-2.0-OpenSSH\r\n"); }).reason,
            "not a reply of a mail server: `SSH-2.0-OpenSSH`");
  EXPECT_EQ(ask([](const Peer& peer) { peer.send("220-a\r\n250 b\r\n"); }).reason,
            "a reply of two codes, 220 and 250");
  const ProbeOutcome closed = ask([](const Peer& peer) { peer.send("220-a\r\n220"); });
  EXPECT_EQ(closed.reason, name() + " closed the connection");
  const ProbeOutcome reset = ask([](const Peer& peer) {
    peer.send("220 a\r\n");
    (void)peer.receive_until("\r\n");
    peer.reset_at_end();
  });
  EXPECT_EQ(reset.reason, name() + " reset the connection");
}

TEST_F(SmtpProbe, BoundsWhatItReads) {
  const auto endless = [](const std::string& part) {
    return [part](const Peer& peer) {
      while (peer.send(part)) {
      }
    };
  };
  EXPECT_EQ(ask(endless(std::string(1000, '2'))).reason, "a line of more than 2048 bytes");
  EXPECT_EQ(ask(endless("220-again\r\n")).reason, "a reply of more than 256 lines");
}

TEST_F(SmtpProbe, EndsInTimeWithSilentAndSlowServers) {
  const ProbeOutcome silent = ask([](const Peer& peer) { peer.wait_for_end(); }, short_ms);
  EXPECT_EQ(silent.reason, "no answer from " + name() + " within 300 ms");
  const ProbeOutcome slow =
      ask([](const Peer& peer) { peer.send_slowly(std::string(500, '2'), 20); }, short_ms);
  EXPECT_EQ(slow.reason, "the answer of " + name() + " was not complete within 300 ms");
}

TEST_F(SmtpProbe, ClosesItsSocketWhenCancelled) {
  std::atomic<bool> ended = false;
  TcpServer server([&](const Peer& peer) {
    peer.wait_for_end();
    ended = true;
  });
  expect_cancellation(check_of(CheckType::smtp), target(server.port()),
                      [&] { return server.connections() > 0; });
}

TEST_F(SmtpProbe, RefusesANameOfSeveralWords) {
  config::Check check = check_of(CheckType::smtp);
  check.smtp.helo = "a\r\nRCPT";
  EXPECT_FALSE(make_prober(check, target(25)));
}

TEST(SmtpReply, DoesNotDependOnHowTheStreamIsCut) {
  SmtpReplyReader reader;
  for (const char& byte : std::string("250-a\n250-\r\n250\r\n")) {
    const auto before = reader.next();
    ASSERT_TRUE(before && !*before);
    reader.add({&byte, 1});
  }
  const auto reply = reader.next();
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ(**reply, (SmtpReply{250, ""}));
  const auto more = reader.next();
  EXPECT_TRUE(more && !*more);
}

}  // namespace
}  // namespace headgate::control
