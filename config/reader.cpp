// Walks the YAML tree and the schema side by side: each key finds its member, each value its codec.
#include "config/reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <tuple>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

#include "config/foreign_keys.h"
#include "config/report.h"
#include "config/schema.h"
#include "config/text.h"
#include "config/validate.h"
#include "config/yaml_tree.h"

namespace headgate::config {
namespace {

using Kind = YamlNode::Kind;

template <Section T>
std::vector<std::string_view> key_names() {
  std::vector<std::string_view> names;
  Schema<T>::fields([&](const Key& key, auto /*member*/, const auto&... /*codec*/) {
    names.push_back(key.name);
  });
  return names;
}

class Reader {
 public:
  Reader(const YamlTree& tree, std::string_view file) : tree_(tree), file_(file) {}

  template <Section T>
  void section(const YamlNode& node, T& out) {
    if (node.kind == Kind::null) return;  // a section whose keys are all left out
    if (node.kind != Kind::map) {
      if (!node.complete) return;
      fail(node, fmt::format("{}, where a section with {} is expected", describe(node),
                             join(key_names<T>(), "or")));
      return;
    }
    std::array<const YamlNode*, max_keys> seen{};
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const YamlNode& key = tree_.nodes[node.children[i]];
      const YamlNode& value = tree_.nodes[node.children[i + 1]];
      // After a syntax error only what was closed before it can be trusted.
      if (!node.complete && value.kind == Kind::scalar) continue;
      if (key.kind != Kind::scalar) {
        fail(key, fmt::format("{}, where a key is expected", describe(key)));
        continue;
      }
      const Step step(*this, key.text);
      if (find_key(key, key.text, value, out, seen)) continue;
      const std::string_view meant = unknown_key(key, key_names<T>());
      if (meant.empty()) continue;
      path_.back().key = meant;
      if (value.kind == Kind::list || value.kind == Kind::map) {
        // What is in it gets its messages in this run, too.
        find_key(key, meant, value, out, seen);
      } else {
        broken_.add(path());  // not to be called missing below
      }
    }
  }

  [[nodiscard]] std::vector<Error> take_errors() { return std::exchange(errors_, {}); }
  [[nodiscard]] const BrokenPaths& broken() const { return broken_; }

 private:
  // One step of the path while it is walked: a key, or an index when `key` is empty.
  struct PathPart {
    std::string_view key;
    size_t index = 0;
  };
  class Step {
   public:
    Step(Reader& reader, std::string_view key) : path_(reader.path_) { path_.push_back({key, 0}); }
    Step(Reader& reader, size_t index) : path_(reader.path_) { path_.push_back({{}, index}); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { path_.pop_back(); }

   private:
    std::vector<PathPart>& path_;
  };

  template <Section T>
  bool find_key(const YamlNode& key_node, std::string_view name, const YamlNode& value, T& out,
                std::array<const YamlNode*, max_keys>& seen) {
    size_t index = 0;
    bool found = false;
    Schema<T>::fields([&](const Key& key, auto member, const auto&... codec) {
      const size_t at = index++;
      if (found || key.name != name) return;
      found = true;
      if (seen[at] != nullptr) {
        fail(key_node, fmt::format("is given twice, first on line {}: keep one", seen[at]->line));
        return;
      }
      seen[at] = &key_node;
      field(key, value, out.*member, codec...);
    });
    return found;
  }

  // A section, an optional section or a list of sections.
  template <typename T>
  void field(const Key& key, const YamlNode& node, T& out) {
    const bool off = !key.empty.empty() && node.kind == Kind::scalar && node.text == key.empty;
    if constexpr (is_list<T>) {
      list(node, [&](const YamlNode& element) {
        auto& value = out.emplace_back();
        if (element.kind == Kind::null) {
          fail(element, "an empty element: remove the '-', or fill it in");
        } else {
          section(element, value);
        }
      });
    } else if constexpr (is_optional<T>) {
      if (off) {
        out.reset();
      } else {
        section(node, out.emplace());
      }
    } else {
      if constexpr (requires { out.enabled; }) out.enabled = !off;
      if (!off) section(node, out);
    }
  }

