#include "tools/ipvsadm/scanner.h"

#include <algorithm>
#include <utility>

namespace headgate::ipvsadm {

namespace {

std::unexpected<std::string> mistake(const std::string& word, std::string_view what) {
  return std::unexpected(word + ": " + std::string(what));
}

constexpr std::string_view unknown = "unknown option";
constexpr std::string_view no_argument = "option does not take an argument";

}  // namespace

Scanner::Result Scanner::next() {
  if (letter_ > 0) return next_letter();
  for (; at_ < words_.size(); ++at_) {
    const std::string& word = words_[at_];
    if (word == "--") {
      rest_.insert(rest_.end(), words_.begin() + static_cast<ptrdiff_t>(at_) + 1, words_.end());
      at_ = words_.size();
      break;
    }
    if (word.starts_with("--")) return next_long();
    if (word.size() > 1 && word.front() == '-') {
      letter_ = 1;
      return next_letter();
    }
    rest_.push_back(word);
  }
  return std::nullopt;
}

std::optional<std::string> Scanner::take_word() {
  if (rest_.empty()) return std::nullopt;
  std::string word = std::move(rest_.front());
  rest_.pop_front();
  return word;
}

Takes Scanner::takes(const OptionName& option) const {
  return made_optional_ == option.id ? Takes::optional_value : option.takes;
}

Scanner::Result Scanner::next_long() {
  const std::string& word = words_[at_];
  const std::string_view text = std::string_view(word).substr(2);
  const size_t equals = text.find('=');
  const auto* option =
      std::to_address(std::ranges::find(names_, text.substr(0, equals), &OptionName::name));
  if (option == std::to_address(names_.end()) || text.empty() || equals == 0) {
    return mistake(word, unknown);
  }
  ++at_;
  ScannedOption found{option->id, word, std::nullopt};
  if (equals != std::string_view::npos) {
    if (takes(*option) == Takes::nothing) return mistake(word, no_argument);
    found.value = text.substr(equals + 1);
    return found;
  }
  return with_next_word(*option, std::move(found));
}

Scanner::Result Scanner::next_letter() {
  const std::string& word = words_[at_];
  const char letter = word[letter_];
  const auto* option = std::to_address(std::ranges::find(names_, letter, &OptionName::letter));
  if (option == std::to_address(names_.end()) || letter == 0) return mistake(word, unknown);
  ++letter_;
  ScannedOption found{option->id, word, std::nullopt};
  const std::string_view behind = std::string_view(word).substr(letter_);
  if (takes(*option) == Takes::nothing) {
    if (behind.starts_with('=')) return mistake(word, no_argument);
    if (behind.empty()) {
      letter_ = 0;
      ++at_;
    }
    return found;
  }
  letter_ = 0;
  ++at_;
  if (behind.empty()) return with_next_word(*option, std::move(found));
  found.value = behind.substr(behind.front() == '=' ? 1 : 0);
  return found;
}

Scanner::Result Scanner::with_next_word(const OptionName& option, ScannedOption found) {
  const Takes its = takes(option);
  if (its == Takes::nothing) return found;
  const bool there = at_ < words_.size();
  if (its == Takes::optional_value && (!there || words_[at_].starts_with('-'))) return found;
  if (!there) return mistake(found.word, "missing argument");
  found.value = words_[at_++];
  return found;
}

}  // namespace headgate::ipvsadm
