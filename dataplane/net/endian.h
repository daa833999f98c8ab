// Byte order as a type: a value on the wire (BigEndian) and a value on the host (a plain integer)
// do not mix without a named conversion. The wire types hold bytes, so they have alignment 1 and
// may sit at any offset of a packet; loads and stores compile to one move and one byte swap.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <concepts>
#include <cstdint>

namespace headgate::net {

template <std::unsigned_integral T>
class BigEndian {
 public:
  constexpr BigEndian() noexcept = default;

  [[nodiscard]] static constexpr BigEndian from_host(T value) noexcept {
    BigEndian result;
    result.bytes_ = std::bit_cast<std::array<uint8_t, sizeof(T)>>(swap(value));
    return result;
  }

  // The integer whose memory image is `raw`: for values that are already in network order.
  [[nodiscard]] static constexpr BigEndian from_raw(T raw) noexcept {
    BigEndian result;
    result.bytes_ = std::bit_cast<std::array<uint8_t, sizeof(T)>>(raw);
    return result;
  }

  [[nodiscard]] constexpr T host() const noexcept { return swap(raw()); }
  [[nodiscard]] constexpr T raw() const noexcept { return std::bit_cast<T>(bytes_); }

  constexpr bool operator==(const BigEndian&) const noexcept = default;
  constexpr auto operator<=>(const BigEndian&) const noexcept = default;

 private:
  static constexpr T swap(T value) noexcept {
    if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) {
      return std::byteswap(value);
    } else {
      return value;
    }
  }

  std::array<uint8_t, sizeof(T)> bytes_{};
};

using be16 = BigEndian<uint16_t>;
using be32 = BigEndian<uint32_t>;
using be64 = BigEndian<uint64_t>;

static_assert(sizeof(be16) == 2 && alignof(be16) == 1);
static_assert(sizeof(be32) == 4 && alignof(be32) == 1);
static_assert(be16::from_host(0x0800).host() == 0x0800);

}  // namespace headgate::net