  // A value, an optional value or a list of values.
  template <typename T, typename Codec>
  void field(const Key& key, const YamlNode& node, T& out, const Codec& codec) {
    if constexpr (CodecOf<Codec, T>) {
      if (scalar(node, codec)) assign(node, codec.template parse<T>(node.text), out);
    } else if constexpr (is_optional<T>) {
      if (!key.empty.empty() && node.kind == Kind::scalar && node.text == key.empty) {
        out.reset();
      } else {
        field(key, node, out.emplace(), codec);
      }
    } else if constexpr (ManyCodec<Codec>) {
      list(node, [&](const YamlNode& element) {
        T values;
        if (!scalar(element, codec)) return;
        assign(element, codec.parse_many(element.text), values);
        out.insert(out.end(), values.begin(), values.end());
      });
    } else {
      list(node, [&](const YamlNode& element) {
        auto& value = out.emplace_back();
        if (!scalar(element, codec)) return;
        assign(element, codec.template parse<typename T::value_type>(element.text), value);
      });
    }
  }

  template <typename Element>
  void list(const YamlNode& node, const Element& element) {
    if (node.kind == Kind::null) return;
    if (node.kind != Kind::list) {
      if (!node.complete) return;
      const bool map = node.kind == Kind::map;
      fail(node, map ? "a section, where a list is expected: begin each element with '- '"
                     : fmt::format("one value, where a list is expected: write [{}]",
                                   as_yaml(node.text)));
      return;
    }
    for (size_t i = 0; i < node.children.size(); ++i) {
      const YamlNode& child = tree_.nodes[node.children[i]];
      if (!node.complete && child.kind == Kind::scalar) continue;
      const Step step(*this, i);
      element(child);
    }
  }

  template <typename Codec>
  bool scalar(const YamlNode& node, const Codec& codec) {
    if (node.kind == Kind::scalar) return true;
    if (!node.complete) return false;  // what it was meant to be is unknown
    fail(node, fmt::format("{}, where {} is expected", describe(node), codec.expected()));
    return false;
  }

  template <typename T, typename U>
  void assign(const YamlNode& node, Parsed<T> value, U& out) {
    if (value) {
      out = std::move(*value);
    } else {
      fail(node, std::move(value.error()));
    }
  }

  static std::string describe(const YamlNode& node) {
    switch (node.kind) {
      case Kind::null:
        return "no value";
      case Kind::list:
        return "a list";
      case Kind::map:
        return "a section";
      case Kind::scalar:
        return in_quotes(node.text);
    }
    return {};
  }

  // Returns the key that was probably meant, if any.
  std::string_view unknown_key(const YamlNode& key, const std::vector<std::string_view>& known) {
    if (key.text == "<<") {
      fail(key, "merge keys are not supported: write the keys out");
      return {};
    }
    std::string_view near = nearest(key.text, known);
    if (const auto word = foreign_key(key.text, known); !word.empty()) near = word;
    fail(key, near.empty() ? fmt::format("unknown key; the keys here are {}", join(known, "and"))
                           : fmt::format("unknown key; did you mean {}?", near));
    return near;
  }

  void fail(const YamlNode& node, std::string message) {
    broken_.add(path());
    errors_.push_back({.file = std::string(file_),
                       .line = node.line,
                       .column = node.column,
                       .path = path(),
                       .message = std::move(message)});
  }

  [[nodiscard]] std::string path() const {
    std::string result;
    for (const PathPart& part : path_) {
      if (part.key.empty()) {
        result += fmt::format("[{}]", part.index);
      } else {
        if (!result.empty()) result += '.';
        const std::string key = as_yaml(part.key);
        result += key.starts_with('"') ? in_quotes(part.key) : key;
      }
    }
    return result;
  }

