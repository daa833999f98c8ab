// A YAML document as a flat tree whose every node knows its line and column. yaml-cpp tokenises and
// parses; its own Node is not used, since that is slower, loses what was written twice and shares
// positions. Nothing throws: whatever the bytes are, the result is a tree and a list of errors.
//
// Refused with a message: control characters and bytes that are not UTF-8 (yaml-cpp takes byte 4
// for the end of the file), a second document, tags, aliases that hold themselves or grow without
// bound.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"

namespace headgate::config {

struct YamlNode {
  enum class Kind : uint8_t { null, scalar, list, map };

  Kind kind = Kind::null;
  // False when a syntax error came before its end: what it holds may not be what was meant.
  bool complete = true;
  uint32_t line = 0;  // from 1
  uint32_t column = 0;
  std::string text;                // of a scalar
  std::vector<uint32_t> children;  // indexes into nodes; a map has key, value, key, value
};

struct YamlTree {
  // nodes[0] is the root, a null for an empty document. An alias shows as the index of what it
  // stands for; there are no cycles.
  std::vector<YamlNode> nodes;
  std::vector<Error> errors;

  [[nodiscard]] const YamlNode& root() const { return nodes.front(); }
  // The node at `path` (services[2].port), or where it is missing the closest one around it.
  [[nodiscard]] const YamlNode& locate(std::string_view path) const;
};

[[nodiscard]] YamlTree parse_yaml(std::string_view text, std::string_view name);

}  // namespace headgate::config
