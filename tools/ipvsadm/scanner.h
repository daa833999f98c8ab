// Cuts a command line into options as ipvsadm's users write them: bundles (-Lnc), values behind the
// letter (-w3), after `=` (-w=3, --weight=3) or in the next word, optional values that no word with
// a dash can be, and words that are no options anywhere between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::ipvsadm {

enum class Takes : uint8_t { nothing, value, optional_value };

struct OptionName {
  int id;
  char letter;  // 0: none
  std::string_view name;
  Takes takes = Takes::nothing;
};

struct ScannedOption {
  int id = 0;
  std::string word;                  // in which it stood
  std::optional<std::string> value;  // of one that takes one
};

class Scanner {
 public:
  // `names` outlives the object.
  Scanner(std::span<const OptionName> names, std::vector<std::string> words)
      : names_(names), words_(std::move(words)) {}

  // The id in `names` for which next() takes the option's value to be optional, and an absent one
  // to be meant, where the next word has a dash; see -b of `-a`.
  void make_optional(int id) { made_optional_ = id; }

  // The next option, or nothing at the end. An error is a line for the user.
  [[nodiscard]] std::expected<std::optional<ScannedOption>, std::string> next();
  // The first word that was no option and was not asked for yet; complete after the end.
  [[nodiscard]] std::optional<std::string> take_word();

 private:
  using Result = std::expected<std::optional<ScannedOption>, std::string>;
  [[nodiscard]] Result next_long();
  [[nodiscard]] Result next_letter();
  [[nodiscard]] Result with_next_word(const OptionName& option, ScannedOption found);
  [[nodiscard]] Takes takes(const OptionName& option) const;

  std::span<const OptionName> names_;
  std::vector<std::string> words_;
  size_t at_ = 0;      // word
  size_t letter_ = 0;  // within a bundle; 0: a new word
  std::deque<std::string> rest_;
  std::optional<int> made_optional_;
};

}  // namespace headgate::ipvsadm
