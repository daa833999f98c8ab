#include "config/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

#include <fmt/format.h>

namespace headgate::config {
namespace {

constexpr size_t longest_quote = 60;

// Escapes in the form that both YAML's double quotes and people read.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    } else {
      result += c;
    }
  }
  return result;
}

// Does not cut a UTF-8 sequence in two.
std::string_view cut(std::string_view text, size_t length) {
  while (length > 0 && (static_cast<uint8_t>(text[length]) & 0xc0) == 0x80)
    --length;
  return text.substr(0, length);
}

bool is_plain(std::string_view text) {
  static constexpr std::array<std::string_view, 9> words{"null", "true", "false", "yes", "no",
                                                         "on",   "off",  "y",     "n"};
  const auto safe = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
           c == '-';
  };
  if (text.empty() || text.front() == '-' || !std::ranges::all_of(text, safe)) return false;
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(words, lower) == words.end();
}

// Optimal string alignment: insertions, deletions, replacements, and swaps of neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j)
    cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string in_quotes(std::string_view text) {
  if (text.size() <= longest_quote) return '"' + escaped(text) + '"';
  return '"' + escaped(cut(text, longest_quote)) + "...\"";
}

std::string as_yaml(std::string_view text) {
  return is_plain(text) ? std::string(text) : '"' + escaped(text) + '"';
}

std::string_view nearest(std::string_view text, const std::vector<std::string_view>& candidates) {
  static constexpr size_t longest_key = 40;
  if (text.size() > longest_key) return {};
  std::string folded(text);
  std::ranges::transform(folded, folded.begin(), [](unsigned char c) {
    return c == '-' || c == ' ' ? '_' : std::tolower(c);
  });
  std::string_view best;
  size_t best_distance = SIZE_MAX;
  for (const std::string_view candidate : candidates) {
    size_t distance = edit_distance(folded, candidate);
    // A unit or a plural left off, a word too short: timeout for timeout_s, pool for pool_name.
    if (folded.size() >= 3 && (candidate.starts_with(folded) || folded.starts_with(candidate))) {
      distance = std::min<size_t>(distance, 1);
    }
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best_distance <= std::max<size_t>(1, std::min(text.size(), best.size()) / 3)
             ? best
             : std::string_view{};
}

std::string join(const std::vector<std::string_view>& words, std::string_view last) {
  std::string result;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) result += i + 1 == words.size() ? fmt::format(" {} ", last) : ", ";
    result += words[i];
  }
  return result;
}

}  // namespace headgate::config
