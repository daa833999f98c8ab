#include "control/protocol.h"

#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace headgate::control::protocol {

namespace json = boost::json;

namespace {

constexpr char magic_0 = 'H';
constexpr char magic_1 = 'G';

struct Header {
  FrameType type;
  uint32_t length;
};

std::expected<Header, FrameError> decode_header(std::string_view bytes, uint32_t max_payload) {
  if (bytes[0] != magic_0 || bytes[1] != magic_1) return std::unexpected(FrameError::bad_magic);
  if (static_cast<uint8_t>(bytes[2]) != version) return std::unexpected(FrameError::wrong_version);
  const auto type = static_cast<uint8_t>(bytes[3]);
  if (type < static_cast<uint8_t>(FrameType::request) ||
      type > static_cast<uint8_t>(FrameType::status)) {
    return std::unexpected(FrameError::unknown_type);
  }
  uint32_t length = 0;
  for (size_t i = 4; i < header_size; ++i)
    length = length << 8 | static_cast<uint8_t>(bytes[i]);
  if (length > max_payload) return std::unexpected(FrameError::too_long);
  return Header{static_cast<FrameType>(type), length};
}

// The payload as an object, or a sentence about what it is instead.
std::expected<json::object, std::string> parse_object(std::string_view payload) {
  json::error_code error;
  json::value value = json::parse({payload.data(), payload.size()}, error);
  if (error) return std::unexpected("the payload is not JSON: " + error.message());
  if (!value.is_object()) return std::unexpected("the payload is not a JSON object");
  return std::move(value.as_object());
}

}  // namespace

std::string_view to_string(FrameError error) {
  switch (error) {
    case FrameError::bad_magic:
      return "what arrived is not a frame of headgate's control protocol";
    case FrameError::wrong_version:
      return "the frame is of another protocol version; use headgate and headgated of one release";
    case FrameError::unknown_type:
      return "the frame is of an unknown type";
    case FrameError::too_long:
      return "the frame is longer than allowed";
  }
  return "unknown error";
}

std::array<char, header_size> encode_header(FrameType type, uint32_t length) {
  return {magic_0,
          magic_1,
          static_cast<char>(version),
          static_cast<char>(type),
          static_cast<char>(length >> 24),
          static_cast<char>(length >> 16),
          static_cast<char>(length >> 8),
          static_cast<char>(length)};
}

std::string encode(const Frame& frame) {
  const auto header = encode_header(frame.type, static_cast<uint32_t>(frame.payload.size()));
  std::string bytes(header.begin(), header.end());
  return bytes += frame.payload;
}

void FrameDecoder::feed(std::string_view bytes) {
  buffer_.erase(0, start_);
  start_ = 0;
  buffer_.append(bytes);
}

std::expected<std::optional<Frame>, FrameError> FrameDecoder::next() {
  if (error_) return std::unexpected(*error_);
  const std::string_view rest = std::string_view(buffer_).substr(start_);
  if (rest.size() < header_size) return std::nullopt;
  const auto header = decode_header(rest, max_payload_);
  if (!header) {
    error_ = header.error();
    buffer_.clear();
    start_ = 0;
    return std::unexpected(*error_);
  }
  if (rest.size() - header_size < header->length) return std::nullopt;
  start_ += header_size + header->length;
  return Frame{header->type, std::string(rest.substr(header_size, header->length))};
}

std::string to_payload(const Request& request) {
  return json::serialize(
      json::object{{"command", request.command}, {"arguments", request.arguments}});
}

std::string to_payload(const Status& status) {
  return json::serialize(json::object{{"code", static_cast<uint64_t>(status.code)},
                                      {"message", status.message},
                                      {"result", status.result}});
}

std::expected<Request, std::string> parse_request(std::string_view payload) {
  auto object = parse_object(payload);
  if (!object) return std::unexpected(object.error());
  Request request;
  const json::value* command = object->if_contains("command");
  if (command == nullptr || !command->is_string()) {
    return std::unexpected("the request names no \"command\"");
  }
  request.command = command->as_string();
  if (json::value* arguments = object->if_contains("arguments")) {
    if (!arguments->is_object()) return std::unexpected("\"arguments\" is not a JSON object");
    request.arguments = std::move(arguments->as_object());
  }
  return request;
}

std::expected<Status, std::string> parse_status(std::string_view payload) {
  auto object = parse_object(payload);
  if (!object) return std::unexpected(object.error());
  const json::value* code = object->if_contains("code");
  const json::value* message = object->if_contains("message");
  json::value* result = object->if_contains("result");
  if (code == nullptr || !code->is_int64() || code->as_int64() < 0 ||
      code->as_int64() > static_cast<int64_t>(Code::usage)) {
    return std::unexpected("the reply has no valid \"code\"");
  }
  Status status{static_cast<Code>(code->as_int64()), {}, {}};
  if (message != nullptr && message->is_string()) status.message = message->as_string();
  if (result != nullptr && result->is_object()) status.result = std::move(result->as_object());
  return status;
}

}  // namespace headgate::control::protocol
