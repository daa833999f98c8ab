#include "control/health/smtp_reply.h"

#include <algorithm>

#include <fmt/format.h>

namespace headgate::control {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string printable(std::string_view text) {
  constexpr size_t most = 200;
  std::string result(text.substr(0, most));
  std::ranges::replace_if(result, [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

}  // namespace

std::expected<std::optional<SmtpReply>, std::string> SmtpReplyReader::next() {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (std::min(end, buffer_.size()) > most_line_bytes) {
      return std::unexpected(fmt::format("a line of more than {} bytes", most_line_bytes));
    }
    if (end == std::string::npos) return std::nullopt;
    std::string line = buffer_.substr(0, end);
    if (line.ends_with('\r')) line.pop_back();
    auto reply = take_line(line);
    if (!reply) return reply;
    buffer_.erase(0, end + 1);
    if (*reply) return reply;
  }
}

// A line that is not the reply's last has a dash after the code.
std::expected<std::optional<SmtpReply>, std::string> SmtpReplyReader::take_line(
    std::string_view line) {
  const bool numbered =
      line.size() >= 3 && std::ranges::all_of(line.substr(0, 3), is_digit) && line[0] != '0';
  if (!numbered || (line.size() > 3 && line[3] != ' ' && line[3] != '-')) {
    return std::unexpected(fmt::format("not a reply of a mail server: `{}`", printable(line)));
  }
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (lines_ > 0 && code != code_) {
    return std::unexpected(fmt::format("a reply of two codes, {} and {}", code_, code));
  }
  code_ = code;
  if (++lines_ > most_lines) {
    return std::unexpected(fmt::format("a reply of more than {} lines", most_lines));
  }
  if (line.size() > 3 && line[3] == '-') return std::nullopt;
  lines_ = 0;
  return SmtpReply{code, printable(line.substr(std::min<size_t>(line.size(), 4)))};
}

}  // namespace headgate::control
