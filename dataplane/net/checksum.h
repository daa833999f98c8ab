// The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3).
// Sums are kept as uint64_t or uint32_t of 16-bit words in memory order: one's-complement addition
// does not care about byte order as long as every operand has the same, so nothing is swapped here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/net/address.h"
#include "dataplane/net/endian.h"

namespace headgate::net {

// Adds `bytes` to `sum`; an odd last byte counts as if followed by a zero byte.
[[nodiscard]] inline uint64_t checksum_add(uint64_t sum, std::span<const uint8_t> bytes) noexcept {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 4; at += 4, left -= 4) {
    uint32_t word;
    std::memcpy(&word, at, 4);
    sum += word;
  }
  if (left >= 2) {
    uint16_t word;
    std::memcpy(&word, at, 2);
    sum += word;
    at += 2;
    left -= 2;
  }
  if (left == 1) sum += be16::from_host(static_cast<uint16_t>(*at << 8)).raw();
  return sum;
}

// The sum over an IPv4 header without options.
[[nodiscard]] inline uint64_t checksum_of_20_bytes(const uint8_t* at) noexcept {
  const auto word = [at](size_t i) noexcept {
    uint32_t value;
    std::memcpy(&value, at + 4 * i, sizeof(value));
    return uint64_t{value};
  };
  return word(0) + word(1) + word(2) + word(3) + word(4);
}

// Whether a header without options has the right checksum: its words then add up to 0xffff, and
// what they add up to does not change modulo 0xffff by how they are taken together. (Nor is the sum
// 0, which is a multiple as well: no header is all zero.)
[[nodiscard]] inline bool checksum_of_20_bytes_is_right(const uint8_t* at) noexcept {
  return checksum_of_20_bytes(at) % 0xffff == 0;
}

// Folds the carries in: the 16-bit one's-complement sum, not inverted.
[[nodiscard]] inline uint16_t checksum_fold(uint64_t sum) noexcept {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The value for a checksum field, from the sum over everything with that field as zero.
[[nodiscard]] inline be16 checksum_finish(uint64_t sum) noexcept {
  return be16::from_raw(static_cast<uint16_t>(~checksum_fold(sum)));
}

// RFC 1624, equation 3, for a word that has become less by `less`: ~(~HC + ~less), which is
// HC + less with the carry added in, and 0xffff told as the other zero.
[[nodiscard]] inline be16 checksum_after_decrease(be16 checksum, be16 less) noexcept {
  const uint32_t sum = uint32_t{checksum.raw()} + less.raw();
  return be16::from_raw(static_cast<uint16_t>(sum + (sum >= 0xffff ? 1 : 0)));
}

// Sum over the pseudo-header of RFC 9293 / RFC 8200; `length` is that of the transport segment.
[[nodiscard]] inline uint64_t pseudo_header_sum(std::span<const uint8_t> source,
                                                std::span<const uint8_t> destination,
                                                uint8_t protocol, uint32_t length) noexcept {
  uint64_t sum = checksum_add(checksum_add(0, source), destination);
  sum += be16::from_host(protocol).raw();
  sum += be32::from_host(length).raw();
  return sum;
}

// A change of some 16-bit words covered by a checksum, gathered once and applied to each checksum
// that covers them: HC' = ~(~HC + ~m + m') (RFC 1624). Never yields a wrong 0x0000/0xffff.
class ChecksumDelta {
 public:
  // ~m + m' of 32 bits is, modulo 0xffff, that of their halves.
  void replace_word(uint32_t from, uint32_t to) noexcept { sum_ += uint64_t{~from} + to; }
  // `from` and `to` have the same even length.
  void replace(std::span<const uint8_t> from, std::span<const uint8_t> to) noexcept {
    uint64_t removed = checksum_fold(checksum_add(0, from));
    sum_ += static_cast<uint16_t>(~removed);
    sum_ = checksum_add(sum_, to);
  }
  template <typename T>
  void replace_value(const T& from, const T& to) noexcept {
    static_assert(sizeof(T) % 2 == 0);
    if constexpr (sizeof(T) % 4 == 0) {
      std::array<uint32_t, sizeof(T) / 4> before;
      std::array<uint32_t, sizeof(T) / 4> after;
      std::memcpy(before.data(), &from, sizeof(T));
      std::memcpy(after.data(), &to, sizeof(T));
      for (size_t i = 0; i < before.size(); ++i)
        replace_word(before[i], after[i]);
      return;
    }
    replace({reinterpret_cast<const uint8_t*>(&from), sizeof(T)},
            {reinterpret_cast<const uint8_t*>(&to), sizeof(T)});
  }

  [[nodiscard]] be16 apply(be16 checksum) const noexcept {
    const uint64_t inverted = static_cast<uint16_t>(~checksum.raw());
    return checksum_finish(inverted + sum_);
  }
  // UDP: a result of zero is sent as 0xffff (RFC 768). The caller handles "no checksum" before.
  [[nodiscard]] be16 apply_udp(be16 checksum) const noexcept {
    const be16 result = apply(checksum);
    return result.raw() == 0 ? be16::from_raw(0xffff) : result;
  }

 private:
  uint64_t sum_ = 0;
};

}  // namespace headgate::net
