#include <set>

#include "tests/support/probe_fixture.h"

namespace headgate::control {
namespace {

using config::CheckType;
using test::Peer;
using test::TcpServer;
using test::UdpServer;
using Replies = std::vector<std::string>;
using namespace std::string_literals;

constexpr char name_error = 3;
constexpr char refused = 5;

// One resource record whose name is the question's.
std::string record(uint16_t type, const std::string& data) {
  return "\xc0\x0c"s + static_cast<char>(type >> 8) + static_cast<char>(type) +
         "\0\1\0\0\0\x3c\0"s + static_cast<char>(data.size()) + data;
}

// An answer to `question`, a whole message, with these records.
std::string answer(const std::string& question, const std::vector<std::string>& records = {},
                   char rcode = 0) {
  std::string message = question.substr(0, 2) + "\x81"s + static_cast<char>(0x80 | rcode) +
                        "\0\1\0"s + static_cast<char>(records.size()) + "\0\0\0\0"s +
                        question.substr(12);
  for (const std::string& one : records)
    message += one;
  return message;
}

std::string truncated(std::string message) {
  message[2] = static_cast<char>(message[2] | 2);
  return message;
}

class DnsProbe : public test::ProbeTest {
 protected:
  static config::Check asking(const std::string& name, const std::string& type,
                              uint32_t timeout_ms = 10000) {
    config::Check check = check_of(CheckType::dns, timeout_ms);
    check.dns.name = name;
    check.dns.type = type;
    return check;
  }
  static config::Check wanting(const std::string& type, const std::string& data) {
    config::Check check = asking("www.Example.org", type);
    check.dns.answer = data;
    return check;
  }
  // Asks a server that answers with these records.
  ProbeOutcome ask(const config::Check& check, const std::vector<std::string>& records,
                   char rcode = 0) {
    UdpServer server(
        [&](const std::string& question) { return Replies{answer(question, records, rcode)}; });
    return probe(check, target(server.port()));
  }
};

TEST_F(DnsProbe, AsksForTheRootByDefault) {
  std::string asked;
  UdpServer server([&](const std::string& question) {
    asked = question;
    return Replies{answer(question)};
  });
  const ProbeOutcome outcome = probe(check_of(CheckType::dns), target(server.port()));
  EXPECT_TRUE(outcome.up);
  EXPECT_EQ(outcome.reason, "rcode NOERROR");
  EXPECT_EQ(asked.substr(2), "\1\0\0\1\0\0\0\0\0\0\0\0\6\0\1"s) << "., SOA, IN, recursion desired";
}

TEST_F(DnsProbe, AsksForNameAndType) {
  std::string asked;
  UdpServer server(
      [&](const std::string& question) {
        asked = question.substr(12);
        return Replies{answer(question)};
      },
      "::1");
  EXPECT_TRUE(probe(asking("a.example.", "AAAA"), target(server.port(), "::1")).up);
  EXPECT_EQ(asked, "\1a\7example\0\0\x1c\0\1"s);
  EXPECT_TRUE(probe(asking("a.example", "65"), target(server.port(), "::1")).up);
  EXPECT_EQ(asked, "\1a\7example\0\0\x41\0\1"s) << "a type by number";
}

TEST_F(DnsProbe, ComparesTheRcode) {
  config::Check check = asking("www.example.org", "A");
  EXPECT_EQ(ask(check, {}, name_error).reason, "rcode NXDOMAIN, expected NOERROR");
  check.dns.rcode = "NXDOMAIN";
  EXPECT_TRUE(ask(check, {}, name_error).up);
  EXPECT_EQ(ask(check, {}).reason, "rcode NOERROR, expected NXDOMAIN");
  check.dns.rcode = "any";
  EXPECT_EQ(ask(check, {}, refused).reason, "rcode REFUSED");
}

TEST_F(DnsProbe, TakesARefusalWithoutTheQuestion) {
  UdpServer server([](const std::string& question) {
    return Replies{question.substr(0, 2) + "\x81\x85\0\0\0\0\0\0\0\0"s};
  });
  EXPECT_EQ(probe(asking("a.example", "A", short_ms), target(server.port())).reason,
            "rcode REFUSED, expected NOERROR");
}

TEST_F(DnsProbe, ComparesAddresses) {
  const std::string a = record(1, "\x0a\0\0\7"s);
  EXPECT_EQ(ask(wanting("A", "10.0.0.7"), {a}).reason, "the answer has 10.0.0.7");
  EXPECT_TRUE(ask(wanting("A", "10.0.0.7"), {record(1, "\x0a\0\0\1"s), a}).up) << "the second";
  EXPECT_EQ(ask(wanting("A", "10.0.0.8"), {a}).reason,
            "no record reads 10.0.0.8; there is 10.0.0.7");
  EXPECT_EQ(ask(wanting("A", "10.0.0.8"), {}).reason, "no record reads 10.0.0.8; there is none");
  const std::string aaaa = record(28, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\xab"s);
  EXPECT_TRUE(ask(wanting("AAAA", "2001:DB8:0::ab"), {aaaa}).up) << "however it is written";
}

TEST_F(DnsProbe, ComparesNamesAndTexts) {
  const std::string alias = record(5, "\3Www\xc0\x10"s);  // www, and the question's rest
  EXPECT_TRUE(ask(wanting("CNAME", "www.example.org"), {alias}).up);
  EXPECT_TRUE(ask(wanting("CNAME", "WWW.EXAMPLE.ORG."), {alias}).up);
  EXPECT_FALSE(ask(wanting("CNAME", "ww.example.org"), {alias}).up);
  const std::string mx = record(15, "\0\x0a\4mail\xc0\x10"s);
  EXPECT_TRUE(ask(wanting("MX", "10 mail.example.org"), {mx}).up);
  EXPECT_EQ(ask(wanting("MX", "20 mail.example.org"), {mx}).reason,
            "no record reads 20 mail.example.org; there is 10 mail.example.org.");
  const std::string txt = record(16, "\7v=spf1 \4-all"s);
  EXPECT_TRUE(ask(wanting("TXT", "v=spf1 -all"), {txt}).up) << "as one text";
  EXPECT_TRUE(ask(wanting("TXT", "\"v=spf1 \" \"-all\""), {txt}).up) << "as a zone file has it";
  EXPECT_FALSE(ask(wanting("TXT", "v=spf1"), {txt}).up);
  EXPECT_TRUE(ask(wanting("65280", "\\# 3 010203"), {record(65280, "\1\2\3"s)}).up) << "RFC 3597";
}

TEST_F(DnsProbe, IgnoresAnswersToOtherQuestions) {
  UdpServer server([](const std::string& question) {
    std::string other_id = answer(question, {}, refused);
    other_id[0] = static_cast<char>(other_id[0] + 1);
    std::string other_name = answer(question, {}, refused);
    other_name[13] = 'b';
    return Replies{"",       "x",        std::string(600, '\xff'), question,
                   other_id, other_name, answer(question)};
  });
  const ProbeOutcome outcome = probe(asking("a.example", "A"), target(server.port()));
  EXPECT_TRUE(outcome.up) << outcome.reason;
}

TEST_F(DnsProbe, DoesNotHearAnotherSocket) {
  UdpServer server([](const std::string& question) { return Replies{answer(question)}; });
  server.from_elsewhere = true;
  EXPECT_EQ(probe(asking(".", "NS", short_ms), target(server.port())).reason,
            "no answer from 127.0.0.1:" + std::to_string(server.port()) + " within 300 ms");
}

TEST_F(DnsProbe, AsksWithAnotherIdEachTime) {
  std::set<std::string> ids;
  UdpServer server([&](const std::string& question) {
    ids.insert(question.substr(0, 2));
    return Replies{answer(question)};
  });
  const auto prober = prober_for(check_of(CheckType::dns), target(server.port()));
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(attempt(*prober).up);
  EXPECT_GT(ids.size(), 5U);
}

TEST_F(DnsProbe, IsDownForAnAnswerThatCannotBeRead) {
  UdpServer server([](const std::string& question) {
    std::string loop = answer(question, {record(5, "\xc0\x2d")});
    return Replies{loop};
  });
  const ProbeOutcome outcome = probe(asking("www.example.org", "CNAME"), target(server.port()));
  EXPECT_FALSE(outcome.up);
  EXPECT_TRUE(outcome.reason.starts_with("the answer cannot be read: ")) << outcome.reason;
  UdpServer longest([](const std::string& question) {
    return Replies{answer(question) + std::string(20000, 'x')};
  });
  EXPECT_TRUE(probe(check_of(CheckType::dns), target(longest.port()))
                  .reason.ends_with("of which 8192 are read"));
}

TEST_F(DnsProbe, TakesAPortThatIsClosedForDown) {
  uint16_t port = 0;
  {
    port = UdpServer([](const std::string&) { return Replies{}; }).port();
  }
  EXPECT_EQ(probe(check_of(CheckType::dns), target(port)).reason,
            "127.0.0.1:" + std::to_string(port) + ": port unreachable");
}

// A pair of servers on one port.
class DnsProbeByTcp : public DnsProbe {
 protected:
  ProbeOutcome ask_by_tcp(const TcpServer::Talk& talk, uint32_t timeout_ms = 10000) {
    UdpServer udp([](const std::string& question) { return Replies{truncated(answer(question))}; });
    TcpServer tcp(talk, "127.0.0.1", udp.port());
    port = udp.port();
    return probe(asking("a.example", "A", timeout_ms), target(port));
  }
  static std::string read_question(const Peer& peer) {
    return peer.receive_until("\0\1\0\1"s).substr(2);
  }
  static std::string framed(const std::string& message) {
    return std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())} +
           message;
  }
  uint16_t port = 0;
};

TEST_F(DnsProbeByTcp, IsAskedWhenTheAnswerIsTruncated) {
  const ProbeOutcome outcome = ask_by_tcp([](const Peer& peer) {
    peer.send_slowly(framed(answer(read_question(peer), {record(1, "\1\2\3\4")})), 1);
  });
  EXPECT_TRUE(outcome.up) << outcome.reason;
}

TEST_F(DnsProbeByTcp, IsBoundAndTimed) {
  const std::string server = "127.0.0.1:";
  EXPECT_EQ(ask_by_tcp([](const Peer& peer) {
              (void)read_question(peer);
              peer.send("\xff\xff"s);
            }).reason,
            "an answer of 65535 bytes, of which 8192 are read");
  EXPECT_TRUE(ask_by_tcp([](const Peer& peer) {
                (void)read_question(peer);
                peer.send(
                    "\0\x20"
                    "abc"s);
              }).reason.ends_with(" closed the connection within the answer"));
  EXPECT_TRUE(ask_by_tcp([](const Peer& peer) { peer.wait_for_end(); }, 400)
                  .reason.ends_with(" within 400 ms"));
  EXPECT_EQ(ask_by_tcp([](const Peer& peer) {
              std::string other = answer(read_question(peer));
              other[1] = static_cast<char>(other[1] + 1);
              peer.send(framed(other));
            }).reason,
            "the answer by TCP is one to another question");
}

TEST_F(DnsProbe, ClosesItsSocketWhenCancelled) {
  UdpServer server([](const std::string&) { return Replies{}; });
  expect_cancellation(check_of(CheckType::dns), target(server.port()),
                      [&] { return server.questions() > 0; });
}

TEST_F(DnsProbe, RefusesWhatCannotBeAsked) {
  const auto error_of = [](const config::Check& check) {
    const auto prober = make_prober(check, target(53));
    return prober ? std::string("none") : prober.error().text;
  };
  EXPECT_EQ(error_of(asking("a..b", "A")), "name a..b: not a domain name");
  EXPECT_EQ(error_of(asking("a", "NOSUCH")), "type NOSUCH: not known; write its number");
  config::Check check = asking("a", "A");
  check.dns.rcode = "SOSO";
  EXPECT_EQ(error_of(check), "rcode SOSO: not known; write its number");
}

}  // namespace
}  // namespace headgate::control
