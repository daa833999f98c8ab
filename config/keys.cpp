#include "config/keys.h"

#include "config/format.h"
#include "config/schema.h"

namespace headgate::config {
namespace {

template <typename M>
constexpr bool is_list_key() {
  return is_list<M>;
}
template <typename M, typename Codec>
constexpr bool is_list_key([[maybe_unused]] const Codec& codec) {
  if constexpr (is_optional<M>) {
    return is_list_key<typename M::value_type>(codec);
  } else {
    return is_list<M> && !CodecOf<Codec, M>;
  }
}

template <Section T>
void collect_keys(const std::string& prefix, bool restart, std::vector<KeyInfo>& keys) {
  const T standard{};
  Schema<T>::fields(
      [&]<typename M>(const Key& key, [[maybe_unused]] M T::* member, const auto&... codec) {
        KeyInfo& info = keys.emplace_back();
        info.path = prefix + std::string(key.name);
        info.needs_restart = key.restart(restart);
        info.is_list = is_list_key<M>(codec...);
        ((info.expected = codec.expected()), ...);
        ((info.default_value = format_value(key, standard.*member, codec).value_or("")), ...);
        if constexpr (sizeof...(codec) == 0) {
          const std::string below = info.path + '.';
          const bool needs_restart = info.needs_restart;  // `info` moves as keys are added
          if constexpr (is_list<M> || is_optional<M>) {
            collect_keys<typename M::value_type>(below, needs_restart, keys);
          } else {
            collect_keys<M>(below, needs_restart, keys);
          }
        }
      });
}

}  // namespace

std::vector<KeyInfo> known_keys() {
  std::vector<KeyInfo> keys;
  collect_keys<Config>("", false, keys);
  return keys;
}

}  // namespace headgate::config
