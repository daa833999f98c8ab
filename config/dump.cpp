#include "config/dump.h"

#include <optional>
#include <string>

#include "config/format.h"
#include "config/schema.h"

namespace headgate::config {
namespace {

class Writer {
 public:
  explicit Writer(Defaults defaults) : defaults_(defaults) {}

  // Each key on a line of its own, `indent` spaces in; nothing when all is left out.
  template <Section T>
  void section(const T& value, size_t indent) {
    const T standard{};
    Schema<T>::fields([&]<typename M>(const Key& key, M T::* member, const auto&... codec) {
      if (defaults_ == Defaults::omit && value.*member == standard.*member) return;
      field(key, value.*member, indent, codec...);
    });
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
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
    for (const T& element : elements) {
      const size_t begin = text_.size();
      section(element, indent + 4);
      if (text_.size() == begin) {
        text_.append(indent + 2, ' ').append("- {}\n");
      } else {
        text_[begin + indent + 2] = '-';
      }
    }
  }

  void line(size_t indent, const Key& key, std::string_view value) {
    text_.append(indent, ' ').append(key.name).push_back(':');
    if (!value.empty()) text_.append(" ").append(value);
    text_ += '\n';
  }

  Defaults defaults_;
  std::string text_;
};

}  // namespace

std::string to_yaml(const Config& config, Defaults defaults) {
  Writer writer(defaults);
  writer.section(config, 0);
  return writer.text();
}

}  // namespace headgate::config
