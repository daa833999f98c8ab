// The ranges of all values, from the schema, for configurations that did not come from a file.
#include <string>

#include "config/report.h"
#include "config/schema.h"

namespace headgate::config {
namespace {

class ValueChecker {
 public:
  explicit ValueChecker(Report& report) : report_(report) {}

  template <Section T>
  void section(const T& value) {
    [[maybe_unused]] static const T defaults{};  // GCC 12 does not see the use
    Schema<T>::fields([&]<typename M>(const Key& key, M T::* member, const auto&... codec) {
      // A default is right, or its absence is found by the relations: a name that is empty.
      if (value.*member == defaults.*member) return;
      const size_t length = path_.size();
      if (!path_.empty()) path_ += '.';
      path_ += key.name;
      field(value.*member, codec...);
      path_.resize(length);
    });
  }

 private:
  template <typename T>
  void field(const T& value) {
    if constexpr (is_list<T>) {
      elements(value, [&](const auto& element) { section(element); });
    } else if constexpr (is_optional<T>) {
      if (value) section(*value);
    } else {
      section(value);
    }
  }

  template <typename T, typename Codec>
  void field(const T& value, const Codec& codec) {
    if constexpr (is_optional<T>) {
      if (value) field(*value, codec);
    } else if constexpr (is_list<T> && !CodecOf<Codec, T>) {
      elements(value, [&](const auto& element) { field(element, codec); });
    } else {
      if (std::string problem = codec.check(value); !problem.empty()) {
        report_.error(path_, std::move(problem));
      }
    }
  }

  template <typename List, typename F>
  void elements(const List& list, const F& each) {
    const size_t length = path_.size();
    for (size_t i = 0; i < list.size(); ++i) {
      path_ += '[' + std::to_string(i) + ']';
      each(list[i]);
      path_.resize(length);
    }
  }

  Report& report_;
  std::string path_;
};

}  // namespace

void check_values(const Config& config, Report& report) {
  ValueChecker(report).section(config);
}

}  // namespace headgate::config
