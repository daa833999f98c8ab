// Reads a keepalived.conf as it is: into a configuration that does the same, and notes on each
// thing that means something else here. docs/keepalived-keywords.md says what becomes of every
// keyword.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/model.h"

namespace headgate::config::keepalived {

// What keepalived calls `--config-id` when nobody says otherwise: `@headgate` lines count here and
// are skipped there.
inline constexpr std::string_view default_config_id = "headgate";

struct Options {
  std::optional<std::string> config_id{default_config_id};
  // NAME=PCI, NAME=vdev:ARGUMENTS or NAME=interface:INTERFACE, in place of what the file would
  // give.
  std::vector<std::string> ports;
  bool includes = true;  // false: `include` is an error
};

struct Note {
  std::string file;
  uint32_t line = 0;     // 0: about the file as a whole
  std::string keyword;   // that it is about
  std::string text;      // what happens instead
  std::string path;      // of the configuration, where it belongs: services[2].persistence
  bool mistake = false;  // keepalived complains of it as well, and goes on
};

struct Conversion {
  Config config;  // normalised and valid
  std::vector<Note> notes;
};

// Whether the text is a keepalived.conf and not YAML: by its first word that is no comment, and
// where that does not tell, by the end `.conf` of the name.
[[nodiscard]] bool is_keepalived(std::string_view text, std::string_view name);

// On failure: all errors and notes, with at least one error. `name` stands for the file in
// messages, and files to include are looked for beside it. Does not throw but for want of memory.
[[nodiscard]] std::expected<Conversion, std::vector<Error>> convert(std::string_view text,
                                                                    const std::string& name,
                                                                    const Options& options);

// `FILE:LINE: keyword: text`.
[[nodiscard]] std::string to_string(const Note& note);
[[nodiscard]] Error as_warning(const Note& note);

}  // namespace headgate::config::keepalived
