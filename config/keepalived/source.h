// The text of a keepalived.conf and the files that it includes, as the lines that count: without
// comments, with continued lines joined, `@id` lines taken or left, `$NAME=` definitions put in
// their places, `~SEQ` and `~LST` written out and `include` followed. The man page
// keepalived.conf(5) describes them; a backslash at the end of any line continues it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/keepalived/statement.h"

namespace headgate::config::keepalived {

struct SourceLine {
  Place place;
  std::string text;
};

// An include without a file, for one: the rest counts.
struct SourceNote {
  Place place;
  std::string keyword;
  std::string text;
};

struct Source {
  std::vector<std::string> files;
  std::vector<SourceLine> lines;
  std::vector<SourceNote> notes;
  std::vector<Error> errors;
};

struct SourceOptions {
  std::optional<std::string> config_id;  // empty: no `@id` line counts
  bool includes = true;                  // false: `include` is an error
};

[[nodiscard]] Source read_source(std::string_view text, std::string_view name,
                                 const SourceOptions& options);

}  // namespace headgate::config::keepalived
