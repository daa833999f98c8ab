// Replies of a mail server (RFC 5321 section 4.2), out of a stream that may be cut anywhere.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace headgate::control {

struct SmtpReply {
  int code = 0;
  std::string text;  // of the last line, without what cannot be printed

  bool operator==(const SmtpReply&) const = default;
};

class SmtpReplyReader {
 public:
  static constexpr size_t most_line_bytes = 2048;
  static constexpr size_t most_lines = 256;

  void add(std::string_view bytes) { buffer_ += bytes; }
  // The next whole reply; without a value: more is needed. An error, for good, for what is not a
  // reply, in words.
  [[nodiscard]] std::expected<std::optional<SmtpReply>, std::string> next();

 private:
  [[nodiscard]] std::expected<std::optional<SmtpReply>, std::string> take_line(
      std::string_view line);

  std::string buffer_;
  int code_ = 0;  // of the reply's lines so far
  size_t lines_ = 0;
};

}  // namespace headgate::control
