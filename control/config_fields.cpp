#include "control/config_fields.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "config/schema.h"
#include "config/text.h"

namespace headgate::control {

namespace json = boost::json;

namespace {

template <typename T>
using Parsed = std::expected<T, std::string>;

// A scalar as the file would hold it.
Parsed<std::string> as_text(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string:
      return std::string(value.get_string());
    case json::kind::int64:
      return fmt::format("{}", value.get_int64());
    case json::kind::uint64:
      return fmt::format("{}", value.get_uint64());
    case json::kind::bool_:
      return value.get_bool() ? "on" : "off";
    default:
      return std::unexpected("must be a number, a text, true or false");
  }
}

template <typename T, typename Codec>
Parsed<T> parse_value(const json::value& value, const Codec& codec) {
  const Parsed<std::string> text = as_text(value);
  if (!text) return std::unexpected(text.error());
  return codec.template parse<T>(*text);
}

// A list of values from an array, or from one that stands alone.
template <typename T, typename Codec>
Parsed<std::vector<T>> parse_list(const json::value& value, const Codec& codec) {
  const json::array alone{value};
  std::vector<T> result;
  for (const json::value& element : value.is_array() ? value.get_array() : alone) {
    const Parsed<std::string> text = as_text(element);
    if (!text) return std::unexpected(text.error());
    if constexpr (config::ManyCodec<Codec>) {
      auto several = codec.parse_many(*text);
      if (!several) return std::unexpected(several.error());
      result.insert(result.end(), several->begin(), several->end());
    } else {
      auto one = codec.template parse<T>(*text);
      if (!one) return std::unexpected(one.error());
      result.push_back(std::move(*one));
    }
  }
  return result;
}

template <typename M, typename Codec>
Parsed<void> assign(M& member, const json::value& value, const Codec& codec) {
  if constexpr (config::is_optional<M>) {
    if (value.is_null()) {
      member.reset();
      return {};
    }
    using V = typename M::value_type;
    V inner{};
    if (auto assigned = assign(inner, value, codec); !assigned) return assigned;
    member = std::move(inner);
    return {};
  } else if constexpr (config::is_list<M> && !config::CodecOf<Codec, M>) {
    auto list = parse_list<typename M::value_type>(value, codec);
    if (!list) return std::unexpected(list.error());
    member = std::move(*list);
    return {};
  } else {
    auto parsed = parse_value<M>(value, codec);
    if (!parsed) return std::unexpected(parsed.error());
    member = std::move(*parsed);
    return {};
  }
}

template <config::Section T>
std::expected<void, Error> set_schema_field(T& section, std::string_view key,
                                            const json::value& value,
                                            std::span<const std::string_view> fixed) {
  std::vector<std::string_view> settings;
  bool is_section = false;
  Parsed<void> result;
  config::Schema<T>::fields(
      [&]<typename M>(const config::Key& its, M T::* member, const auto&... codec) {
        if (std::ranges::find(fixed, its.name) != fixed.end()) return;
        if constexpr (sizeof...(codec) == 0) {
          is_section = is_section || its.name == key;
        } else {
          settings.push_back(its.name);
          if (its.name == key) result = assign(section.*member, value, codec...);
        }
      });
  if (is_section) {
    return std::unexpected(Error{fmt::format(
        "{}: has settings of its own, which no command sets: write it into the configuration file, "
        "then `headgate reload`",
        key)});
  }
  if (std::ranges::find(settings, key) == settings.end()) {
    const std::string_view near = config::nearest(key, settings);
    return std::unexpected(
        Error{fmt::format("{}: there is no such setting{}", key,
                          near.empty() ? "" : fmt::format("; did you mean {}?", near))});
  }
  if (!result) return std::unexpected(Error{fmt::format("{}: {}", key, result.error())});
  return {};
}

// ---- to JSON -----------------------------------------------------------------------------------

template <config::Section T>
json::object section_json(const T& section);

template <typename T, typename Codec>
json::value value_json(const T& value, const Codec& codec) {
  if constexpr (config::is_optional<T>) {
    return value ? value_json(*value, codec) : json::value(nullptr);
  } else if constexpr (config::is_list<T> && !config::CodecOf<Codec, T>) {
    json::array list;
    for (const auto& element : value)
      list.push_back(value_json(element, codec));
    return list;
  } else if constexpr (std::same_as<T, bool>) {
    return value;
  } else if constexpr (std::unsigned_integral<T> && !std::same_as<Codec, config::FileMode>) {
    return static_cast<uint64_t>(value);
  } else if constexpr (std::signed_integral<T>) {
    return static_cast<int64_t>(value);
  } else if constexpr (std::same_as<T, std::string>) {
    return json::string(value);
  } else if constexpr (std::same_as<T, net::IpAddress> || std::same_as<T, net::Prefix>) {
    return json::string(net::to_string(value));
  } else {
    return json::string(codec.format(value));
  }
}

template <typename T>
json::value value_json(const T& value) {
  if constexpr (config::is_optional<T>) {
    return value ? value_json(*value) : json::value(nullptr);
  } else if constexpr (config::is_list<T>) {
    json::array list;
    for (const auto& element : value)
      list.push_back(section_json(element));
    return list;
  } else {
    if constexpr (requires { value.enabled; }) {
      if (!value.enabled) return nullptr;
    }
    return section_json(value);
  }
}

template <config::Section T>
json::object section_json(const T& section) {
  json::object object;
  config::Schema<T>::fields(
      [&]<typename M>(const config::Key& key, M T::* member, const auto&... codec) {
        object[key.name] = value_json(section.*member, codec...);
      });
  return object;
}

}  // namespace

std::expected<void, Error> set_field(config::Service& service, std::string_view key,
                                     const json::value& value) {
  constexpr std::string_view prefix = "persistence_";
  constexpr std::array<std::string_view, 6> fixed{"address",       "port",   "protocol",
                                                  "firewall_mark", "family", "backends"};
  if (key == "persistence") {
    return std::unexpected(
        Error{"persistence: is set as persistence_timeout_s and persistence_netmask"});
  }
  if (!key.starts_with(prefix)) return set_schema_field(service, key, value, fixed);
  const std::string_view inner = key.substr(prefix.size());
  if (inner == "timeout_s" && value.is_null()) {
    service.persistence.reset();
    return {};
  }
  config::Persistence persistence = service.persistence.value_or(config::Persistence{});
  auto set = set_schema_field(persistence, inner, value, {});
  if (!set) return std::unexpected(Error{std::string(prefix) + set.error().text});
  service.persistence = persistence;
  return {};
}

std::expected<void, Error> set_field(config::Backend& backend, std::string_view key,
                                     const json::value& value) {
  constexpr std::array<std::string_view, 2> fixed{"address", "port"};
  return set_schema_field(backend, key, value, fixed);
}

std::expected<void, Error> set_field(config::Timeouts& timeouts, std::string_view key,
                                     const json::value& value) {
  return set_schema_field(timeouts, key, value, {});
}

json::object to_json(const config::Timeouts& timeouts) {
  return section_json(timeouts);
}

json::object to_json(const config::Config& config) {
  return section_json(config);
}

}  // namespace headgate::control
