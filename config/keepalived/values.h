// The values that follow a keyword. Each function tells the draft what is wrong and returns nothing
// then; words beyond the value are noted as superfluous by the caller's `only`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/keepalived/draft.h"
#include "dataplane/net/address.h"

namespace headgate::config::keepalived {

// A note on words after the first `count` of the statement, keyword included.
void only(Draft& draft, const Statement& statement, size_t count);
// A note that the keyword's block is not looked at, if it has one.
void no_block(Draft& draft, const Statement& statement);

[[nodiscard]] std::optional<std::string> text(Draft& draft, const Statement& statement,
                                              size_t index = 1);
[[nodiscard]] std::optional<uint64_t> number(Draft& draft, const Statement& statement, uint64_t min,
                                             uint64_t max, size_t index = 1);
[[nodiscard]] std::optional<int32_t> signed_number(Draft& draft, const Statement& statement,
                                                   int32_t min, int32_t max, size_t index = 1);
// Seconds with a fraction, in units of 1/`scale` s: 2.5 is 2500 with a scale of 1000. Bounds are in
// those units, too.
[[nodiscard]] std::optional<uint64_t> seconds(Draft& draft, const Statement& statement,
                                              uint64_t scale, uint64_t min, uint64_t max,
                                              size_t index = 1);
// Whole seconds; a fraction is rounded up, with a note.
[[nodiscard]] std::optional<uint32_t> whole_seconds(Draft& draft, const Statement& statement,
                                                    uint32_t max, size_t index = 1);
// on, off, true, false, yes, no; `bare` without a word.
[[nodiscard]] std::optional<bool> boolean(Draft& draft, const Statement& statement,
                                          bool bare = true);
[[nodiscard]] std::optional<net::IpAddress> address(Draft& draft, const Statement& statement,
                                                    size_t index = 1);
[[nodiscard]] std::optional<uint16_t> port(Draft& draft, const Statement& statement, size_t index);

// A keyword of a section and what it does there.
template <typename Section>
struct Keyword {
  std::string_view name;
  void (*read)(Section& section, const Statement& statement);
};
// A keyword that has no counterpart, and what happens instead.
struct Unsupported {
  std::string_view name;
  std::string_view text;
};

// Tells of a keyword that none of the tables has.
void unknown(Draft& draft, const Statement& statement, const std::vector<std::string_view>& known);

// Hands each statement to the keyword of its name; `section` has a member `draft`, and `path`,
// where notes belong.
template <typename Section>
void read_section(Section& section, const std::vector<Statement>& statements,
                  std::span<const Keyword<Section>> keywords,
                  std::span<const Unsupported> unsupported) {
  for (const Statement& statement : statements) {
    bool found = false;
    for (const Keyword<Section>& keyword : keywords) {
      if (keyword.name != statement.keyword()) continue;
      keyword.read(section, statement);
      found = true;
      break;
    }
    for (const Unsupported& keyword : unsupported) {
      if (found || keyword.name != statement.keyword()) continue;
      section.draft.note(statement, std::string(keyword.text), section.path);
      found = true;
    }
    if (found) continue;
    std::vector<std::string_view> known;
    for (const Keyword<Section>& keyword : keywords)
      known.push_back(keyword.name);
    for (const Unsupported& keyword : unsupported)
      known.push_back(keyword.name);
    unknown(section.draft, statement, known);
  }
}

}  // namespace headgate::config::keepalived
