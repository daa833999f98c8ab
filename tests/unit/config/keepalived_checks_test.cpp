// The checkers of a real_server.
#include <gtest/gtest.h>

#include "tests/unit/config/support_keepalived.h"

namespace headgate::config {
namespace {

std::string check_errors(const std::string& block) {
  return errors_of("virtual_server 192.0.2.1 80 {\nprotocol TCP\nreal_server 10.0.0.1 80 {\n" +
                   block + "\n}\n}\n");
}
std::string check_notes(const std::string& block) {
  return notes_of("virtual_server 192.0.2.1 80 {\nprotocol TCP\nreal_server 10.0.0.1 80 {\n" +
                  block + "\n}\n}\n");
}

TEST(KeepalivedChecks, TcpWithAllThatChecksHaveInCommon) {
  const Check check = check_of(R"(
TCP_CHECK {
  connect_ip 10.0.0.5
  connect_port 8081
  bindto 10.0.0.250
  bind_port 4000
  bind_if eth3
  fwmark 9
  connect_timeout 2.5
  retry 4
  delay_before_retry 1.25
  warmup 3
  alpha
})");
  EXPECT_EQ(check.type, CheckType::tcp);
  EXPECT_EQ(check.address, net::parse_ip("10.0.0.5"));
  EXPECT_EQ(check.port, 8081);
  EXPECT_EQ(check.source, net::parse_ip("10.0.0.250"));
  EXPECT_EQ(check.source_port, 4000);
  EXPECT_EQ(check.interface, "eth3");
  EXPECT_EQ(check.mark, 9U);
  EXPECT_EQ(check.interval_ms, 7000U);
  EXPECT_EQ(check.timeout_ms, 2500U);
  EXPECT_EQ(check.retries, 4U);
  EXPECT_EQ(check.retry_delay_ms, 1250U);
  EXPECT_EQ(check.warmup_ms, 3000U);
  EXPECT_EQ(check.start, CheckStart::down);
}

TEST(KeepalivedChecks, OldNamesAreKnown) {
  const Check check = check_of("TCP_CHECK {\ntcp_port 81\nnb_get_retry 3\n}");
  EXPECT_EQ(check.port, 81);
  EXPECT_EQ(check.retries, 3U);
}

TEST(KeepalivedChecks, ACheckerTakesFromItsServerAndThatFromItsService) {
  const Service service = service_of(R"(
delay_loop 6
connect_timeout 4
retry 2
delay_before_retry 3
warmup 0
alpha
virtualhost of.service
real_server 10.0.0.1 80 {
  retry 5
  alpha no
  HTTP_GET {
    url {
      path /
    }
  }
}
real_server 10.0.0.2 80 {
  virtualhost of.server
  delay_loop 9
  HTTP_GET {
    delay_before_retry 1
    virtualhost of.checker
    url {
      path /a
    }
  }
}
)");
  ASSERT_EQ(service.backends.size(), 2U);
  const Check& first = service.backends[0].checks.at(0);
  EXPECT_EQ(first.interval_ms, 6000U);
  EXPECT_EQ(first.timeout_ms, 4000U);
  EXPECT_EQ(first.retries, 5U);
  EXPECT_EQ(first.retry_delay_ms, 3000U);
  EXPECT_EQ(first.warmup_ms, 0U);
  EXPECT_EQ(first.start, CheckStart::up);
  EXPECT_EQ(first.http.host, "of.service");
  const Check& second = service.backends[1].checks.at(0);
  EXPECT_EQ(second.interval_ms, 9000U);
  EXPECT_EQ(second.retries, 2U);
  EXPECT_EQ(second.retry_delay_ms, 1000U);
  EXPECT_EQ(second.start, CheckStart::down);
  EXPECT_EQ(second.http.host, "of.checker");
}

TEST(KeepalivedChecks, HttpWithAllOfAPage) {
  const Check check = check_of(R"(
HTTP_GET {
  http_protocol 1.1
  fast_recovery on
  url {
    path /health?full=1
    status_code 200-299 401 503
    digest 9B3A0C85A887A256D6939DA88AABD8CD
    virtualhost www.example.com
    regex "all is well"
    regex_options caseless dotall
    regex_no_match
  }
  url {
    path /second
  }
})");
  EXPECT_EQ(check.type, CheckType::http);
  EXPECT_EQ(check.retry_delay_ms, 3000U);
  EXPECT_EQ(check.http.version, HttpVersion::http_1_1);
  ASSERT_EQ(check.http.urls.size(), 2U);
  const CheckUrl& url = check.http.urls[0];
  EXPECT_EQ(url.path, "/health?full=1");
  EXPECT_EQ(url.status, (std::vector<StatusRange>{{200, 299}, {401, 401}, {503, 503}}));
  EXPECT_EQ(url.digest, "9b3a0c85a887a256d6939da88aabd8cd");
  EXPECT_EQ(url.host, "www.example.com");
  EXPECT_EQ(url.regex, "(?is)all is well");
  EXPECT_TRUE(url.regex_absent);
  EXPECT_EQ(check.http.urls[1].path, "/second");
  EXPECT_EQ(check_of("HTTP_GET {\nurl {\npath /\n}\n}").http.version, HttpVersion::http_1_0);
}

TEST(KeepalivedChecks, SslIsHttpsWithTheNameInTheHandshake) {
  const Check check = check_of("SSL_GET {\nenable_sni\nurl {\npath /\n}\n}");
  EXPECT_EQ(check.type, CheckType::https);
  EXPECT_FALSE(check.http.verify);
}

TEST(KeepalivedChecks, WithoutAPageTheCheckIsLeftOut) {
  EXPECT_EQ(check_notes("HTTP_GET {\n}"),
            "k.conf:4: HTTP_GET: no url: the check is left out (mistake)\n");
}

TEST(KeepalivedChecks, AScriptMayGiveTheWeight) {
  const Check check = check_of(R"(
MISC_CHECK {
  misc_path "/bin/check 'a b' c" nobody
  misc_timeout 3
  misc_dynamic
  user other group
})");
  EXPECT_EQ(check.type, CheckType::script);
  EXPECT_EQ(check.script.command, "/bin/check 'a b' c");
  EXPECT_EQ(check.script.user, "other:group");
  EXPECT_TRUE(check.script.dynamic_weight);
  EXPECT_EQ(check.timeout_ms, 3000U);
  EXPECT_EQ(check.retries, 0U);
  const Check bare = check_of("MISC_CHECK {\nmisc_path /bin/check\n}");
  EXPECT_EQ(bare.timeout_ms, 7000U);
  EXPECT_NE(check_errors("MISC_CHECK {\n}")
                .find("k.conf:4: services[0].checks[0].script.command: is missing"),
            std::string::npos);
}

TEST(KeepalivedChecks, Dns) {
  const Check bare = check_of("DNS_CHECK {\n}");
  EXPECT_EQ(bare.type, CheckType::dns);
  EXPECT_EQ(bare.dns.type, "SOA");
  EXPECT_EQ(bare.dns.name, ".");
  EXPECT_EQ(bare.retries, 3U);
  EXPECT_EQ(bare.retry_delay_ms, 7000U);
  const Check check = check_of("DNS_CHECK {\ntype txt\nname example.com\nretry 1\n}");
  EXPECT_EQ(check.dns.type, "TXT");
  EXPECT_EQ(check.dns.name, "example.com");
  EXPECT_EQ(check.retries, 1U);
}

TEST(KeepalivedChecks, UdpInHexadecimal) {
  const Check check = check_of(R"(
UDP_CHECK {
  payload Ab12f 3 456 546443123
  require_reply 12 xX 5
  min_reply_length 3
  max_reply_length 100
})");
  EXPECT_EQ(check.type, CheckType::udp);
  EXPECT_EQ(check.udp.send, "hex:Ab 12 0f 03 45 06 54 64 43 12 03");
  EXPECT_EQ(check.udp.expect, "hex:12 XX 05");
  EXPECT_TRUE(check.udp.require_reply);
  EXPECT_EQ(check.udp.min_reply_bytes, 3U);
  EXPECT_EQ(check.udp.max_reply_bytes, 100U);
  EXPECT_EQ(
      check_notes("UDP_CHECK {\nrequire_reply\n}"),
      "k.conf:4: UDP_CHECK: without a payload an empty datagram is sent, and no random one\n");
  EXPECT_EQ(check_errors("UDP_CHECK {\npayload xx\n}"),
            "k.conf:5: payload: is followed by hexadecimal digits\n");
}

TEST(KeepalivedChecks, PingAndSmtp) {
  EXPECT_EQ(check_of("PING_CHECK {\nretry 2\n}").type, CheckType::ping);
  const Check check =
      check_of("SMTP_CHECK {\nhelo_name lb.example.com\nhost {\nconnect_port 2525\n}\n}");
  EXPECT_EQ(check.type, CheckType::smtp);
  EXPECT_EQ(check.smtp.helo, "lb.example.com");
  EXPECT_EQ(check.port, 2525);
}

TEST(KeepalivedChecks, FileAndBfdAreLeftOutWithANote) {
  EXPECT_EQ(
      check_notes("FILE_CHECK {\ntrack_file f\n}\nBFD_CHECK {\nname b\n}"),
      "k.conf:4: FILE_CHECK: there is no such check here: left out; `MISC_CHECK` with a script can "
      "do it\n"
      "k.conf:7: BFD_CHECK: there is no such check here: left out; `MISC_CHECK` with a script can "
      "do it\n");
}

TEST(KeepalivedChecks, ABackendWithoutACheckStaysWithoutOne) {
  const Service service =
      service_of("real_server 10.0.0.1 80 {\nTCP_CHECK {\n}\n}\nreal_server 10.0.0.2 80 {\n}");
  EXPECT_TRUE(service.checks.empty());
  EXPECT_EQ(service.backends.at(0).checks.size(), 1U);
  EXPECT_TRUE(service.backends.at(1).checks.empty());
}

TEST(KeepalivedChecks, SeveralOfABackendAllCount) {
  const Service service = service_of(
      "real_server 10.0.0.1 80 {\nTCP_CHECK {\n}\nTCP_CHECK {\nconnect_port 81\n}\nPING_CHECK "
      "{\n}\n}");
  EXPECT_EQ(service.checks.size(), 3U);
}

TEST(KeepalivedChecks, MistakesHaveTheirLines) {
  EXPECT_EQ(check_errors("TCP_CHECK {\nconnect_timeout 0\nconnect_port 0\nretry -1\nfwmark z\n}\n"
                         "HTTP_GET {\nurl {\nstatus_code 600\nstatus_code 300-200\n}\n}"),
            "k.conf:5: connect_timeout: \"0\" is not a time from 0.01 to 3600 seconds\n"
            "k.conf:6: connect_port: \"0\" is not a whole number from 1 to 65535\n"
            "k.conf:7: retry: \"-1\" is not a whole number from 0 to 1000\n"
            "k.conf:8: fwmark: \"z\" is not a whole number from 1 to 4294967295\n"
            "k.conf:12: status_code: \"600\" is not a whole number from 100 to 599\n"
            "k.conf:13: status_code: \"200\" is not a whole number from 300 to 599\n");
  EXPECT_NE(
      check_errors("HTTP_GET {\nurl {\npath /\nregex \"a(\"\n}\n}").find("k.conf:7: services[0]"),
      std::string::npos);
  EXPECT_EQ(check_notes("TCP_CHECK {\nurl {\n}\n}"),
            "k.conf:5: url: unknown keyword, ignored with its block (mistake)\n");
}

}  // namespace
}  // namespace headgate::config
