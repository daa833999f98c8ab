// The text of a file by lines: for positions that people count, in characters from 1, and for a
// closer look at the lines around a mistake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::config {

struct Position {
  uint32_t line = 1;
  uint32_t column = 1;

  bool operator==(const Position&) const = default;
  auto operator<=>(const Position&) const = default;
};

// What is wrong with a text at one place of it.
struct Complaint {
  Position where;
  std::string message;
};

class SourceText {
 public:
  explicit SourceText(std::string_view text);

  // The text for yaml-cpp: without byte order mark, and with a comment at its end, since yaml-cpp
  // takes quotes that are never closed for closed when the file ends with a newline.
  [[nodiscard]] std::string_view body() const { return body_; }
  // The first byte that no configuration holds: control characters, and what is not UTF-8.
  [[nodiscard]] const std::optional<Complaint>& bad_byte() const { return bad_byte_; }

  // Lines and byte offsets in them count from 0 here, as yaml-cpp counts. What lies behind the end
  // of the text is placed there.
  [[nodiscard]] Position position(size_t line, size_t offset) const;
  [[nodiscard]] std::string_view line(
      size_t line) const;  // without its end; empty if there is none
  // The closest '-' that has nothing behind it, from (line, offset) backwards to line `first`.
  [[nodiscard]] std::optional<Position> empty_element(size_t line, size_t offset,
                                                      size_t first) const;

 private:
  void scan();

  std::string body_;
  std::vector<size_t> line_starts_{0};
  bool ascii_ = true;
  std::optional<Complaint> bad_byte_;
};

}  // namespace headgate::config
