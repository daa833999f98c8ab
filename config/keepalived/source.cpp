#include "config/keepalived/source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <glob.h>
#include <utility>

#include <fmt/format.h>

#include "config/keepalived/definitions.h"
#include "config/keepalived/trim.h"
#include "config/limits.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

constexpr std::string_view blanks = " \t\r\f\v";  // within a line

std::string_view next_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

// What stands before '#' or '!'; quotes protect both, and within them a backslash the next
// character.
std::string_view without_comment(std::string_view line) {
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#' || c == '!') {
      return line.substr(0, i);
    }
  }
  return line;
}

// The first word, and what follows it.
std::pair<std::string_view, std::string_view> split_word(std::string_view line) {
  const size_t end = std::min(line.find_first_of(" \t"), line.size());
  return {line.substr(0, end), trimmed(line.substr(end), blanks)};
}

// includer, includem, includew, includeb and includea want their files to be there.
bool is_include(std::string_view word) {
  return word.starts_with("include") &&
         (word.size() == 7 || (word.size() == 8 && std::string_view("rmwba").contains(word[7])));
}

class SourceReader {
 public:
  explicit SourceReader(const SourceOptions& options) : options_(options) {
    definitions_.set("_HASH", "#");
    definitions_.set("_BANG", "!");
    if (options.config_id) definitions_.set("_INSTANCE", *options.config_id);
  }

  // The outermost file, which none may include.
  void begin(const std::string& name) {
    std::error_code error;
    open_.push_back(std::filesystem::weakly_canonical(name, error));
  }

  void file(std::string_view text, const std::string& name) {
    const std::string folder_before = std::exchange(folder_, folder_of(name));
    definitions_.set("_PWD", folder_.empty() ? "." : folder_);
    source_.files.push_back(name);
    const auto file = static_cast<uint32_t>(source_.files.size() - 1);
    uint32_t number = 0;
    while (!text.empty() && !stopped_) {
      const Place place{.file = file, .line = ++number};
      std::string line(trimmed(without_comment(next_line(text)), blanks));
      // A value of several lines keeps them apart; any other line is one.
      const char joint = is_open_definition(line) ? '\n' : ' ';
      while (line.ends_with('\\') && !text.empty()) {
        line.pop_back();
        ++number;
        line += joint;
        line += trimmed(without_comment(next_line(text)), blanks);
        if (line.size() > max_keepalived_line) {
          return fail(place, {}, fmt::format("a line of more than {} bytes", max_keepalived_line));
        }
      }
      if (line.ends_with('\\')) line.pop_back();
      handle(place, line, 0);
    }
    folder_ = folder_before;
    definitions_.set("_PWD", folder_.empty() ? "." : folder_);
  }

  [[nodiscard]] Source take() { return std::move(source_); }

 private:
  static std::string folder_of(const std::string& name) {
    return std::filesystem::path(name).parent_path().string();
  }

  // `$NAME= \` or `@id $NAME= \`.
  static bool is_open_definition(std::string_view line) {
    if (line.starts_with('@')) line = split_word(line).second;
    const std::string_view name = defined_name(line);
    return !name.empty() && trimmed(line.substr(name.size() + 2), blanks) == "\\";
  }

  void handle(Place place, std::string_view text, size_t depth) {
    std::string_view line = trimmed(text, blanks);
    if (line.empty() || stopped_) return;
    if (!step(place)) return;
    if (depth > max_keepalived_depth) return fail(place, {}, "definitions lie too deep in another");
    if (line.starts_with('@')) {
      const auto [id, rest] = split_word(line.substr(1));
      if (is_ours(id)) handle(place, rest, depth + 1);
      return;
    }
    if (is_include(split_word(line).first)) return include(place, line);
    if (const std::string_view name = defined_name(line); !name.empty()) {
      definitions_.set(name, trimmed(line.substr(name.size() + 2), blanks));
      return;
    }
    if (is_repetition(line)) return repeat(place, line, depth);
    expand(place, line, depth);
  }

  // False, with an error, once there were too many.
  bool step(Place place) {
    if (++steps_ <= max_keepalived_steps) return true;
    if (!stopped_) {
      fail(place, {},
           fmt::format("more than {} lines, with all repetitions", max_keepalived_steps));
    }
    stopped_ = true;
    return false;
  }

  void expand(Place place, std::string_view line, size_t depth) {
    if (line.contains("${_RANDOM")) {
      return fail(place, "${_RANDOM}", "a configuration that is another one each time it is read");
    }
    const auto replaced = definitions_.replace(line);
    if (!replaced) return fail(place, {}, replaced.error());
    if (*replaced == line) return emit(place, line);
    std::string_view rest = *replaced;
    // A value may hold lines, conditions and definitions of its own.
    if (rest.contains('\n') || rest.starts_with('@') || rest.starts_with('~')) {
      while (!rest.empty())
        handle(place, next_line(rest), depth + 1);
    } else {
      emit(place, rest);
    }
  }

