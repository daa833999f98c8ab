#include "control/command_line.h"

#include <fmt/format.h>

namespace headgate::control {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  std::expected<std::vector<std::string>, Error> split() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (is_blank(c)) {
        end_word();
        ++at_;
      } else if (c == '\'' || c == '"') {
        if (!read_quoted(c)) return failure(fmt::format("a {} has no end", c));
      } else if (c == '\\') {
        if (at_ + 1 == text_.size()) return failure("a backslash stands at its end");
        append(text_[at_ + 1]);
        at_ += 2;
      } else {
        append(c);
        ++at_;
      }
    }
    end_word();
    if (words_.empty()) return failure("there is no word in it");
    return std::move(words_);
  }

 private:
  // From the opening quote past the closing one.
  bool read_quoted(char quote) {
    in_word_ = true;  // also of ''
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == quote) {
        ++at_;
        return true;
      }
      const bool escapes =
          quote == '"' && c == '\\' && at_ + 1 < text_.size() &&
          std::string_view("\"\\$`").find(text_[at_ + 1]) != std::string_view::npos;
      if (escapes) ++at_;
      append(text_[at_]);
    }
    return false;
  }

  void append(char c) {
    word_ += c;
    in_word_ = true;
  }

  void end_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  [[nodiscard]] std::unexpected<Error> failure(std::string_view what) const {
    return std::unexpected(Error{fmt::format("the command `{}`: {}", text_, what)});
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<std::string> words_;
  std::string word_;
  bool in_word_ = false;
};

}  // namespace

std::expected<std::vector<std::string>, Error> split_command(std::string_view text) {
  return Splitter(text).split();
}

std::expected<std::vector<std::string>, Error> command_words(
    std::string_view text, bool shell, const std::vector<std::string>& arguments) {
  std::expected<std::vector<std::string>, Error> words = split_command(text);
  // What a shell makes of a quote without end, in a here-document for one, is its own affair.
  if (shell && text.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    // A shell takes what follows the text from $0 on: its own name first.
    words = std::vector<std::string>{"/bin/sh", "-c", std::string(text)};
    if (!arguments.empty()) words->emplace_back("/bin/sh");
  }
  if (words) words->insert(words->end(), arguments.begin(), arguments.end());
  return words;
}

}  // namespace headgate::control
