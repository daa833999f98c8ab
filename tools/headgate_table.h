// Tables of text for people, and numbers as people read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::cli {

enum class Align : uint8_t { left, right };

struct Column {
  std::string heading;
  Align align = Align::left;
};

// Columns are as wide as their widest cell, two blanks apart, without trailing blanks.
class Table {
 public:
  explicit Table(std::vector<Column> columns);

  void add(std::vector<std::string> cells);
  // A last row below a line.
  void set_total(std::vector<std::string> cells) { total_ = std::move(cells); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // The rows so far, and forgets them; the headings come with the first piece only, and columns
  // never get narrower, so a long list can be printed in pieces.
  [[nodiscard]] std::string take();

 private:
  void widen(const std::vector<std::string>& cells);
  [[nodiscard]] std::string line(const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::string> total_;
  bool headings_done_ = false;
};

// 12345, 123.5K, 12.3M; with `exact` all digits.
[[nodiscard]] std::string count_text(uint64_t value, bool exact);
// 999 B, 12.3 kB, 4.5 GB (powers of 1000); with `exact` all digits.
[[nodiscard]] std::string bytes_text(uint64_t value, bool exact);
// 45s, 2m05s, 3h00m, 2d04h.
[[nodiscard]] std::string duration_text(uint64_t seconds);

}  // namespace headgate::cli
