#include <future>

#include <boost/asio/post.hpp>

#include "control/health/http_answer.h"
#include "control/health/page_expression.h"
#include "tests/support/probe_fixture.h"

namespace headgate::control {
namespace {

using config::CheckType;
using config::CheckUrl;
using test::Peer;
using test::TcpServer;

constexpr size_t too_long = HttpAnswer::most_body_bytes + 1;

std::string page(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class HttpProbe : public test::ProbeTest {
 protected:
  static config::Check asking(const std::vector<CheckUrl>& urls, uint32_t timeout_ms = 10000) {
    config::Check check = check_of(CheckType::http, timeout_ms);
    check.http.urls = urls;
    return check;
  }
  static CheckUrl with_regex(const std::string& regex, bool absent = false) {
    CheckUrl url;
    url.regex = regex;
    url.regex_absent = absent;
    return url;
  }
  static CheckUrl with_digest(const std::string& digest) {
    CheckUrl url;
    url.digest = digest;
    return url;
  }
  // Of "hello".
  static constexpr const char* md5 = "5d41402abc4b2a76b9719d911017c592";
  static constexpr const char* sha256 =
      "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824";

  // Asks a server that reads the request, and goes on like this.
  ProbeOutcome ask(const config::Check& check, const TcpServer::Talk& talk) {
    TcpServer server([&](const Peer& peer) {
      request = peer.receive_until("\r\n\r\n");
      talk(peer);
    });
    port = server.port();
    return probe(check, target(port));
  }
  ProbeOutcome ask(const config::Check& check, const std::string& answer) {
    return ask(check, [&](const Peer& peer) { peer.send(answer); });
  }
  [[nodiscard]] std::string name() const { return "127.0.0.1:" + std::to_string(port); }

  std::string request;
  uint16_t port = 0;
};

TEST_F(HttpProbe, AsksForTheRootAndTakesAStatusOf200To299) {
  ProbeOutcome outcome = ask(asking({}), page("hello"));
  EXPECT_TRUE(outcome.up);
  EXPECT_EQ(outcome.reason, "status 200");
  EXPECT_EQ(request, "GET / HTTP/1.1\r\nHost: " + name() +
                         "\r\nUser-Agent: headgate\r\nAccept: */*\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(ask(asking({}), page("", "299 So so")).up);
  EXPECT_TRUE(ask(asking({}), "HTTP/1.1 204 No Content\r\n\r\n").up);
  outcome = ask(asking({}), page("sorry", "503 Busy"));
  EXPECT_FALSE(outcome.up);
  EXPECT_EQ(outcome.reason, "status 503 from /, expected 200-299");
}

TEST_F(HttpProbe, TakesARedirectForAnAnswer) {
  const std::string redirect = "HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n";
  CheckUrl url;
  url.path = "/old";
  EXPECT_EQ(ask(asking({url}), redirect).reason, "status 302 from /old, expected 200-299");
  url.status = {{.first = 200, .last = 200}, {.first = 301, .last = 302}};
  EXPECT_EQ(ask(asking({url}), redirect).reason, "status 302");
  EXPECT_EQ(ask(asking({url}), page("", "303 See Other")).reason,
            "status 303 from /old, expected 200, 301-302");
}

TEST_F(HttpProbe, AsksAsAVirtualHostAndInEitherVersion) {
  config::Check check = asking({});
  check.http.version = config::HttpVersion::http_1_0;
  check.http.host = "www.example.org";
  EXPECT_TRUE(ask(check, "HTTP/1.0 200 OK\r\n\r\nhello").up);
  EXPECT_TRUE(request.starts_with("GET / HTTP/1.0\r\nHost: www.example.org\r\n")) << request;
  CheckUrl url;
  url.host = "other.example.org";
  url.path = "/a?b=c%20d";
  check.http.urls = {url};
  EXPECT_TRUE(ask(check, page("")).up);
  EXPECT_TRUE(request.starts_with("GET /a?b=c%20d HTTP/1.0\r\nHost: other.example.org\r\n"))
      << request;
}

TEST_F(HttpProbe, NamesAnIpv6HostInBrackets) {
  std::string seen;
  TcpServer server(
      [&](const Peer& peer) {
        seen = peer.receive_until("\r\n\r\n");
        peer.send(page(""));
      },
      "::1", 80);
  EXPECT_TRUE(probe(asking({}), target(80, "::1")).up);
  EXPECT_NE(seen.find("\r\nHost: [::1]\r\n"), std::string::npos) << seen;
}

TEST_F(HttpProbe, WantsAllPagesEachByAConnection) {
  CheckUrl first;
  first.path = "/1";
  CheckUrl second;
  second.path = "/2";
  std::vector<std::string> paths;
  TcpServer server([&](const Peer& peer) {
    const std::string text = peer.receive_until("\r\n\r\n");
    paths.push_back(text.substr(4, 2));
    peer.send(page("", paths.back() == "/2" ? "404 Not Found" : "200 OK"));
  });
  EXPECT_EQ(probe(asking({first, second, first}), target(server.port())).reason,
            "status 404 from /2, expected 200-299");
  EXPECT_EQ(paths, (std::vector<std::string>{"/1", "/2"})) << "the first wrong one decides";
  EXPECT_TRUE(probe(asking({first, first}), target(server.port())).up);
  EXPECT_EQ(server.connections(), 4);
}

TEST_F(HttpProbe, ComparesTheBodysDigest) {
  EXPECT_TRUE(ask(asking({with_digest(md5)}), page("hello")).up);
  EXPECT_TRUE(ask(asking({with_digest(sha256)}), page("hello")).up);
  EXPECT_TRUE(ask(asking({with_digest(md5)}), page("hello", "404 Not Found")).up)
      << "any status, unless one is wanted";
  EXPECT_EQ(ask(asking({with_digest(md5)}), page("hullo")).reason,
            "MD5 of / is 54bf43965e2bbaa20c22c22ca7b4e9c7, expected "
            "5d41402abc4b2a76b9719d911017c592");
  CheckUrl both = with_digest(md5);
  both.status = {{.first = 200, .last = 200}};
  EXPECT_FALSE(ask(asking({both}), page("hello", "404 Not Found")).up);
}

TEST_F(HttpProbe, ReadsBodiesOfEachFraming) {
  const config::Check check = asking({with_digest(md5)});
  EXPECT_TRUE(ask(check,
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n")
                  .up);
  EXPECT_TRUE(ask(check, "HTTP/1.1 200 OK\r\n\r\nhello").up) << "to the connection's end";
  EXPECT_TRUE(ask(check, "HTTP/1.0 200 OK\r\n\r\nhello").up);
  EXPECT_TRUE(ask(check, [](const Peer& peer) {
                peer.send(page("hello"));
                peer.wait_for_end();  // and does not close
              }).up);
  EXPECT_TRUE(ask(check, [](const Peer& peer) { peer.send_slowly(page("hello"), 1); }).up);
  EXPECT_TRUE(
      ask(check, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" +
                     page("hello"))
          .up);
}

// Of Beast's, which asserts that it does not happen.
TEST_F(HttpProbe, ReadsALastChunkThatComesByteByByte) {
  const config::Check check = asking({with_digest("d41d8cd98f00b204e9800998ecf8427e")});
  const ProbeOutcome outcome = ask(check, [](const Peer& peer) {
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    peer.send_slowly("0\r\n\r\n", 2);
  });
  EXPECT_TRUE(outcome.up) << outcome.reason;
}

TEST_F(HttpProbe, LooksForAnExpression) {
  EXPECT_TRUE(ask(asking({with_regex("h.l+o$")}), page("well, hello")).up);
  EXPECT_EQ(ask(asking({with_regex("^hello")}), page("well, hello")).reason,
            "the page / lacks what has to be in it");
  EXPECT_TRUE(ask(asking({with_regex("error", true)}), page("hello")).up);
  EXPECT_EQ(ask(asking({with_regex("error [0-9]+", true)}), page("error 17")).reason,
            "the page / has what must not be in it");
  EXPECT_TRUE(ask(asking({with_regex("a\xc3\xa4.\xff")}), page("a\xc3\xa4\xfe\xff")).up)
      << "pages are bytes";
}

TEST_F(HttpProbe, IsNotUpsetByAnExpressionThatIsHardOnALongPage) {
  // Each is exponential, or as deep as the page is long, by going back.
  boost::asio::thread_pool helpers(1);
  const std::string body(HttpAnswer::most_body_bytes, 'x');
  TcpServer server([&](const Peer& peer) {
    (void)peer.receive_until("\r\n\r\n");
    peer.send(page(body));
  });
  for (const char* const hard : {"(x+x+)+y", "(x|xx)*y", "(.*)*y", "x(.|x){50}y"}) {
    for (boost::asio::thread_pool* const pool :
         {&helpers, static_cast<decltype(&helpers)>(nullptr)}) {
      const auto prober = prober_for(asking({with_regex(hard)}), target(server.port()), pool);
      EXPECT_EQ(attempt(*prober).reason, "the page / lacks what has to be in it") << hard;
    }
  }
  helpers.join();
}

TEST_F(HttpProbe, EndsInTimeThoughTheSearchDoesNot) {
  boost::asio::thread_pool helpers(1);
  std::promise<void> release;
  // Something else has the helper.
  boost::asio::post(helpers, [&] { release.get_future().wait(); });
  TcpServer server([&](const Peer& peer) {
    (void)peer.receive_until("\r\n\r\n");
    peer.send(page(std::string(100000, 'x')));
  });
  const auto prober = prober_for(asking({with_regex("y")}, 1000), target(server.port()), &helpers);
  EXPECT_EQ(attempt(*prober).reason, "the page / was not searched within 1 s");
  EXPECT_EQ(attempt(*prober).reason, "the page / was not searched within 1 s")
      << "and no second search waits behind the first";
  release.set_value();
  EXPECT_TRUE(run_until([&] {
    return attempt(*prober).reason == "the page / lacks what has to be in it";
  })) << "when that is over, there is another";
  helpers.join();
}

TEST_F(HttpProbe, BoundsTheBody) {
  const config::Check check = asking({with_digest(md5)});
  const std::string reason = "/: the page is longer than 1048576 bytes";
  EXPECT_EQ(ask(check, page(std::string(too_long, 'x'))).reason, reason);
  const auto endless = [](const std::string& header, const std::string& piece) {
    return [=](const Peer& peer) {
      peer.send("HTTP/1.1 200 OK\r\n" + header + "\r\n");
      while (peer.send(piece)) {
      }
    };
  };
  EXPECT_EQ(ask(check, endless("", std::string(1000, 'x'))).reason, reason);
  EXPECT_EQ(ask(check, endless("Transfer-Encoding: chunked\r\n",
                               "3e8\r\n" + std::string(1000, 'x') + "\r\n"))
                .reason,
            reason);
  EXPECT_TRUE(ask(asking({}), endless("", std::string(1000, 'x'))).up)
      << "where the status is all that is wanted, the body is not read";
  EXPECT_TRUE(ask(asking({with_digest("b6d81b360a5672d80c27430f39153e2c")}),  // of 1048576 zeros
                  page(std::string(HttpAnswer::most_body_bytes, '\0')))
                  .up);
}

TEST_F(HttpProbe, BoundsTheHeader) {
  const auto endless = [](const std::string& begin, const std::string& piece) {
    return [=](const Peer& peer) {
      peer.send(begin);
      while (peer.send(piece)) {
      }
    };
  };
  EXPECT_EQ(ask(asking({}), endless("HTTP/1.1 200 OK\r\n", "A: b\r\n")).reason,
            "/: the answer's header is longer than 32768 bytes");
  EXPECT_EQ(ask(asking({}), endless("HTTP/1.1 200 OK\r\n", "aaaa")).reason,
            "/: the answer's header is longer than 32768 bytes");
  EXPECT_EQ(ask(asking({}), endless("", "HTTP/1.1 100 Continue\r\n\r\n")).reason,
            "/: the answer does not get beyond status 1xx");
  const config::Check body = asking({with_digest(md5)});
  EXPECT_FALSE(
      ask(body, endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", "0")).up);
  EXPECT_FALSE(
      ask(body, endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x")).up);
  EXPECT_FALSE(
      ask(body, endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n"))
          .up);
}

TEST_F(HttpProbe, IsDownForWhatIsNoAnswer) {
  EXPECT_EQ(ask(asking({}), "").reason, "/: the connection ended without an answer");
  EXPECT_EQ(ask(asking({}), "SSH-2.0-OpenSSH\r\n\r\n").reason,
            "/: the answer is not HTTP: bad version");
  EXPECT_EQ(ask(asking({}), "HTTP/1.1 2x0 OK\r\n\r\n").reason,
            "/: the answer is not HTTP: bad status");
  EXPECT_EQ(ask(asking({}), "HTTP/1.1 200 OK\r\nA: b\r\n").reason,
            "/: the connection ended within the answer");
  EXPECT_EQ(
      ask(asking({with_digest(md5)}), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").reason,
      "/: the connection ended within the answer");
  EXPECT_EQ(ask(asking({with_digest(md5)}),
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n")
                .reason.substr(0, 25),
            "/: the answer is not HTTP");
}

TEST_F(HttpProbe, TellsOfAServerThatResets) {
  const ProbeOutcome outcome = ask(asking({}), [](const Peer& peer) { peer.reset_at_end(); });
  EXPECT_EQ(outcome.reason, name() + " reset the connection");
}

TEST_F(HttpProbe, EndsInTimeWithSilentSlowAndHalfOpenServers) {
  const config::Check check = asking({with_digest(md5)}, short_ms);
  const ProbeOutcome silent = ask(check, [](const Peer& peer) { peer.wait_for_end(); });
  EXPECT_EQ(silent.reason, "no answer from " + name() + " within 300 ms");
  const ProbeOutcome slow =
      ask(check, [](const Peer& peer) { peer.send_slowly(page("hello"), 30); });
  EXPECT_EQ(slow.reason, "the answer of " + name() + " was not complete within 300 ms");
  const ProbeOutcome half_open = ask(check, [](const Peer& peer) {
    peer.send(page("hello").substr(0, 20));
    peer.wait_for_end();
  });
  EXPECT_EQ(half_open.reason, "the answer of " + name() + " was not complete within 300 ms");
}

TEST_F(HttpProbe, SharesTheAttemptsTimeAmongItsPages) {
  const config::Check check = asking({{}, {}, {}}, 300);
  std::atomic<int> connections = 0;
  const ProbeOutcome outcome = ask(check, [&](const Peer& peer) {
    if (++connections == 3) return peer.wait_for_end();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    peer.send(page(""));
  });
  EXPECT_EQ(outcome.reason, "no answer from " + name() + " within 300 ms");
}

TEST_F(HttpProbe, ClosesItsSocketWhenCancelled) {
  TcpServer server([&](const Peer& peer) {
    peer.send("HTTP/1.1 200 OK\r\n");
    peer.wait_for_end();
  });
  expect_cancellation(asking({}), target(server.port()), [&] { return server.connections() > 0; });
}

TEST_F(HttpProbe, RefusesWhatCannotBeAskedForOrFound) {
  const auto error_of = [](const config::Check& check) {
    const auto prober = make_prober(check, target(80));
    return prober ? std::string("none") : prober.error().text;
  };
  CheckUrl url;
  url.path = "/a b";
  EXPECT_NE(error_of(asking({url})), "none");
  url.path = "/a\r\nX: y";
  EXPECT_NE(error_of(asking({url})), "none");
  EXPECT_EQ(error_of(asking({with_regex("(a")})),
            "regex (a: missing ): (a (RE2 has no references back to groups, and no looking ahead "
            "or behind)");
  EXPECT_NE(error_of(asking({with_regex("(a)\\1")})), "none");
  EXPECT_NE(error_of(asking({with_regex("((a{100}){100}){5}")})), "none");
}

TEST(PageExpression, IsSharedByAllThatWantTheSame) {
  const auto one = PageExpression::make("a+b");
  const auto other = PageExpression::make("a+b");
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->get(), other->get());
}

}  // namespace
}  // namespace headgate::control
