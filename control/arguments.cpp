#include "control/arguments.h"

#include <utility>

#include <fmt/format.h>

namespace headgate::control {

namespace json = boost::json;

std::string Arguments::text(std::string_view key) {
  auto value = text_if(key);
  if (!value) complain(key, "is missing");
  return value ? std::move(*value) : std::string{};
}

std::optional<std::string> Arguments::text_if(std::string_view key) {
  const auto value = take(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) {
    complain(key, "must be a text");
    return std::nullopt;
  }
  return std::string(value->get_string());
}

std::optional<uint32_t> Arguments::number_if(std::string_view key) {
  const auto value = take(key);
  if (!value) return std::nullopt;
  if (!value->is_int64() || value->get_int64() < 0 || value->get_int64() > UINT32_MAX) {
    complain(key, "must be a number from 0 to 4294967295");
    return std::nullopt;
  }
  return static_cast<uint32_t>(value->get_int64());
}

std::optional<uint32_t> Arguments::number_or_null(std::string_view key) {
  const json::value* value = values_.if_contains(key);
  if (value == nullptr || !value->is_null()) return number_if(key);
  values_.erase(key);
  return std::nullopt;
}

bool Arguments::flag(std::string_view key) {
  const auto value = take(key);
  if (!value) return false;
  if (!value->is_bool()) complain(key, "must be true or false");
  return value->is_bool() && value->get_bool();
}

json::array Arguments::list(std::string_view key) {
  json::value* value = values_.if_contains(key);
  json::array result;
  if (value == nullptr) {
    complain(key, "is missing");
  } else if (!value->is_array()) {
    complain(key, "must be a list");
  } else {
    result = std::move(value->get_array());
  }
  values_.erase(key);
  return result;
}

std::string Arguments::mistake() const {
  if (!mistake_.empty() || values_.empty()) return mistake_;
  return fmt::format("{}: there is no such argument", std::string_view(values_.begin()->key()));
}

std::optional<json::value> Arguments::take(std::string_view key) {
  const auto* found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  json::value value = found->value();
  values_.erase(found);
  return value;
}

void Arguments::complain(std::string_view key, std::string_view what) {
  if (mistake_.empty()) mistake_ = fmt::format("{}: {}", key, what);
}

}  // namespace headgate::control
