// What a check of type dns asks, and what it makes of an answer (RFC 1035). Messages are read and
// written by ldns, which works on objects of its caller's, without state of its own.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/health_model.h"
#include "control/error.h"

namespace headgate::control {

class DnsQuestion {
 public:
  // Of answers, as names may be made of chains of pointers, which make reading a long message slow:
  // three milliseconds at this length, and the square of it beyond.
  static constexpr size_t most_message_bytes = 8192;

  [[nodiscard]] static std::expected<DnsQuestion, Error> make(const config::CheckDns& check);
  DnsQuestion(DnsQuestion&&) noexcept;
  DnsQuestion& operator=(DnsQuestion&&) noexcept;
  ~DnsQuestion();

  // The message, with this id.
  [[nodiscard]] std::vector<uint8_t> message(uint16_t id) const;

  enum class Means { nothing, truncated, right, wrong };
  struct Verdict {
    // `nothing`: it is no answer to this question of this id.
    Means means = Means::nothing;
    std::string reason{};
  };
  [[nodiscard]] Verdict judge(std::span<const uint8_t> message, uint16_t id) const;

 private:
  struct Impl;
  explicit DnsQuestion(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headgate::control
