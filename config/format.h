// The text of one field's value, for the dump and the diff alike.
#pragma once

#include <optional>
#include <string>

#include "config/schema.h"

namespace headgate::config {

// As YAML on one line; nothing for a value that a file cannot hold, such as an address that is not
// set or an empty optional that has no word of its own.
template <typename T, typename Codec>
[[nodiscard]] std::optional<std::string> format_value(const Key& key, const T& value,
                                                      const Codec& codec) {
  if constexpr (is_optional<T>) {
    if (value) return format_value(key, *value, codec);
    return key.empty.empty() ? std::nullopt : std::optional(std::string(key.empty));
  } else if constexpr (is_list<T> && !CodecOf<Codec, T>) {
    std::string list = "[";
    for (const auto& element : value) {
      if (list.size() > 1) list += ", ";
      list += codec.format(element);
    }
    return list + "]";
  } else {
    if (!codec.check(value).empty()) return std::nullopt;
    return codec.format(value);
  }
}

}  // namespace headgate::config
