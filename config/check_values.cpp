// The ranges of all values, from the schema, for configurations that did not come from a file.
#include <concepts>
#include <span>
#include <string>
#include <vector>

#include "config/report.h"
#include "config/schema.h"

namespace headgate::config {
namespace {

class ValueChecker {
 public:
  ValueChecker(Report& report, const Config* running) : report_(report), running_(running) {}

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
    if constexpr (std::same_as<T, std::vector<Service>>) {
      services(value);
    } else if constexpr (is_list<T>) {
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

  // Most of them are the same, in the same order, when one is edited, added or deleted.
  void services(const std::vector<Service>& list) {
    const std::span<const Service> known = running_ == nullptr
                                               ? std::span<const Service>{}
                                               : std::span<const Service>(running_->services);
    size_t at = 0;
    elements(list, [&](const Service& service) {
      for (const size_t next : {at, at + 1}) {
        if (next >= known.size() || known[next] != service) continue;
        at = next + 1;
        return;
      }
      section(service);
      if (at < known.size() && key_of(known[at]) == key_of(service)) ++at;
    });
  }

  Report& report_;
  const Config* running_;
  std::string path_;
};

}  // namespace

void check_values(const Config& config, Report& report, const Config* running) {
  ValueChecker(report, running).section(config);
}

}  // namespace headgate::config
