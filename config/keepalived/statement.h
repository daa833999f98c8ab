// What a keepalived.conf consists of once it is read: statements of words, with blocks of further
// statements, each with its place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace headgate::config::keepalived {

struct Place {
  uint32_t file = 0;  // index into Source::files
  uint32_t line = 0;  // from 1
};

struct Word {
  std::string text;     // without quotes, escapes resolved
  bool quoted = false;  // it began with a quote
};

// `keyword argument ... { statements }`; a statement has at least one word.
struct Statement {
  Place place;
  std::vector<Word> words;
  bool block = false;
  std::vector<Statement> children;

  [[nodiscard]] const std::string& keyword() const { return words.front().text; }
};

}  // namespace headgate::config::keepalived
