// An answer in HTTP/1.0 or 1.1 (RFC 9112), as it comes in: its status, and what its body comes to.
// The parsing is Boost.Beast's; this is bounds and words, without a socket.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/health_model.h"

namespace headgate::control {

class HttpAnswer {
 public:
  static constexpr size_t most_header_bytes = 32 << 10;
  static constexpr size_t most_body_bytes = 1 << 20;

  struct Wanted {
    std::optional<config::DigestType> digest;
    bool text = false;  // the body itself
  };
  explicit HttpAnswer(const Wanted& wanted);
  ~HttpAnswer();
  HttpAnswer(const HttpAnswer&) = delete;
  HttpAnswer& operator=(const HttpAnswer&) = delete;

  // How many of the bytes are taken: the rest has to be given again, with more. An error says what
  // is wrong with the answer. 1xx answers are skipped.
  [[nodiscard]] std::expected<size_t, std::string> feed(std::string_view bytes);
  // The connection has ended: empty if so has the answer.
  [[nodiscard]] std::optional<std::string> end();

  // The header is in; nothing after it is taken unless something of the body is wanted.
  [[nodiscard]] bool has_status() const;
  [[nodiscard]] unsigned status() const;
  // All that is wanted is in.
  [[nodiscard]] bool done() const;
  // In lower-case hexadecimal. Once.
  [[nodiscard]] std::string digest();
  [[nodiscard]] std::string take_text();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headgate::control
