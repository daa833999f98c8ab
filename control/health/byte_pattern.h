// Bytes that a check sends or expects: text as it is, or with `hex:` in front two hexadecimal
// digits a byte, blanks between bytes as one likes, X for any digit.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/error.h"

namespace headgate::control {

class BytePattern {
 public:
  [[nodiscard]] static std::expected<BytePattern, Error> parse(std::string_view text);

  // Whether `bytes` begin so.
  [[nodiscard]] bool matches(std::span<const uint8_t> bytes) const;
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  // An X is a 0 here.
  [[nodiscard]] const std::vector<uint8_t>& bytes() const { return bytes_; }
  [[nodiscard]] bool has_wildcards() const;

 private:
  [[nodiscard]] bool add_hex(char high, char low);

  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> masks_;  // of the digits that count
};

}  // namespace headgate::control
