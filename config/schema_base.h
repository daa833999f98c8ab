// What every list of keys is made of: a key, the schema that a section specialises, and the kinds
// of member and codec that a walk over it tells apart. The lists are in schema.h, health_schema.h
// and vrrp_schema.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace headgate::config {

// What it takes for a change of a key to have effect; `inherit` is what the section around it
// takes.
enum class Takes : uint8_t { inherit, reload, restart };

struct Key {
  std::string_view name;
  // The word for an empty optional or a section that is off: auto, none.
  std::string_view empty = {};
  Takes takes = Takes::inherit;

  [[nodiscard]] constexpr bool restart(bool parent) const {
    return takes == Takes::inherit ? parent : takes == Takes::restart;
  }
};

template <typename T>
struct Schema;

template <typename T>
concept Section = requires { sizeof(Schema<T>); };

// The kinds of member that a field can have.
template <typename T>
inline constexpr bool is_optional = false;
template <typename T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <typename T>
inline constexpr bool is_list = false;
template <typename T>
inline constexpr bool is_list<std::vector<T>> = true;

// A codec that turns one text into one T.
template <typename Codec, typename T>
concept CodecOf = requires(const Codec& codec) { codec.template parse<T>(std::string_view{}); };
// A codec that turns one text into several T.
template <typename Codec>
concept ManyCodec = requires { Codec::many; };

}  // namespace headgate::config
