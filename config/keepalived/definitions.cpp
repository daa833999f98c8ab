#include "config/keepalived/definitions.h"

#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "config/keepalived/trim.h"
#include "config/limits.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

bool begins_name(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool is_name_character(char c) {
  return begins_name(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}

size_t name_length(std::string_view text) {
  if (text.empty() || !begins_name(text.front())) return 0;
  size_t length = 1;
  while (length < text.size() && is_name_character(text[length]))
    ++length;
  return length;
}

// A definition may have several lines.
constexpr std::string_view blanks = " \t\n";

// The parts between commas; those within braces belong together.
std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const bool end = i == text.size();
    if (!end && text[i] == '{') ++depth;
    if (!end && text[i] == '}') --depth;
    if (!end && (text[i] != ',' || depth > 0)) continue;
    parts.push_back(trimmed(text.substr(begin, i - begin), blanks));
    begin = i + 1;
  }
  return parts;
}

// The elements of `{a, b}`, or the one that stands without braces.
std::vector<std::string_view> unwrapped(std::string_view text) {
  if (text.size() >= 2 && text.front() == '{' && text.back() == '}') {
    return split_list(text.substr(1, text.size() - 2));
  }
  return {text};
}

std::optional<int64_t> parse_step(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (hexadecimal) text.remove_prefix(2);
  uint32_t value = 0;
  const auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return negative ? -int64_t{value} : int64_t{value};
}

std::unexpected<std::string> refuse(std::string message) {
  return std::unexpected(std::move(message));
}

// ~SEQ(name, [[start,] [step,]] end)
std::expected<std::vector<Round>, std::string> sequence(const std::vector<std::string_view>& parts,
                                                        bool hexadecimal) {
  if (parts.size() < 2 || parts.size() > 4) {
    return refuse("~SEQ has a name, a start, a step and an end: ~SEQ(N, 1, 1, 9)");
  }
  std::vector<int64_t> numbers;
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto number = parse_step(parts[i]);
    if (!number) return refuse(fmt::format("{} is not a whole number", in_quotes(parts[i])));
    numbers.push_back(*number);
  }
  const int64_t end = numbers.back();
  const int64_t start = numbers.size() > 1 ? numbers.front() : (end > 0 ? 1 : -1);
  const int64_t step = numbers.size() == 3 ? numbers[1] : (end >= start ? 1 : -1);
  if (step == 0) return refuse("the step of ~SEQ is 0: it would never end");
  std::vector<Round> rounds;
  for (int64_t i = start; step > 0 ? i <= end : i >= end; i += step) {
    if (rounds.size() == max_keepalived_rounds) {
      return refuse(fmt::format("~SEQ has more than {} rounds", max_keepalived_rounds));
    }
    rounds.push_back(
        {{std::string(parts[0]), hexadecimal ? fmt::format("{:x}", i) : std::to_string(i)}});
  }
  return rounds;
}

// ~LST(name, value, ...) or ~LST({name, name}, {value, value}, ...)
std::expected<std::vector<Round>, std::string> listed(const std::vector<std::string_view>& parts) {
  const std::vector<std::string_view> names = unwrapped(parts.front());
  if (parts.size() < 2) return refuse("~LST has a name and at least one value: ~LST(N, a, b)");
  std::vector<Round> rounds;
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::vector<std::string_view> values = unwrapped(parts[i]);
    if (values.size() != names.size()) {
      return refuse(fmt::format("~LST has {} names and {} values in {}", names.size(),
                                values.size(), in_quotes(parts[i])));
    }
    Round& round = rounds.emplace_back();
    for (size_t j = 0; j < names.size(); ++j)
      round.emplace_back(names[j], values[j]);
  }
  return rounds;
}

}  // namespace

void Definitions::set(std::string_view name, std::string_view value) {
  values_.insert_or_assign(std::string(name), std::string(value));
}

bool Definitions::replace_once(std::string_view line, std::string& out) const {
  bool replaced = false;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == '$') {
      const bool braces = i + 1 < line.size() && line[i + 1] == '{';
      const std::string_view rest = line.substr(i + (braces ? 2 : 1));
      const size_t length = name_length(rest);
      const bool ends =
          braces ? length < rest.size() && rest[length] == '}'
                 : length == rest.size() || blanks.contains(rest[length]) || rest[length] == '=';
      const auto value = length > 0 && ends ? values_.find(rest.substr(0, length)) : values_.end();
      // `$NAME=` defines it anew.
      const bool definition = !braces && length < rest.size() && rest[length] == '=';
      if (value != values_.end() && !definition) {
        out += value->second;
        i += length + (braces ? 3 : 1);
        replaced = true;
        continue;
      }
    }
    out += line[i++];
  }
  return replaced;
}

std::expected<std::string, std::string> Definitions::replace(std::string_view line) const {
  std::string text(line);
  for (size_t round = 0; round < max_keepalived_depth; ++round) {
    std::string next;
    if (!replace_once(text, next)) return text;
    if (next.size() > max_keepalived_line) {
      return refuse(fmt::format("the line grows beyond {} bytes", max_keepalived_line));
    }
    text = std::move(next);
    // The lines of a value are looked at one by one: they may define names of their own.
    if (text.contains('\n')) return text;
  }
  return refuse("a definition contains itself");
}

std::string_view defined_name(std::string_view line) {
  if (!line.starts_with('$')) return {};
  const size_t length = name_length(line.substr(1));
  if (length == 0 || length + 1 >= line.size() || line[length + 1] != '=') return {};
  return line.substr(1, length);
}

bool is_repetition(std::string_view line) {
  return line.starts_with("~SEQ") || line.starts_with("~LST");
}

std::expected<Repetition, std::string> parse_repetition(std::string_view line) {
  const bool hexadecimal = line.starts_with("~SEQx");
  const size_t open = hexadecimal ? 5 : 4;
  const size_t close = line.find(')');
  if (open >= line.size() || line[open] != '(' || close == std::string_view::npos) {
    return refuse("a list looks like ~SEQ(N, 1, 9) or ~LST(N, a, b)");
  }
  const std::vector<std::string_view> parts = split_list(line.substr(open + 1, close - open - 1));
  for (const std::string_view name : unwrapped(parts.front())) {
    if (name.empty() || name_length(name) != name.size()) {
      return refuse(fmt::format("{} is not a name", in_quotes(name)));
    }
  }
  auto rounds = line.starts_with("~LST") ? listed(parts) : sequence(parts, hexadecimal);
  if (!rounds) return refuse(std::move(rounds.error()));
  return Repetition{.rounds = std::move(*rounds), .rest = trimmed(line.substr(close + 1), blanks)};
}

}  // namespace headgate::config::keepalived
