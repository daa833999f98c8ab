#include "control/protocol.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::control::protocol {
namespace {

TEST(Protocol, HeaderHasMagicVersionTypeAndBigEndianLength) {
  const std::string bytes = encode({FrameType::status, std::string(0x010203, 'x')});
  EXPECT_EQ(bytes.substr(0, header_size), std::string("HG\x01\x03\x00\x01\x02\x03", header_size));
  EXPECT_EQ(bytes.size(), header_size + 0x010203);
}

TEST(Protocol, DecoderFindsFramesHoweverTheStreamIsCut) {
  const std::vector<Frame> frames{{FrameType::request, "{}"},
                                  {FrameType::data, ""},
                                  {FrameType::data, std::string(300, 'a')},
                                  {FrameType::status, "x"}};
  std::string stream;
  for (const Frame& frame : frames)
    stream += encode(frame);
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    FrameDecoder decoder(1000);
    std::vector<Frame> found;
    for (size_t at = 0; at < stream.size();) {
      const size_t length = std::min<size_t>(1 + random() % 40, stream.size() - at);
      decoder.feed(std::string_view(stream).substr(at, length));
      at += length;
      while (true) {
        auto next = decoder.next();
        ASSERT_TRUE(next.has_value());
        if (!*next) break;
        found.push_back(**next);
      }
    }
    EXPECT_EQ(found, frames);
    EXPECT_FALSE(decoder.in_frame());
  }
}

TEST(Protocol, DecoderSaysWhenAFrameIsOnlyPartlyThere) {
  const std::string bytes = encode({FrameType::request, "abc"});
  for (size_t length = 1; length < bytes.size(); ++length) {
    FrameDecoder decoder(100);
    decoder.feed(bytes.substr(0, length));
    const auto next = decoder.next();
    ASSERT_TRUE(next.has_value()) << length;
    EXPECT_FALSE(next->has_value()) << length;
    EXPECT_TRUE(decoder.in_frame()) << length;
  }
}

struct BadHeader {
  std::string bytes;
  FrameError error;
};

class BadHeaders : public testing::TestWithParam<BadHeader> {};

TEST_P(BadHeaders, AreNamedAndEndTheStream) {
  FrameDecoder decoder(100);
  decoder.feed(GetParam().bytes);
  const auto first = decoder.next();
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error(), GetParam().error);
  decoder.feed(encode({FrameType::request, "{}"}));
  const auto second = decoder.next();
  ASSERT_FALSE(second.has_value()) << "a stream that lost its frames cannot be trusted again";
  EXPECT_EQ(second.error(), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Protocol, BadHeaders,
    testing::Values(
        BadHeader{"GET / HTTP/1.1\r\n", FrameError::bad_magic},
        BadHeader{std::string("HG\x02\x01\x00\x00\x00\x02{}", 10), FrameError::wrong_version},
        BadHeader{std::string("HG\x01\x00\x00\x00\x00\x02{}", 10), FrameError::unknown_type},
        BadHeader{std::string("HG\x01\x04\x00\x00\x00\x02{}", 10), FrameError::unknown_type},
        BadHeader{std::string("HG\x01\x01\x00\x00\x00\x65{}", 10), FrameError::too_long},
        BadHeader{std::string("HG\x01\x01\xff\xff\xff\xff", 8), FrameError::too_long}));

TEST(Protocol, RequestSurvivesTheWay) {
  const Request request{"backend add", {{"weight", 5}, {"service", "192.0.2.1:80"}}};
  const auto parsed = parse_request(to_payload(request));
  ASSERT_TRUE(parsed.has_value()) << parsed.error();
  EXPECT_EQ(*parsed, request);
}

TEST(Protocol, StatusSurvivesTheWay) {
  const Status status{Code::refused, "because", {{"generation", 7}}};
  const auto parsed = parse_status(to_payload(status));
  ASSERT_TRUE(parsed.has_value()) << parsed.error();
  EXPECT_EQ(*parsed, status);
}

TEST(Protocol, RequestsThatAreNoneAreRefusedWithASentence) {
  const auto error = [](std::string_view payload) {
    const auto parsed = parse_request(payload);
    return parsed ? std::string("accepted") : parsed.error();
  };
  EXPECT_EQ(error("[]"), "the payload is not a JSON object");
  EXPECT_EQ(error("{}"), "the request names no \"command\"");
  EXPECT_EQ(error(R"({"command": 5})"), "the request names no \"command\"");
  EXPECT_EQ(error(R"({"command": "x", "arguments": []})"), "\"arguments\" is not a JSON object");
  EXPECT_TRUE(error("{\"command\": \"x\"").starts_with("the payload is not JSON: "));
  EXPECT_TRUE(error("").starts_with("the payload is not JSON: "));
  // Deep nesting must not eat the stack.
  EXPECT_TRUE(error(std::string(500000, '[')).starts_with("the payload is not JSON: "));
}

TEST(Protocol, StatusWithAnUnknownCodeIsRefused) {
  EXPECT_FALSE(parse_status(R"({"code": 9, "message": ""})").has_value());
  EXPECT_FALSE(parse_status(R"({"code": -1, "message": ""})").has_value());
  EXPECT_FALSE(parse_status(R"({"message": ""})").has_value());
}

}  // namespace
}  // namespace headgate::control::protocol
