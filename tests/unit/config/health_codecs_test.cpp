#include "config/health_codecs.h"

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

// The value as text again, or what was wrong.
template <typename T, typename Codec>
std::string through(const Codec& codec, std::string_view text) {
  const Parsed<T> value = codec.template parse<T>(text);
  if (!value) return value.error();
  EXPECT_EQ(codec.check(*value), "") << text;
  return codec.format(*value);
}

std::string text_through(const Text& codec, std::string_view text) {
  return through<std::string>(codec, text);
}

TEST(StatusCodes, AreOneOrARange) {
  const StatusCodes codes;
  EXPECT_EQ(through<StatusRange>(codes, "200"), "200");
  EXPECT_EQ(through<StatusRange>(codes, "200-299"), "200-299");
  EXPECT_EQ(through<StatusRange>(codes, "404-404"), "404");
  EXPECT_EQ(through<StatusRange>(codes, "299-200"), "\"299-200\" runs backwards: write 200-299");
  EXPECT_EQ(through<StatusRange>(codes, "99"), "99 is below 100");
  EXPECT_EQ(through<StatusRange>(codes, "200-600"), "600 is above 599");
  EXPECT_EQ(through<StatusRange>(codes, "2xx"), "\"2xx\" is not a whole number from 100 to 599");
  EXPECT_EQ(through<StatusRange>(codes, ""), "\"\" is not a whole number from 100 to 599");
  EXPECT_EQ(through<StatusRange>(codes, "-200"), "-200 is below 100");
  EXPECT_EQ(StatusCodes::check({300, 200}), "300-200 runs backwards");
  EXPECT_EQ(StatusCodes::check({0, 200}), "0 is below 100");
}

TEST(HttpPath, BeginsWithASlashAndHasNoBlank) {
  const Text path = http_path_text();
  EXPECT_EQ(text_through(path, "/"), "/");
  EXPECT_EQ(text_through(path, "/a%20b?c=d"), "\"/a%20b?c=d\"");
  EXPECT_EQ(text_through(path, ""), "is empty");
  EXPECT_EQ(text_through(path, "http://a/b"),
            "\"http://a/b\" does not begin with '/': write the path alone, and the name of the "
            "site as `host`");
  for (const std::string_view text : {"/a b", "/a\r\nHost: x", "/\t", "/\x7f", "/\xc3\xa4"}) {
    EXPECT_TRUE(text_through(path, text).ends_with("write it as %20")) << text;
  }
  EXPECT_EQ(text_through(path, "/" + std::string(2000, 'a')),
            "has 2001 characters, 2000 are allowed");
}

