#include "config/keepalived/tree.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/source_text.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = std::tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
}

// The number at `at` of up to `most` digits; `at` moves past them.
char number_escape(std::string_view text, size_t& at, int base, size_t most) {
  unsigned value = 0;
  for (size_t count = 0; count < most && at < text.size() && digit(text[at]) < base; ++count, ++at)
    value = value * static_cast<unsigned>(base) + static_cast<unsigned>(digit(text[at]));
  return static_cast<char>(value);
}

// What the backslash before text[at] means; `at` moves past it.
char escape(std::string_view text, size_t& at) {
  const char c = text[at];
  if (c >= '0' && c <= '7') return number_escape(text, at, 8, 3);
  ++at;
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'E':
      return '\x1b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case 'x':
      return number_escape(text, at, 16, 2);
    case 'c':
      return at < text.size() ? static_cast<char>(text[at++] & 0x1f) : c;
    default:
      return c;
  }
}

class TreeParser {
 public:
  explicit TreeParser(Source& source) : source_(source) {}

  std::vector<Statement> parse() {
    for (const SourceLine& line : source_.lines)
      read_line(line);
    for (size_t i = 1; i < open_.size(); ++i)
      add_error(open_[i], "{", "is never closed: a '}' is missing");
    return std::move(root_);
  }

 private:
  void read_line(const SourceLine& line) {
    Statement statement{.place = line.place, .words = {}, .block = false, .children = {}};
    const std::string_view text = line.text;
    for (size_t at = 0; at < text.size();) {
      const char c = text[at];
      if (is_blank(c)) {
        ++at;
      } else if (c == '{' || c == '}') {
        finish(statement);
        statement.place = line.place;
        ++at;
        if (c == '{') {
          open(line.place);
        } else {
          close(line.place);
        }
      } else {
        statement.words.push_back(read_word(line, at));
      }
    }
    finish(statement);
  }

  Word read_word(const SourceLine& line, size_t& at) {
    const std::string_view text = line.text;
    Word word;
    word.quoted = text[at] == '"' || text[at] == '\'';
    while (at < text.size() && !is_blank(text[at])) {
      const char c = text[at];
      if (c == '{' || c == '}') break;
      if (c == '$' && at + 1 < text.size() && text[at + 1] == '{') {
        // A name that nothing defined is no block.
        const size_t end = std::min(text.find('}', at), text.size() - 1);
        word.text += text.substr(at, end + 1 - at);
        at = end + 1;
      } else if (c == '"' || c == '\'') {
        read_quoted(line, at, word.text);
      } else {
        word.text += c;
        ++at;
      }
    }
    check(line, word.text);
    return word;
  }

  // A comment may hold any bytes, in any encoding; a word goes into messages and into YAML.
  void check(const SourceLine& line, std::string& word) {
    const auto is_plain = [](unsigned char c) { return c >= 0x20 && c < 0x7f; };
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (std::ranges::all_of(word, is_plain)) return;
    const bool control = std::ranges::any_of(word, is_control);
    if (!control && !SourceText(word).bad_byte()) return;
    add_error(line.place, {},
              fmt::format("{} holds {}", in_quotes(word),
                          control ? "a control character" : "what is not UTF-8"));
    std::ranges::replace_if(
        word, [&](char c) { return !is_plain(static_cast<unsigned char>(c)); }, '?');
  }

  // From the opening quote past the closing one.
  void read_quoted(const SourceLine& line, size_t& at, std::string& out) {
    const std::string_view text = line.text;
    const char quote = text[at++];
    while (at < text.size() && text[at] != quote) {
      if (text[at] == '\\' && at + 1 < text.size()) {
        out += escape(text, ++at);
      } else {
        out += text[at] == '\t' ? ' ' : text[at];
        ++at;
      }
    }
    if (at < text.size()) {
      ++at;
      return;
    }
    add_error(line.place, {}, fmt::format("a {} has no end: {}", quote, in_quotes(text)));
  }

  std::vector<Statement>& list() {
    std::vector<Statement>* at = &root_;
    for (size_t i = 1; i < open_.size(); ++i)
      at = &at->back().children;
    return *at;
  }

  void finish(Statement& statement) {
    if (statement.words.empty()) return;
    pending_ = true;
    list().push_back(std::exchange(statement, Statement{}));
  }

  void open(Place place) {
    if (open_.size() > max_keepalived_blocks) {
      return add_error(
          place, "{",
          fmt::format("blocks lie more than {} deep in each other", max_keepalived_blocks));
    }
    std::vector<Statement>& statements = list();
    if (!pending_ || statements.empty() || statements.back().block) {
      add_error(place, "{", "a block without a keyword before it");
      statements.push_back(
          {.place = place, .words = {{.text = "{"}}, .block = true, .children = {}});
    }
    statements.back().block = true;
    open_.push_back(place);
    pending_ = false;
  }

  void close(Place place) {
    pending_ = false;
    if (open_.size() == 1) return add_error(place, "}", "closes a block that is not open");
    open_.pop_back();
  }

  void add_error(Place place, std::string_view what, std::string message) {
    if (source_.errors.size() >= max_keepalived_errors) return;
    source_.errors.push_back({.file = source_.files[place.file],
                              .line = place.line,
                              .path = std::string(what),
                              .message = std::move(message)});
  }

  Source& source_;
  std::vector<Statement> root_;
  std::vector<Place> open_{Place{}};  // where each open block begins, after the file itself
  bool pending_ = false;              // a statement was read that a '{' may follow
};

}  // namespace

std::vector<Statement> parse_tree(Source& source) {
  return TreeParser(source).parse();
}

}  // namespace headgate::config::keepalived
