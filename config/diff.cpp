#include "config/diff.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "config/format.h"
#include "config/schema.h"

namespace headgate::config {
namespace {

// The longest list that a change shows whole; of longer ones it shows what came and went.
constexpr size_t longest_list = 8;

// Compares two sections key by key; calls found(FieldChange, needs_restart).
template <typename Found>
class Comparer {
 public:
  explicit Comparer(Found found) : found_(std::move(found)) {}

  template <Section T>
  void section(const T& from, const T& to, const std::string& prefix, bool restart) {
    Schema<T>::fields([&]<typename M>(const Key& key, M T::* member, const auto&... codec) {
      if (from.*member == to.*member) return;
      const std::string path = prefix + std::string(key.name);
      field(key, from.*member, to.*member, path, key.restart(restart), codec...);
    });
  }

 private:
  template <typename T, typename Codec>
  void field(const Key& key, const T& from, const T& to, const std::string& path, bool restart,
             const Codec& codec) {
    if constexpr (is_list<T> && !CodecOf<Codec, T>) {
      if (std::max(from.size(), to.size()) > longest_list) {
        return found_(long_list(from, to, path, codec), restart);
      }
    }
    found_({path, format_value(key, from, codec).value_or("none"),
            format_value(key, to, codec).value_or("none")},
           restart);
  }

  template <typename T>
  void field(const Key& key, const T& from, const T& to, const std::string& path, bool restart) {
    if constexpr (std::same_as<T, std::vector<Service>> || std::same_as<T, std::vector<Backend>>) {
      // Compared by the caller, who knows their identity.
    } else if constexpr (is_list<T>) {
      elements(from, to, path, restart);
    } else if constexpr (is_optional<T>) {
      if (from && to) return section(*from, *to, path + ".", restart);
      found_({path, from ? inline_text(*from) : std::string(key.empty),
              to ? inline_text(*to) : std::string(key.empty)},
             restart);
    } else {
      if constexpr (requires { from.enabled; }) {
        if (from.enabled != to.enabled) {
          return found_({path, from.enabled ? inline_text(from) : std::string(key.empty),
                         to.enabled ? inline_text(to) : std::string(key.empty)},
                        restart);
        }
      }
      section(from, to, path + ".", restart);
    }
  }

  // Lists of sections, by their labels. Labels that occur twice are told apart by their order.
  template <Section T>
  void elements(const std::vector<T>& from, const std::vector<T>& to, const std::string& path,
                bool restart) {
    std::multimap<std::string, const T*> before;
    for (const T& element : from)
      before.emplace(Schema<T>::label(element), &element);
    bool same = from.size() == to.size();
    for (size_t i = 0; same && i < to.size(); ++i) {
      same = Schema<T>::label(from[i]) == Schema<T>::label(to[i]);
    }
    bool any = !same;
    for (const T& element : to) {
      const std::string label = Schema<T>::label(element);
      const std::string at = fmt::format("{}[{}]", path, label);
      const auto old = before.find(label);
      if (old == before.end()) {
        found_({at, {}, inline_text(element)}, restart);
        any = false;
        continue;
      }
      section(*old->second, element, at + ".", restart);
      before.erase(old);
    }
    for (const auto& [label, element] : before) {
      found_({fmt::format("{}[{}]", path, label), inline_text(*element), {}}, restart);
      any = false;
    }
    if (any) found_({path, labels(from), labels(to)}, restart);
  }

  template <Section T>
  static std::string labels(const std::vector<T>& list) {
    std::string text;
    for (const T& element : list)
      text += (text.empty() ? "" : ", ") + Schema<T>::label(element);
    return "[" + text + "]";
  }

  // A section on one line, without what is default: {timeout_s: 300}.
  template <Section T>
  static std::string inline_text(const T& value) {
    std::string text;
    const T standard{};
    Schema<T>::fields([&]<typename M>(const Key& key, M T::* member, const auto&... codec) {
      if (value.*member == standard.*member) return;
      if (!text.empty()) text += ", ";
      text += fmt::format("{}: {}", key.name, inline_field(key, value.*member, codec...));
    });
    return "{" + text + "}";
  }
  template <typename T, typename Codec>
  static std::string inline_field(const Key& key, const T& value, const Codec& codec) {
    return format_value(key, value, codec).value_or("none");
  }
  template <typename T>
  static std::string inline_field(const Key& key, const T& value) {
    if constexpr (is_list<T>) {
      std::string text;
      for (const auto& element : value)
        text += (text.empty() ? "" : ", ") + inline_text(element);
      return "[" + text + "]";
    } else if constexpr (is_optional<T>) {
      return inline_text(*value);
    } else {
      if constexpr (requires { value.enabled; }) {
        if (!value.enabled) return std::string(key.empty);
      }
      return inline_text(value);
    }
  }

  template <typename T, typename Codec>
  static FieldChange long_list(const T& from, const T& to, const std::string& path,
                               const Codec& codec) {
    const std::set<typename T::value_type> before(from.begin(), from.end());
    const std::set<typename T::value_type> after(to.begin(), to.end());
    const auto missing_in = [&](const auto& other, const auto& list, char sign) {
      std::string text;
      size_t count = 0;
      for (const auto& element : list) {
        if (other.contains(element)) continue;
        if (++count <= longest_list) text += fmt::format(" {}{}", sign, codec.format(element));
      }
      if (count > longest_list) {
        text += fmt::format(" and {} more {}{}", count - longest_list, sign, sign);
      }
      return text;
    };
    std::string changes = missing_in(after, before, '-') + missing_in(before, after, '+');
    if (changes.empty()) changes = " in another order";
    return {path, fmt::format("{} entries", from.size()),
            fmt::format("{} entries ({})", to.size(), changes.substr(1))};
  }

