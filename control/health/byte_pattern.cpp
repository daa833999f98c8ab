#include "control/health/byte_pattern.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace headgate::control {

namespace {

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

}  // namespace

std::expected<BytePattern, Error> BytePattern::parse(std::string_view text) {
  constexpr std::string_view prefix = "hex:";
  BytePattern pattern;
  if (!text.starts_with(prefix)) {
    pattern.bytes_.assign(text.begin(), text.end());
    pattern.masks_.assign(text.size(), 0xff);
    return pattern;
  }
  std::string_view rest = text.substr(prefix.size());
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (rest.empty()) return pattern;
    if (rest.size() < 2 || !pattern.add_hex(rest[0], rest[1])) {
      return std::unexpected(
          Error{fmt::format("`{}`: a byte is two hexadecimal digits, or X for any", text)});
    }
    rest.remove_prefix(2);
  }
}

bool BytePattern::add_hex(char high, char low) {
  uint8_t byte = 0;
  uint8_t mask = 0;
  for (const char c : {high, low}) {
    const auto digit = hex_digit(c);
    if (!digit && c != 'X') return false;
    byte = static_cast<uint8_t>(byte << 4 | digit.value_or(0));
    mask = static_cast<uint8_t>(mask << 4 | (digit ? 0xf : 0));
  }
  bytes_.push_back(byte);
  masks_.push_back(mask);
  return true;
}

bool BytePattern::matches(std::span<const uint8_t> bytes) const {
  if (bytes.size() < bytes_.size()) return false;
  for (size_t i = 0; i < bytes_.size(); ++i) {
    if ((bytes[i] & masks_[i]) != bytes_[i]) return false;
  }
  return true;
}

bool BytePattern::has_wildcards() const {
  return std::ranges::any_of(masks_, [](uint8_t mask) { return mask != 0xff; });
}

}  // namespace headgate::control
