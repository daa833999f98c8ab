// The protocol between `headgate` and `headgated` on the unix socket: frames with a length, whose
// payload is JSON. docs/control-protocol.md describes every byte. Pure encoding and decoding, no
// input or output; the daemon, the command line and the fuzzer share it.
//
//   0      1      2        3      4                    8
//   +------+------+--------+------+--------------------+---------------------
//   | 'H'  | 'G'  |version | type | length, big-endian | payload (length bytes)
//   +------+------+--------+------+--------------------+---------------------
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace headgate::control::protocol {

inline constexpr std::string_view default_socket_path = "/run/headgate/headgate.sock";

inline constexpr uint8_t version = 1;
inline constexpr size_t header_size = 8;
// A daemon closes on longer requests, a client on longer replies.
inline constexpr uint32_t max_request_bytes = 8U << 20;
inline constexpr uint32_t max_reply_bytes = 16U << 20;

enum class FrameType : uint8_t {
  request = 1,  // client: one JSON object
  data = 2,     // daemon: a JSON array, the next rows of a list
  status = 3,   // daemon: one JSON object, the end of the reply
};

enum class FrameError : uint8_t { bad_magic, wrong_version, unknown_type, too_long };
// One sentence for the peer.
[[nodiscard]] std::string_view to_string(FrameError error);

struct Frame {
  FrameType type = FrameType::request;
  std::string payload;

  bool operator==(const Frame&) const = default;
};

[[nodiscard]] std::array<char, header_size> encode_header(FrameType type, uint32_t length);
[[nodiscard]] std::string encode(const Frame& frame);

// Cuts a stream of bytes into frames. Holds at most one header and one payload of the allowed
// length, plus what one feed() brought.
class FrameDecoder {
 public:
  explicit FrameDecoder(uint32_t max_payload) : max_payload_(max_payload) {}

  void feed(std::string_view bytes);
  // The next whole frame, or nothing while bytes are missing. After an error the stream cannot be
  // followed any further: the same error comes back for ever.
  [[nodiscard]] std::expected<std::optional<Frame>, FrameError> next();
  // Some bytes of a frame are here, but not all.
  [[nodiscard]] bool in_frame() const { return start_ < buffer_.size(); }

 private:
  uint32_t max_payload_;
  std::string buffer_;
  size_t start_ = 0;  // of what next() has not given out yet
  std::optional<FrameError> error_;
};

// ---- messages ----------------------------------------------------------------------------------

struct Request {
  std::string command;  // "show services"
  boost::json::object arguments;

  bool operator==(const Request&) const = default;
};

// What became of a request; the value is also the exit status of `headgate`.
enum class Code : uint8_t { ok = 0, refused = 1, usage = 2 };

struct Status {
  Code code = Code::ok;
  std::string message;         // for people: what is wrong and what to do, or what was done
  boost::json::object result;  // of the command; empty on failure

  bool operator==(const Status&) const = default;
};

[[nodiscard]] std::string to_payload(const Request& request);
[[nodiscard]] std::string to_payload(const Status& status);
// The error is one sentence for the peer.
[[nodiscard]] std::expected<Request, std::string> parse_request(std::string_view payload);
[[nodiscard]] std::expected<Status, std::string> parse_status(std::string_view payload);

}  // namespace headgate::control::protocol