  Found found_;
};

template <Section T>
std::vector<FieldChange> field_changes(const T& from, const T& to) {
  std::vector<FieldChange> changes;
  Comparer comparer(
      [&](FieldChange change, bool /*restart*/) { changes.push_back(std::move(change)); });
  comparer.section(from, to, "", false);
  return changes;
}

void compare_backends(const Service& from, const Service& to, ServiceChange& change) {
  std::map<BackendKey, const Backend*> before;
  std::set<BackendKey> wanted;
  for (const Backend& backend : from.backends)
    before.emplace(key_of(backend), &backend);
  for (const Backend& backend : to.backends)
    wanted.insert(key_of(backend));
  std::vector<BackendKey> expected_order;
  for (const Backend& backend : from.backends) {
    const BackendKey key = key_of(backend);
    if (wanted.contains(key)) {
      expected_order.push_back(key);
    } else {
      change.backends.push_back({Change::removed, key, {}});
    }
  }
  for (const Backend& backend : to.backends) {
    const BackendKey key = key_of(backend);
    const auto old = before.find(key);
    if (old == before.end()) {
      expected_order.push_back(key);
      change.backends.push_back({Change::added, key, {}});
    } else if (*old->second != backend) {
      change.backends.push_back({Change::changed, key, field_changes(*old->second, backend)});
    }
  }
  change.backends_reordered = !std::ranges::equal(
      expected_order, to.backends, {}, {}, [](const Backend& backend) { return key_of(backend); });
}

void compare_services(const Config& running, const Config& wanted, Diff& result) {
  std::map<ServiceKey, const Service*> before;
  std::set<ServiceKey> keys;
  for (const Service& service : running.services)
    before.emplace(key_of(service), &service);
  for (const Service& service : wanted.services)
    keys.insert(key_of(service));
  for (const Service& service : running.services) {
    if (keys.contains(key_of(service))) continue;
    ServiceChange& change = result.services.emplace_back();
    change.change = Change::removed;
    change.key = key_of(service);
    change.backend_count = service.backends.size();
  }
  for (const Service& service : wanted.services) {
    const auto old = before.find(key_of(service));
    if (old != before.end() && *old->second == service) continue;
    ServiceChange& change = result.services.emplace_back();
    change.key = key_of(service);
    if (old == before.end()) {
      change.change = Change::added;
      change.backend_count = service.backends.size();
      continue;
    }
    change.fields = field_changes(*old->second, service);
    compare_backends(*old->second, service, change);
  }
}

std::string to_text(const FieldChange& change) {
  if (change.from.empty()) return fmt::format("{} added", change.key);
  if (change.to.empty()) return fmt::format("{} removed", change.key);
  return fmt::format("{} {} -> {}", change.key, change.from, change.to);
}

std::string to_text(const std::vector<FieldChange>& changes) {
  std::string text;
  for (const FieldChange& change : changes)
    text += (text.empty() ? "" : ", ") + to_text(change);
  return text;
}

std::string_view verb(Change change) {
  return change == Change::added ? "added" : "removed";
}

void service_lines(const ServiceChange& change, std::vector<std::string>& lines) {
  const std::string service = to_string(change.key);
  if (change.change != Change::changed) {
    lines.push_back(fmt::format("service {} {}, with {} backend{}", service, verb(change.change),
                                change.backend_count, change.backend_count == 1 ? "" : "s"));
    return;
  }
  if (!change.fields.empty()) {
    lines.push_back(fmt::format("service {}: {}", service, to_text(change.fields)));
  }
  for (const BackendChange& backend : change.backends) {
    const std::string head = fmt::format("backend {} of {}", to_string(backend.key), service);
    lines.push_back(backend.change == Change::changed
                        ? fmt::format("{}: {}", head, to_text(backend.fields))
                        : fmt::format("{} {}", head, verb(backend.change)));
  }
  if (change.backends_reordered) {
    lines.push_back(fmt::format("service {}: order of backends changed", service));
  }
}

}  // namespace

bool Diff::needs_restart() const {
  return std::ranges::any_of(settings, &SettingChange::needs_restart);
}

Diff diff(const Config& running, const Config& wanted) {
  Diff result;
  compare_services(running, wanted, result);
  Comparer comparer([&](FieldChange change, bool restart) {
    result.settings.push_back({std::move(change), restart});
  });
  comparer.section(running, wanted, "", false);
  return result;
}

std::vector<std::string> to_lines(const Diff& diff) {
  std::vector<std::string> lines;
  for (const ServiceChange& change : diff.services)
    service_lines(change, lines);
  for (const SettingChange& setting : diff.settings) {
    if (!setting.needs_restart) lines.push_back(to_text(setting.field));
  }
  for (const SettingChange& setting : diff.settings) {
    if (setting.needs_restart) lines.push_back(to_text(setting.field) + ": needs a restart");
  }
  return lines;
}

}  // namespace headgate::config
