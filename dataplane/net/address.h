// Addresses of the wire: MAC, IPv4, IPv6, and IpAddress for code that serves both families.
// All are plain bytes in network order, trivially copyable and of alignment 1.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/net/endian.h"

namespace headgate::net {

enum class Family : uint8_t { none = 0, ipv4 = 4, ipv6 = 6 };

struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  // By two loads: compilers call memcmp for six bytes.
  constexpr bool operator==(const MacAddress& other) const noexcept {
    if consteval {
      return bytes == other.bytes;
    }
    uint32_t mine;
    uint32_t theirs;
    uint16_t my_rest;
    uint16_t their_rest;
    std::memcpy(&mine, bytes.data(), 4);
    std::memcpy(&theirs, other.bytes.data(), 4);
    std::memcpy(&my_rest, bytes.data() + 4, 2);
    std::memcpy(&their_rest, other.bytes.data() + 4, 2);
    return ((mine ^ theirs) | static_cast<uint32_t>(my_rest ^ their_rest)) == 0;
  }
  constexpr auto operator<=>(const MacAddress&) const noexcept = default;
  [[nodiscard]] constexpr bool is_multicast() const noexcept { return (bytes[0] & 1) != 0; }
  [[nodiscard]] constexpr bool is_zero() const noexcept { return *this == MacAddress{}; }
};
inline constexpr MacAddress broadcast_mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// The MAC of a virtual router: 00:00:5e:00:01:VRID, of IPv6 00:00:5e:00:02:VRID (RFC 9568 section
// 7.3).
[[nodiscard]] constexpr MacAddress virtual_mac(Family family, uint8_t vrid) noexcept {
  return {{0x00, 0x00, 0x5e, 0x00, static_cast<uint8_t>(family == Family::ipv4 ? 1 : 2), vrid}};
}

using Ipv4Address = be32;

struct Ipv6Address {
  std::array<uint8_t, 16> bytes{};

  constexpr bool operator==(const Ipv6Address&) const noexcept = default;
  constexpr auto operator<=>(const Ipv6Address&) const noexcept = default;
};

// Either family. An IPv4 address occupies the first four bytes and the rest is zero, so that
// equality, ordering (family first) and hashing can work on all seventeen bytes.
struct IpAddress {
  Family family = Family::none;
  std::array<uint8_t, 16> bytes{};

  constexpr IpAddress() noexcept = default;
  // NOLINTNEXTLINE(google-explicit-constructor): an address of one family is an address.
  IpAddress(Ipv4Address v4) noexcept : family(Family::ipv4) { std::memcpy(bytes.data(), &v4, 4); }
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr IpAddress(const Ipv6Address& v6) noexcept : family(Family::ipv6), bytes(v6.bytes) {}

  // By words: compilers call memcmp for sixteen bytes.
  constexpr bool operator==(const IpAddress& other) const noexcept {
    if consteval {
      return family == other.family && bytes == other.bytes;
    }
    std::array<uint64_t, 2> mine;
    std::array<uint64_t, 2> theirs;
    std::memcpy(mine.data(), bytes.data(), sizeof(mine));
    std::memcpy(theirs.data(), other.bytes.data(), sizeof(theirs));
    return family == other.family && ((mine[0] ^ theirs[0]) | (mine[1] ^ theirs[1])) == 0;
  }
  constexpr auto operator<=>(const IpAddress&) const noexcept = default;

  [[nodiscard]] bool is_v4() const noexcept { return family == Family::ipv4; }
  [[nodiscard]] bool is_v6() const noexcept { return family == Family::ipv6; }
  [[nodiscard]] Ipv4Address v4() const noexcept {
    Ipv4Address result;
    std::memcpy(&result, bytes.data(), 4);
    return result;
  }
  [[nodiscard]] Ipv6Address v6() const noexcept { return Ipv6Address{bytes}; }
  // Bits in an address of this family: 32, 128, or 0 without a family.
  [[nodiscard]] constexpr uint8_t bits() const noexcept {
    return family == Family::ipv4 ? 32 : family == Family::ipv6 ? 128 : 0;
  }
};

// A network: `address` has no bits set beyond `length` once it went through masked().
// 127.0.0.0/8 and ::1.
[[nodiscard]] inline bool is_loopback(const IpAddress& address) noexcept {
  if (address.is_v4()) return address.bytes[0] == 127;
  for (size_t i = 0; i < 15; ++i) {
    if (address.bytes[i] != 0) return false;
  }
  return address.is_v6() && address.bytes[15] == 1;
}

struct Prefix {
  IpAddress address;
  uint8_t length = 0;

  constexpr bool operator==(const Prefix&) const noexcept = default;
  constexpr auto operator<=>(const Prefix&) const noexcept = default;
  [[nodiscard]] bool contains(const IpAddress& other) const noexcept;
};

// `address` with all bits after the first `length` cleared; length above bits() is taken as bits().
[[nodiscard]] inline IpAddress masked(const IpAddress& address, uint8_t length) noexcept {
  // The first `bits` bits of 64, as they lie in memory.
  const auto mask = [](unsigned bits) {
    return be64::from_host(bits == 0 ? 0 : ~uint64_t{0} << (64 - bits)).raw();
  };
  const unsigned kept = std::min<unsigned>(length, address.bits());
  std::array<uint64_t, 2> words;
  std::memcpy(words.data(), address.bytes.data(), sizeof(words));
  words[0] &= mask(std::min(kept, 64U));
  words[1] &= mask(kept - std::min(kept, 64U));
  IpAddress result = address;
  std::memcpy(result.bytes.data(), words.data(), sizeof(words));
  return result;
}

// Text forms: dotted quad, RFC 5952 for IPv6 (as inet_ntop), aa:bb:cc:dd:ee:ff, ADDRESS/LENGTH.
// Parsing returns nothing for anything else (no scope ids, no octal, no missing parts).
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text);
[[nodiscard]] std::optional<MacAddress> parse_mac(std::string_view text);
// A bare address is a prefix of full length; host bits are kept as written.
[[nodiscard]] std::optional<Prefix> parse_prefix(std::string_view text);
[[nodiscard]] std::string to_string(const IpAddress& address);
[[nodiscard]] std::string to_string(const MacAddress& address);
[[nodiscard]] std::string to_string(const Prefix& prefix);
// 192.0.2.1:80 or [2001:db8::1]:80, `port` in host order.
[[nodiscard]] std::string endpoint_to_string(const IpAddress& address, uint16_t port);

static_assert(sizeof(MacAddress) == 6 && sizeof(IpAddress) == 17 && alignof(IpAddress) == 1);

}  // namespace headgate::net
