// Which columns each list of `headgate show` has, and how a value of a row becomes text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace headgate::cli {

enum class Kind : uint8_t {
  text,      // as it is
  count,     // 12.3M
  bytes,     // 4.5 GB
  duration,  // seconds: 2m05s
  percent,   // 12.5 %
  plain,     // a number with all its digits: a weight, a generation
};

struct ListColumn {
  std::string_view heading;
  std::string_view key;
  Kind kind = Kind::text;
  bool summed = false;
  std::string_view of_key{};  // "2/3": the value of `key` of the value of `of_key`
};

struct ListLayout {
  std::string_view command;
  std::string_view nothing;  // what to say of an empty list
  bool in_pieces = false;    // print rows as they come; a list without totals
  bool rates = false;        // traffic by the second
  std::span<const ListColumn> columns;
};

// The layout of a command's list, or null when it has none. `rates`: where there are two, the one
// with traffic by the second.
[[nodiscard]] const ListLayout* find_layout(std::string_view command, bool rates = false);

[[nodiscard]] std::string cell_text(const ListColumn& column, const boost::json::object& row,
                                    bool exact);
// A non-negative number of a row, 0 where there is none.
[[nodiscard]] uint64_t number_of(const boost::json::object& row, std::string_view key);
[[nodiscard]] std::string text_of(const boost::json::object& row, std::string_view key);

}  // namespace headgate::cli
