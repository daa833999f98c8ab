#include <csignal>

#include "tests/support/probe_fixture.h"
#include "tests/support/test_certificates.h"

namespace headgate::control {
namespace {

using config::CheckType;
using test::Identity;
using test::make_identity;
using test::Peer;
using test::TcpServer;
using test::TlsPeer;

const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

class HttpsProbe : public test::ProbeTest {
 protected:
  HttpsProbe() {
    std::signal(SIGPIPE, SIG_IGN);  // of SSL_write to a probe that has gone
    write("ca.pem", authority.pem());
  }

  [[nodiscard]] config::Check verifying(const std::string& server_name) const {
    config::Check check = check_of(CheckType::https);
    check.http.verify = true;
    check.http.ca_file = path("ca.pem");
    check.http.server_name = server_name;
    return check;
  }
  // Asks a server of this identity.
  ProbeOutcome ask(const config::Check& check, const Identity& identity,
                   const std::string& body = answer) {
    const test::ServerContext context = test::make_server_context(identity);
    TcpServer server([&](const Peer& peer) {
      const TlsPeer tls(peer, context.get());
      if (!tls.accept()) return;
      server_name = tls.server_name();
      request = tls.receive();
      tls.send(body);
      if (says_farewell) tls.end();
    });
    return probe(check, target(server.port()));
  }
  ProbeOutcome ask_plain(const TcpServer::Talk& talk, uint32_t timeout_ms = 10000) {
    TcpServer server(talk);
    port = server.port();
    return probe(check_of(CheckType::https, timeout_ms), target(port));
  }
  [[nodiscard]] std::string name() const { return "127.0.0.1:" + std::to_string(port); }

  Identity authority = make_identity({.common_name = "Authority", .is_authority = true});
  Identity good = make_identity(
      {.common_name = "good", .names = "DNS:www.example.org, IP:127.0.0.1"}, &authority);
  bool says_farewell = true;
  std::optional<std::string> server_name;
  std::string request;
  uint16_t port = 0;
};

TEST_F(HttpsProbe, GetsAPageWhateverTheCertificate) {
  const Identity own = make_identity({.common_name = "own"});
  const ProbeOutcome outcome = ask(check_of(CheckType::https), own);
  EXPECT_TRUE(outcome.up);
  EXPECT_EQ(outcome.reason, "status 200");
  EXPECT_TRUE(request.starts_with("GET / HTTP/1.1\r\n")) << request;
  EXPECT_FALSE(server_name) << "an address is not asked for by name";
}

TEST_F(HttpsProbe, AsksForItsServerName) {
  config::Check check = check_of(CheckType::https);
  check.http.host = "www.example.org:8443";
  EXPECT_TRUE(ask(check, good).up);
  EXPECT_EQ(server_name, "www.example.org") << "the host's, by default";
  check.http.server_name = "sni.example.org";
  EXPECT_TRUE(ask(check, good).up);
  EXPECT_EQ(server_name, "sni.example.org");
  EXPECT_NE(request.find("\r\nHost: www.example.org:8443\r\n"), std::string::npos) << request;
}

TEST_F(HttpsProbe, VerifiesTheCertificateAndItsName) {
  EXPECT_TRUE(ask(verifying("www.example.org"), good).up);
  EXPECT_TRUE(ask(verifying("127.0.0.1"), good).up) << "by address";
  config::Check by_target = verifying("");
  by_target.http.server_name.reset();
  EXPECT_TRUE(ask(by_target, good).up) << "the address that is asked";
  EXPECT_EQ(ask(verifying("mail.example.org"), good).reason,
            "certificate: hostname mismatch, mail.example.org is not in it");
  EXPECT_EQ(ask(verifying("127.0.0.2"), good).reason,
            "certificate: IP address mismatch, 127.0.0.2 is not in it");
}

TEST_F(HttpsProbe, TellsWhatIsWrongWithACertificate) {
  const Identity own = make_identity({.common_name = "own", .names = "DNS:www.example.org"});
  EXPECT_EQ(ask(verifying("www.example.org"), own).reason, "certificate: self-signed certificate");
  const Identity old = make_identity({.common_name = "old",
                                      .names = "DNS:www.example.org",
                                      .valid_from_s = -7200,
                                      .valid_to_s = -3600},
                                     &authority);
  EXPECT_EQ(ask(verifying("www.example.org"), old).reason, "certificate: certificate has expired");
  const Identity early = make_identity({.common_name = "early",
                                        .names = "DNS:www.example.org",
                                        .valid_from_s = 3600,
                                        .valid_to_s = 7200},
                                       &authority);
  EXPECT_EQ(ask(verifying("www.example.org"), early).reason,
            "certificate: certificate is not yet valid");
  config::Check by_system = verifying("www.example.org");
  by_system.http.ca_file.reset();
  EXPECT_EQ(ask(by_system, good).reason, "certificate: unable to get local issuer certificate");
}

TEST_F(HttpsProbe, TakesANewCaFileWhenItIsMadeAgain) {
  EXPECT_TRUE(ask(verifying("www.example.org"), good).up);
  const auto still_there = prober_for(verifying("www.example.org"), target(443));
  const Identity other = make_identity({.common_name = "Another one", .is_authority = true});
  write("ca.pem", other.pem());
  EXPECT_FALSE(ask(verifying("www.example.org"), good).up);
}

TEST_F(HttpsProbe, ReadsAPageToTheConnectionsEnd) {
  config::Check check = check_of(CheckType::https);
  config::CheckUrl url;
  url.digest = "5d41402abc4b2a76b9719d911017c592";
  check.http.urls = {url};
  for (const bool farewell : {true, false}) {
    says_farewell = farewell;
    const ProbeOutcome outcome = ask(check, good, "HTTP/1.1 200 OK\r\n\r\nhello");
    EXPECT_TRUE(outcome.up) << outcome.reason;
  }
}

TEST_F(HttpsProbe, TellsOfServersWithoutTls) {
  EXPECT_EQ(ask_plain([](const Peer& peer) {
              peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
              peer.wait_for_end();
            }).reason,
            "TLS: wrong version number (SSL routines)");
  const ProbeOutcome closed = ask_plain([](const Peer& peer) { (void)peer.receive_until("\1"); });
  EXPECT_EQ(closed.reason, name() + " closed the connection during the TLS handshake");
  const ProbeOutcome reset = ask_plain([](const Peer& peer) {
    (void)peer.receive_until("\1");
    peer.reset_at_end();
  });
  EXPECT_EQ(reset.reason, name() + " reset the connection");
}

TEST_F(HttpsProbe, TellsOfAnAlert) {
  const test::ServerContext context = test::make_server_context(good);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), "DHE-RSA-AES128-GCM-SHA256");
  const ProbeOutcome outcome = ask_plain([&](const Peer& peer) {
    (void)TlsPeer(peer, context.get()).accept();
    peer.wait_for_end();
  });
  EXPECT_EQ(outcome.reason, "TLS: sslv3 alert handshake failure (SSL routines)")
      << "numbers of any length that a server likes are not reckoned with";
}