  const YamlTree& tree_;
  std::string_view file_;
  std::vector<PathPart> path_;
  std::vector<Error> errors_;
  BrokenPaths broken_;
};

void place(Error& error, const YamlTree& tree, std::string_view file) {
  const YamlNode& node = tree.locate(error.path);
  error.file = file;
  error.line = node.line;
  error.column = node.column;
}

void append(std::vector<Error>& to, std::vector<Error> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::expected<Reading, std::vector<Error>> read_tree(const YamlTree& tree, std::string_view name) {
  std::vector<Error> errors = tree.errors;
  Reading reading;
  Reader reader(tree, name);
  if (!errors.empty() || tree.root().kind != Kind::null) {
    reader.section(tree.root(), reading.config);
    append(errors, reader.take_errors());
  } else {
    errors.push_back({.file = std::string(name),
                      .line = 1,
                      .column = 1,
                      .path = {},
                      .message = "the file is empty: at least `ports` or `vrrp` is needed"});
  }
  // A file that is cut short or empty lacks much that its author may have meant.
  if (tree.errors.empty() && tree.root().kind == Kind::map) {
    Report report(reader.broken());
    normalize(reading.config, report);
    check_relations(reading.config, report);
    std::vector<Error> found = report.take();
    for (Error& error : found)
      place(error, tree, name);
    append(errors, std::move(found));
  }
  std::ranges::sort(errors, {},
                    [](const Error& e) { return std::tie(e.line, e.column, e.path, e.message); });
  if (has_errors(errors)) return std::unexpected(std::move(errors));
  reading.warnings = std::move(errors);
  return reading;
}

std::expected<Reading, std::vector<Error>> read_foreign(std::string_view text,
                                                        const std::string& name,
                                                        const keepalived::Options& options) {
  auto conversion = keepalived::convert(text, name, options);
  if (!conversion) return std::unexpected(std::move(conversion.error()));
  Reading reading{.config = std::move(conversion->config),
                  .warnings = {},
                  .notes = std::move(conversion->notes)};
  for (const keepalived::Note& note : reading.notes)
    reading.warnings.push_back(keepalived::as_warning(note));
  return reading;
}

std::unexpected<std::vector<Error>> one_error(std::string_view file, std::string message) {
  return std::unexpected(
      std::vector<Error>{{.file = std::string(file), .path = {}, .message = std::move(message)}});
}

}  // namespace

std::expected<Reading, std::vector<Error>> read_text(std::string_view text, std::string_view name) {
  try {
    return read_tree(parse_yaml(text, name), name);
  } catch (const std::exception& error) {  // out of memory, for one
    return one_error(name, fmt::format("cannot be read: {}", error.what()));
  }
}

std::expected<Reading, std::vector<Error>> read_file(const std::string& path,
                                                     const keepalived::Options& foreign) {
  try {
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) {
      return one_error(path, fmt::format("cannot be read: {}", std::strerror(errno)));
    }
    if (S_ISDIR(info.st_mode)) return one_error(path, "is a directory, not a file");
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open()) {
      return one_error(path, fmt::format("cannot be read: {}", std::strerror(errno)));
    }
    // In pieces, since a pipe does not say how long it is; one byte too many is refused below.
    std::string text;
    std::vector<char> piece(64UL << 10);
    while (text.size() <= max_file_bytes && file) {
      file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
      text.append(piece.data(), static_cast<size_t>(file.gcount()));
    }
    if (file.bad()) return one_error(path, "cannot be read to its end");
    if (text.size() <= max_file_bytes && keepalived::is_keepalived(text, path)) {
      return read_foreign(text, path, foreign);
    }
    return read_text(text, path);
  } catch (const std::exception& error) {
    return one_error(path, fmt::format("cannot be read: {}", error.what()));
  }
}

}  // namespace headgate::config
