#include "tools/headgate_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace headgate::cli {

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_)
    widths_.push_back(column.heading.size());
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::take() {
  for (const auto& row : rows_)
    widen(row);
  if (!total_.empty()) widen(total_);
  std::string text;
  if (!headings_done_) {
    std::vector<std::string> headings;
    headings.reserve(columns_.size());
    for (const Column& column : columns_)
      headings.push_back(column.heading);
    text += line(headings);
    headings_done_ = true;
  }
  for (const auto& row : rows_)
    text += line(row);
  if (!total_.empty()) {
    size_t width = 2 * (widths_.size() - 1);
    for (const size_t column : widths_)
      width += column;
    text += std::string(width, '-') + "\n" + line(total_);
  }
  rows_.clear();
  total_.clear();
  return text;
}

void Table::widen(const std::vector<std::string>& cells) {
  for (size_t i = 0; i < cells.size(); ++i)
    widths_[i] = std::max(widths_[i], cells[i].size());
}

std::string Table::line(const std::vector<std::string>& cells) const {
  std::string text;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) text += "  ";
    text += columns_[i].align == Align::left ? fmt::format("{:<{}}", cells[i], widths_[i])
                                             : fmt::format("{:>{}}", cells[i], widths_[i]);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

namespace {

// `value` divided down to below 1000, with the prefix that names the divisor.
std::pair<double, std::string_view> scaled(uint64_t value,
                                           const std::array<std::string_view, 6>& prefixes) {
  auto number = static_cast<double>(value);
  size_t step = 0;
  // 999.95 would be printed as 1000.0.
  while (number >= 999.95 && step + 1 < prefixes.size()) {
    number /= 1000;
    ++step;
  }
  return {number, prefixes[step]};
}

}  // namespace

std::string count_text(uint64_t value, bool exact) {
  if (exact || value < 100000) return std::to_string(value);
  const auto [number, prefix] = scaled(value, {"", "K", "M", "G", "T", "P"});
  return fmt::format("{:.1f}{}", number, prefix);
}

std::string bytes_text(uint64_t value, bool exact) {
  if (exact) return std::to_string(value);
  if (value < 1000) return fmt::format("{} B", value);
  const auto [number, prefix] = scaled(value, {"", "k", "M", "G", "T", "P"});
  return fmt::format("{:.1f} {}B", number, prefix);
}

std::string duration_text(uint64_t seconds) {
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

}  // namespace headgate::cli