TEST(HttpHost, IsANameOrAnAddressWithOrWithoutAPort) {
  const Text host = http_host_text();
  EXPECT_EQ(text_through(host, "www.example.com"), "www.example.com");
  EXPECT_EQ(text_through(host, "www.example.com:8080"), "\"www.example.com:8080\"");
  EXPECT_EQ(text_through(host, "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(text_through(host, "[fd00::1]:8080"), "\"[fd00::1]:8080\"");
  EXPECT_EQ(text_through(host, "fd00::1"), "\"fd00::1\" needs brackets: write \"[fd00::1]\"");
  EXPECT_EQ(text_through(host, "none"), "\"none\" has a meaning of its own in this file");
  for (const std::string_view text : {"a b", "a:0", "a:b", "http://a", "-a", "[10.0.0.1]"}) {
    EXPECT_TRUE(text_through(host, text).contains("is not HOST or HOST:PORT")) << text;
  }
}

TEST(ServerName, HasNoPort) {
  const Text name = server_name_text();
  EXPECT_EQ(text_through(name, "www.example.com"), "www.example.com");
  EXPECT_EQ(text_through(name, "fd00::1"), "\"fd00::1\"");
  EXPECT_EQ(text_through(name, "www.example.com:443"),
            "\"www.example.com:443\" is not a name such as www.example.com, or an address");
}

TEST(Digest, IsMd5OrSha256InLowerCase) {
  const Text digest = digest_text();
  EXPECT_EQ(text_through(digest, std::string(32, 'A')), std::string(32, 'a'));
  EXPECT_EQ(text_through(digest, std::string(64, 'f')), std::string(64, 'f'));
  for (const std::string& text :
       {std::string(31, 'a'), std::string(40, 'a'), std::string(32, 'g'), std::string()}) {
    EXPECT_TRUE(text_through(digest, text).contains("is no digest: 32 hexadecimal digits")) << text;
  }
}

TEST(Regex, IsCompiledToSeeWhatIsWrongWithIt) {
  EXPECT_EQ(text_through(regex_text(), "("), "\"(\"") << "left to regex_problem()";
  EXPECT_EQ(text_through(regex_text(), ""), "is empty");
  EXPECT_EQ(regex_problem("^a(b|c)+\\d{2}$"), "");
  EXPECT_EQ(regex_problem("(?i)\\bready\\z"), "");
  EXPECT_EQ(regex_problem("\xff"), "") << "a byte like any other";
  for (const char* text : {"(", "[z-a]", "*", "\\", "(a)\\1", "(?=a)", "(?<!a)"}) {
    EXPECT_TRUE(regex_problem(text).contains("is no regular expression of RE2")) << text;
  }
  EXPECT_NE(regex_problem("((((a{99}){99}){99}){99})"), "") << "takes more memory than there is";
  EXPECT_TRUE(regex_problem("(abcdefgh){900}").contains("steps, and 1000 are allowed"))
      << regex_problem("(abcdefgh){900}");
  const std::string nested = std::string(450, '(') + "a" + std::string(450, ')');
  EXPECT_EQ(regex_problem(nested), "");
}

TEST(Payload, IsTextOrBytes) {
  const Text payload = payload_text();
  EXPECT_EQ(text_through(payload, "stats\r\n"), "\"stats\\x0d\\n\"");
  EXPECT_EQ(text_through(payload, "hex:00fF"), "\"hex:00fF\"");
  EXPECT_EQ(text_through(payload, "hex: 00 ff "), "\"hex: 00 ff \"");
  EXPECT_EQ(text_through(payload, "hex:"), "\"hex:\" holds no byte");
  EXPECT_EQ(text_through(payload, ""), "is empty");
  EXPECT_EQ(text_through(payload, "none"),
            "\"none\" has a meaning of its own in this file: write hex:6e6f6e65");
  for (const std::string_view text :
       {"hex:0", "hex:0 0", "hex:0g", "hex:000", "hex:XX", "hex:00 1X"}) {
    EXPECT_EQ(text_through(payload, text),
              in_quotes(text) + " is not `hex:` and bytes of two hexadecimal digits each");
  }
  EXPECT_EQ(text_through(payload, std::string(1233, 'a')), "has 1233 bytes, 1232 are allowed");
  std::string most = "hex:";
  for (int i = 0; i < 1232; ++i)
    most += "00 ";
  EXPECT_EQ(payload.check(most), "");
  EXPECT_EQ(payload.check(most + "00"), "has 1233 bytes, 1232 are allowed");
}

TEST(Payload, OnlyAPatternHasWildcards) {
  const Text pattern = payload_pattern_text();
  EXPECT_EQ(text_through(pattern, "hex:XX 1X X2"), "\"hex:XX 1X X2\"");
  EXPECT_EQ(text_through(pattern, "X"), "X");
  EXPECT_EQ(text_through(pattern, "hex:x0"),
            "\"hex:x0\" is not `hex:` and bytes of two hexadecimal digits each, with X for any "
            "digit");
}

TEST(Payload, HasAsManyBytesAsItStandsFor) {
  EXPECT_EQ(payload_bytes("abc"), 3U);
  EXPECT_EQ(payload_bytes("hex:00 XX ff"), 3U);
  EXPECT_EQ(payload_bytes("hex:"), 0U);
}

TEST(DnsName, HasPartsOfUpTo63Characters) {
  const Text name = dns_name_text();
  EXPECT_EQ(text_through(name, "."), ".");
  EXPECT_EQ(text_through(name, "www.example.com."), "www.example.com");
  EXPECT_EQ(text_through(name, "_sip._udp.x-1"), "_sip._udp.x-1");
  EXPECT_EQ(text_through(name, std::string(63, 'a') + ".b"), std::string(63, 'a') + ".b");
  EXPECT_TRUE(text_through(name, std::string(64, 'a')).contains("63 characters at most"));
  for (const std::string_view text : {"a..b", ".a", ".."}) {
    EXPECT_TRUE(text_through(name, text).contains("a part between two dots is empty")) << text;
  }
  for (const std::string_view text : {"a b", "a/b", "\xc3\xa4.de"}) {
    EXPECT_TRUE(text_through(name, text).contains("is no domain name: it has letters")) << text;
  }
  EXPECT_EQ(text_through(name, std::string(254, 'a')), "has 254 characters, 253 are allowed");
}

TEST(DnsType, IsAWordOrANumberAndOneOfThem) {
  const Text type = dns_type_text();
  EXPECT_EQ(text_through(type, "aaaa"), "AAAA");
  EXPECT_EQ(text_through(type, "28"), "AAAA");
  EXPECT_EQ(text_through(type, "257"), "257");
  for (const std::string_view text : {"0", "65536", "B", "", "AXFR", "01"}) {
    EXPECT_TRUE(text_through(type, text).contains("is not A, AAAA, CNAME")) << text;
  }
}

TEST(DnsRcode, IsAWordOrAny) {
  const Text rcode = dns_rcode_text();
  EXPECT_EQ(text_through(rcode, "nxdomain"), "NXDOMAIN");
  EXPECT_EQ(text_through(rcode, "Any"), "any");
  EXPECT_TRUE(text_through(rcode, "3").contains("\"3\" is not NOERROR, FORMERR, SERVFAIL"));
}

TEST(DnsAnswer, IsPrintable) {
  EXPECT_EQ(text_through(dns_answer_text(), "10 mail.example.com"), "\"10 mail.example.com\"");
  EXPECT_EQ(text_through(dns_answer_text(), "a\nb"), "holds a control character");
}

TEST(Helo, IsANameOrAnAddressInBrackets) {
  EXPECT_EQ(text_through(helo_text(), "lb.example.com"), "lb.example.com");
  EXPECT_EQ(text_through(helo_text(), "[IPv6:fd00::1]"), "\"[IPv6:fd00::1]\"");
  for (const std::string_view text : {"a b", "[a b]", "fd00::1", "a\r\nQUIT"}) {
    EXPECT_NE(helo_text().check(std::string(text)), "") << text;
  }
}

}  // namespace
}  // namespace headgate::config