  void repeat(Place place, std::string_view line, size_t depth) {
    const auto repetition = parse_repetition(line);
    if (!repetition) return fail(place, line.substr(0, 4), repetition.error());
    for (const Round& round : repetition->rounds) {
      // What is repeated may be nothing at all.
      if (stopped_ || !step(place)) return;
      for (const auto& [name, value] : round)
        definitions_.set(name, value);
      handle(place, repetition->rest, depth + 1);
    }
  }

  [[nodiscard]] bool is_ours(std::string_view id) const {
    const bool negative = id.starts_with('^');
    if (negative) id.remove_prefix(1);
    return (options_.config_id && id == *options_.config_id) != negative;
  }

  void include(Place place, std::string_view line) {
    const auto [word, rest] = split_word(line);
    const std::string keyword(word);
    std::string pattern(rest);
    if (pattern.size() >= 2 && pattern.front() == pattern.back() &&
        (pattern.front() == '"' || pattern.front() == '\'')) {
      pattern = pattern.substr(1, pattern.size() - 2);
    }
    if (pattern.empty()) return fail(place, keyword, "the name of a file is missing");
    if (!options_.includes) return fail(place, keyword, "this text cannot include files");
    if (open_.size() >= max_keepalived_includes) {
      return fail(
          place, keyword,
          fmt::format("files include each other more than {} deep", max_keepalived_includes));
    }
    if (!pattern.starts_with('/') && !folder_.empty()) pattern = folder_ + "/" + pattern;
    glob_t found{};
    const int status = glob(pattern.c_str(), GLOB_BRACE, nullptr, &found);
    std::vector<std::string> names;
    if (status == 0) names.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    globfree(&found);
    if (names.empty()) {
      const std::string none = fmt::format("no file is called {}", in_quotes(pattern));
      if (keyword == "include") {
        source_.notes.push_back({.place = place, .keyword = keyword, .text = none + ": left out"});
      } else {
        fail(place, keyword, none);
      }
    }
    for (const std::string& name : names)
      include_file(place, keyword, name);
  }

  void include_file(Place place, const std::string& keyword, const std::string& name) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::canonical(name, error);
    if (error || !std::filesystem::is_regular_file(path, error)) {
      return fail(place, keyword, fmt::format("{} is no file that can be read", in_quotes(name)));
    }
    if (std::ranges::find(open_, path) != open_.end()) {
      return fail(place, keyword, fmt::format("{} includes itself", in_quotes(name)));
    }
    if (source_.files.size() >= max_keepalived_files) {
      return fail(place, keyword, fmt::format("more than {} files", max_keepalived_files));
    }
    std::ifstream stream(path, std::ios::binary);
    const auto size = std::filesystem::file_size(path, error);
    if (!stream.is_open() || error) {
      return fail(place, keyword, fmt::format("{} cannot be read", in_quotes(name)));
    }
    if (size > max_file_bytes) {
      return fail(place, keyword,
                  fmt::format("{} has more than {} bytes", in_quotes(name), max_file_bytes));
    }
    std::string text(size, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(size));
    text.resize(static_cast<size_t>(stream.gcount()));
    open_.push_back(path);
    file(text, name);
    open_.pop_back();
  }

  void emit(Place place, std::string_view line) {
    bytes_ += line.size() + 1;
    if (bytes_ > max_file_bytes || source_.lines.size() >= max_keepalived_lines) {
      stopped_ = true;
      return fail(place, {},
                  fmt::format("the configuration has more than {} lines or {} bytes",
                              max_keepalived_lines, max_file_bytes));
    }
    source_.lines.push_back({.place = place, .text = std::string(line)});
  }

  void fail(Place place, std::string_view keyword, std::string message) {
    if (source_.errors.size() >= max_keepalived_errors) stopped_ = true;
    source_.errors.push_back({.file = source_.files[place.file],
                              .line = place.line,
                              .path = std::string(keyword),
                              .message = std::move(message)});
  }

  const SourceOptions& options_;
  Definitions definitions_;
  Source source_;
  std::string folder_;
  std::vector<std::filesystem::path> open_;  // files that are being read, the outermost first
  size_t bytes_ = 0;
  size_t steps_ = 0;
  bool stopped_ = false;
};

}  // namespace

Source read_source(std::string_view text, std::string_view name, const SourceOptions& options) {
  SourceReader reader(options);
  const std::string file(name);
  if (options.includes) reader.begin(file);
  reader.file(text, file);
  return reader.take();
}

}  // namespace headgate::config::keepalived
