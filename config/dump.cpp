#include "config/dump.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/format.h"
#include "config/schema.h"

namespace headgate::config {
namespace {

constexpr size_t widest_line = 100;

// The text in lines of `#`, `indent` spaces in.
std::string comment_lines(std::string_view text, size_t indent) {
  std::string result;
  while (!text.empty()) {
    const size_t room = widest_line - std::min(indent + 2, widest_line / 2);
    size_t end = text.size();
    if (end > room) {
      end = text.rfind(' ', room);
      if (end == std::string_view::npos || end == 0) end = std::min(text.find(' '), text.size());
    }
    result.append(indent, ' ').append("# ").append(text.substr(0, end)).push_back('\n');
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

class Writer {
 public:
  Writer(Defaults defaults, const std::vector<Comment>& comments) : defaults_(defaults) {
    for (const Comment& each : comments)
      comments_.emplace(each.path, each.text);
    comment(false, 0);
  }

  // Each key on a line of its own, `indent` spaces in; nothing when all is left out.
  template <Section T>
  void section(const T& value, size_t indent) {
    const T standard{};
    Schema<T>::fields([&]<typename M>(const Key& key, M T::* member, const auto&... codec) {
      const Step step(*this, key.name);
      const bool omitted = defaults_ == Defaults::omit && value.*member == standard.*member;
      // Comments on what is below go to where it is written, if it is.
      comment(omitted || sizeof...(codec) > 0, indent);
      if (!omitted) field(key, value.*member, indent, codec...);
    });
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  // A key or an index of the path, while it is walked; comments alone need it.
  class Step {
   public:
    Step(Writer& writer, std::string_view key) : Step(writer) {
      if (writer.comments_.empty()) return;
      if (before_ > 0) writer.path_ += '.';
      writer.path_ += key;
    }
    Step(Writer& writer, size_t index) : Step(writer) {
      if (!writer.comments_.empty()) writer.path_ += '[' + std::to_string(index) + ']';
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { path_.resize(before_); }

   private:
    explicit Step(Writer& writer) : path_(writer.path_), before_(writer.path_.size()) {}
    std::string& path_;
    size_t before_;
  };

  // Those on this path, with `below` on what is below it, too.
  void comment(bool below, size_t indent) {
    if (comments_.empty()) return;
    for (auto at = comments_.lower_bound(path_); at != comments_.end(); ++at) {
      const std::string_view path = at->first;
      if (!path.starts_with(path_) || (!below && path.size() > path_.size())) break;
      const std::string_view rest = path.substr(path_.size());
      if (rest.empty() || rest.front() == '.' || rest.front() == '[') {
        text_ += comment_lines(at->second, indent);
      }
    }
  }

  template <typename T, typename Codec>
  void field(const Key& key, const T& value, size_t indent, const Codec& codec) {
    const std::optional<std::string> text = format_value(key, value, codec);
    if (text) line(indent, key, *text);
  }

  template <typename T>
  void field(const Key& key, const T& value, size_t indent) {
    if constexpr (is_list<T>) {
      list(key, value, indent);
    } else if constexpr (is_optional<T>) {
      if (value) {
        open(key, *value, indent);
      } else {
        line(indent, key, key.empty);
      }
    } else {
      if constexpr (requires { value.enabled; }) {
        if (!value.enabled) return line(indent, key, key.empty);
      }
      open(key, value, indent);
    }
  }

  template <Section T>
  void open(const Key& key, const T& value, size_t indent) {
    const size_t before = text_.size();
    line(indent, key, {});
    const size_t begin = text_.size();
    section(value, indent + 2);
    if (text_.size() > begin) return;
    text_.resize(before);
    line(indent, key, "{}");
  }

  template <typename T>
  void list(const Key& key, const std::vector<T>& elements, size_t indent) {
    if (elements.empty()) return line(indent, key, "[]");
    line(indent, key, {});
    for (size_t i = 0; i < elements.size(); ++i) {
      const Step step(*this, i);
      comment(false, indent + 2);
      const size_t begin = text_.size();
      section(elements[i], indent + 4);
      const size_t first = behind_comments(begin);
      if (text_.size() == first) {
        text_.append(indent + 2, ' ').append("- {}\n");
      } else {
        text_[first + indent + 2] = '-';
      }
    }
  }

  // The first line from `begin` on that is no comment.
  [[nodiscard]] size_t behind_comments(size_t begin) const {
    while (begin < text_.size()) {
      const size_t first = text_.find_first_not_of(' ', begin);
      if (first == std::string::npos || text_[first] != '#') break;
      begin = text_.find('\n', first) + 1;
    }
    return begin;
  }

  void line(size_t indent, const Key& key, std::string_view value) {
    text_.append(indent, ' ').append(key.name).push_back(':');
    if (!value.empty()) text_.append(" ").append(value);
    text_ += '\n';
  }

  Defaults defaults_;
  std::multimap<std::string, std::string_view, std::less<>> comments_;  // by path, in order
  std::string path_;
  std::string text_;
};

}  // namespace

std::string to_yaml(const Config& config, Defaults defaults) {
  const std::vector<Comment> none;
  Writer writer(defaults, none);
  writer.section(config, 0);
  return writer.text();
}

std::string to_yaml(const Config& config, const std::vector<Comment>& comments) {
  Writer writer(Defaults::omit, comments);
  writer.section(config, 0);
  return writer.text();
}

}  // namespace headgate::config
