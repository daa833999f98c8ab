#include "config/keepalived/values.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

std::optional<uint64_t> parse_digits(std::string_view text) {
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const std::string* word(Draft& draft, const Statement& statement, size_t index,
                        std::string_view what) {
  if (index < statement.words.size()) return &statement.words[index].text;
  draft.error(statement, fmt::format("{} is missing", what));
  return nullptr;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

}  // namespace

void only(Draft& draft, const Statement& statement, size_t count) {
  if (statement.words.size() > count) {
    draft.mistake(statement, fmt::format("{} is one word too many, and ignored",
                                         in_quotes(statement.words[count].text)));
  }
  no_block(draft, statement);
}

void no_block(Draft& draft, const Statement& statement) {
  if (statement.block) draft.mistake(statement, "has no block: what stands in braces is ignored");
}

std::optional<std::string> text(Draft& draft, const Statement& statement, size_t index) {
  const std::string* value = word(draft, statement, index, "a value");
  if (value == nullptr) return std::nullopt;
  return *value;
}

std::optional<uint64_t> number(Draft& draft, const Statement& statement, uint64_t min, uint64_t max,
                               size_t index) {
  const std::string* value = word(draft, statement, index, "a number");
  if (value == nullptr) return std::nullopt;
  const auto parsed = parse_digits(*value);
  if (parsed && *parsed >= min && *parsed <= max) return parsed;
  draft.error(statement,
              fmt::format("{} is not a whole number from {} to {}", in_quotes(*value), min, max));
  return std::nullopt;
}

std::optional<int32_t> signed_number(Draft& draft, const Statement& statement, int32_t min,
                                     int32_t max, size_t index) {
  const std::string* value = word(draft, statement, index, "a number");
  if (value == nullptr) return std::nullopt;
  std::string_view digits = *value;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const auto parsed = parse_digits(digits);
  if (parsed && *parsed <= INT32_MAX) {
    const auto result = static_cast<int32_t>(negative ? -static_cast<int64_t>(*parsed)
                                                      : static_cast<int64_t>(*parsed));
    if (result >= min && result <= max) return result;
  }
  draft.error(statement,
              fmt::format("{} is not a whole number from {} to {}", in_quotes(*value), min, max));
  return std::nullopt;
}

std::optional<uint64_t> seconds(Draft& draft, const Statement& statement, uint64_t scale,
                                uint64_t min, uint64_t max, size_t index) {
  const std::string* value = word(draft, statement, index, "a time in seconds");
  if (value == nullptr) return std::nullopt;
  const auto as_seconds = [&](uint64_t units) {
    return fmt::format("{}", static_cast<double>(units) / static_cast<double>(scale));
  };
  const size_t point = std::min(value->find('.'), value->size());
  const std::string_view digits = *value;
  const auto whole = point == 0 && digits.size() > 1 ? std::optional<uint64_t>(0)
                                                     : parse_digits(digits.substr(0, point));
  uint64_t fraction = 0;
  bool good = whole && *whole <= max / scale + 1;
  uint64_t place = scale;
  for (size_t i = point + 1; i < digits.size(); ++i) {
    good = good && std::isdigit(static_cast<unsigned char>(digits[i])) != 0;
    place /= 10;
    if (good) fraction += place * static_cast<uint64_t>(digits[i] - '0');
  }
  if (good) {
    const uint64_t units = *whole * scale + fraction;
    if (units >= min && units <= max) return units;
  }
  draft.error(statement, fmt::format("{} is not a time from {} to {} seconds", in_quotes(*value),
                                     as_seconds(min), as_seconds(max)));
  return std::nullopt;
}

std::optional<uint32_t> whole_seconds(Draft& draft, const Statement& statement, uint32_t max,
                                      size_t index) {
  const auto units = seconds(draft, statement, 1000, 0, uint64_t{max} * 1000, index);
  if (!units) return std::nullopt;
  const auto rounded = static_cast<uint32_t>((*units + 999) / 1000);
  if (*units % 1000 != 0) {
    draft.note(statement, fmt::format("whole seconds here: {} is used", rounded));
  }
  return rounded;
}

std::optional<bool> boolean(Draft& draft, const Statement& statement, bool bare) {
  if (statement.words.size() < 2) return bare;
  const std::string value = lower(statement.words[1].text);
  only(draft, statement, 2);
  if (value == "on" || value == "true" || value == "yes") return true;
  if (value == "off" || value == "false" || value == "no") return false;
  draft.error(statement, fmt::format("{} is none of on, off, true, false, yes and no",
                                     in_quotes(statement.words[1].text)));
  return std::nullopt;
}

std::optional<net::IpAddress> address(Draft& draft, const Statement& statement, size_t index) {
  const std::string* value = word(draft, statement, index, "an address");
  if (value == nullptr) return std::nullopt;
  const auto parsed = net::parse_ip(*value);
  if (!parsed) {
    draft.error(statement, fmt::format("{} is not an IPv4 or IPv6 address", in_quotes(*value)));
  }
  return parsed;
}

std::optional<uint16_t> port(Draft& draft, const Statement& statement, size_t index) {
  const auto value = number(draft, statement, 0, UINT16_MAX, index);
  if (!value) return std::nullopt;
  return static_cast<uint16_t>(*value);
}

void unknown(Draft& draft, const Statement& statement, const std::vector<std::string_view>& known) {
  const std::string_view near = nearest(statement.keyword(), known);
  draft.mistake(
      statement,
      fmt::format("unknown keyword, ignored{}{}", statement.block ? " with its block" : "",
                  near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

}  // namespace headgate::config::keepalived