TEST_F(HttpsProbe, EndsInTimeWithSilentServers) {
  const ProbeOutcome silent = ask_plain([](const Peer& peer) { peer.wait_for_end(); }, short_ms);
  EXPECT_EQ(silent.reason, "TLS handshake with " + name() + " timed out after 300 ms");
  const test::ServerContext context = test::make_server_context(good);
  const ProbeOutcome later = ask_plain(
      [&](const Peer& peer) {
        const TlsPeer tls(peer, context.get());
        (void)tls.accept();
        peer.wait_for_end();
      },
      1000);
  EXPECT_EQ(later.reason, "no answer from " + name() + " within 1 s");
}

TEST_F(HttpsProbe, ClosesItsSocketWhenCancelledInTheHandshake) {
  TcpServer server([&](const Peer& peer) { peer.wait_for_end(); });
  expect_cancellation(check_of(CheckType::https), target(server.port()),
                      [&] { return server.connections() > 0; });
}

TEST_F(HttpsProbe, NeedsACaFileThatCanBeRead) {
  const auto error_of = [](const config::Check& check) {
    const auto prober = make_prober(check, target(443));
    return prober ? std::string("none") : prober.error().text;
  };
  config::Check check = verifying("a");
  check.http.ca_file = path("none.pem");
  EXPECT_EQ(error_of(check), "ca_file " + path("none.pem") + ": No such file or directory");
  write("garbage.pem", "no certificate");
  check.http.ca_file = path("garbage.pem");
  EXPECT_TRUE(error_of(check).starts_with("ca_file " + path("garbage.pem") +
                                          ": no certificates in PEM to be had from it"))
      << error_of(check);
}

}  // namespace
}  // namespace headgate::control
