// The arguments of a request, taken out one by one: what is left at the end nobody knows.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace headgate::control {

class Arguments {
 public:
  explicit Arguments(boost::json::object values) : values_(std::move(values)) {}

  // Empty when missing, which is a mistake.
  [[nodiscard]] std::string text(std::string_view key);
  [[nodiscard]] std::optional<std::string> text_if(std::string_view key);
  [[nodiscard]] std::optional<uint32_t> number_if(std::string_view key);
  // The same, and nothing as well where null was sent.
  [[nodiscard]] std::optional<uint32_t> number_or_null(std::string_view key);
  [[nodiscard]] bool has(std::string_view key) const { return values_.contains(key); }
  [[nodiscard]] bool flag(std::string_view key);
  // Empty when missing, which is a mistake.
  [[nodiscard]] boost::json::array list(std::string_view key);
  // All that is left, for those who know the keys.
  [[nodiscard]] boost::json::object rest() { return std::exchange(values_, {}); }

  // The first mistake, an argument that nobody took included; empty when there is none.
  [[nodiscard]] std::string mistake() const;

 private:
  [[nodiscard]] std::optional<boost::json::value> take(std::string_view key);
  void complain(std::string_view key, std::string_view what);

  boost::json::object values_;
  std::string mistake_;
};

}  // namespace headgate::control
