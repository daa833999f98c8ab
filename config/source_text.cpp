#include "config/source_text.h"

#include <algorithm>

#include <fmt/format.h>

namespace headgate::config {
namespace {

bool is_continuation(char c) {
  return (static_cast<uint8_t>(c) & 0xc0) == 0x80;
}

// Length of the UTF-8 sequence at `at` (RFC 3629: shortest form, no surrogates), 0 if it is none.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint8_t{0};
  };
  const auto follows = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const uint8_t low = first == 0xe0 ? 0xa0 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const uint8_t low = first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

SourceText::SourceText(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  body_ = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  scan();
  body_ += "\n#";
}

void SourceText::scan() {
  for (size_t at = 0; at < body_.size();) {
    const auto byte = static_cast<uint8_t>(body_[at]);
    const size_t length = utf8_length(body_, at);
    const bool control =
        (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
    if (length == 0 || control) {
      const size_t line = line_starts_.size() - 1;
      bad_byte_ = {
          position(line, at - line_starts_.back()),
          control ? fmt::format("control character 0x{:02x}: remove it; a configuration is "
                                "plain text",
                                byte)
                  : fmt::format("byte 0x{:02x} is not UTF-8: save the file as UTF-8 text", byte)};
      return;
    }
    if (length > 1) ascii_ = false;
    at += length;
    if (byte == '\n') line_starts_.push_back(at);
  }
}

Position SourceText::position(size_t line, size_t offset) const {
  const size_t last = line_starts_.size() - 1;
  if (line > last) return position(last, this->line(last).size());
  size_t column = offset;
  if (!ascii_) {
    const std::string_view before = std::string_view(body_).substr(line_starts_[line], offset);
    column -= static_cast<size_t>(std::ranges::count_if(before, is_continuation));
  }
  return {static_cast<uint32_t>(line) + 1, static_cast<uint32_t>(column) + 1};
}

std::string_view SourceText::line(size_t line) const {
  if (line >= line_starts_.size()) return {};
  const std::string_view rest = std::string_view(body_).substr(line_starts_[line]);
  const std::string_view whole = rest.substr(0, rest.find('\n'));
  return whole.substr(0, whole.find_last_not_of('\r') + 1);
}

std::optional<Position> SourceText::empty_element(size_t line, size_t offset, size_t first) const {
  static constexpr size_t farthest = 1000;  // lines of comments in between
  for (size_t back = 0; back < farthest && line >= first + back; ++back) {
    const std::string_view whole = this->line(line - back);
    const std::string_view text = back == 0 ? whole.substr(0, offset) : whole;
    const size_t rest = text.find_first_not_of(" -");
    if (rest != std::string_view::npos && text[rest] != '#') continue;
    const size_t dash = text.substr(0, rest).rfind('-');
    if (dash != std::string_view::npos) return position(line - back, dash);
  }
  return std::nullopt;
}

}  // namespace headgate::config
