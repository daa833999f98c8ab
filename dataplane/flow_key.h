// Flow keys: the tuple of a packet as it is looked up, and the keyed hash over it.
//
// The hash is 64 bits, made of rounds of 64x64 -> 128 bit multiplication whose halves are folded by
// exclusive or (the construction of wyhash), with a random seed mixed into every operand: without
// the seed nobody can aim many flows at one bucket. It is not a cryptographic hash.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "dataplane/net/address.h"
#include "dataplane/net/endian.h"

namespace headgate::dataplane {

// What an entry of the connection table stands for. Part of the key: a persistence template (source
// port 0, masked source address) is never mistaken for a flow that really has source port 0.
enum class EntryKind : uint8_t { flow = 0, persistence = 1 };

struct alignas(8) FlowKey4 {
  net::be32 source;
  net::be32 destination;
  net::be16 source_port;
  net::be16 destination_port;
  uint8_t protocol = 0;
  EntryKind kind = EntryKind::flow;
  uint16_t zero = 0;  // always 0: all sixteen bytes are hashed

  bool operator==(const FlowKey4&) const noexcept = default;
};

struct alignas(8) FlowKey6 {
  net::Ipv6Address source;
  net::Ipv6Address destination;
  net::be16 source_port;
  net::be16 destination_port;
  uint8_t protocol = 0;
  EntryKind kind = EntryKind::flow;
  uint16_t zero = 0;

  bool operator==(const FlowKey6&) const noexcept = default;
};

static_assert(sizeof(FlowKey4) == 16 && sizeof(FlowKey6) == 40);

// The key of a packet, from where its addresses and its ports lie one after the other.
template <class Key>  // FlowKey4 or FlowKey6
Key flow_key(const void* addresses, const void* ports, uint8_t protocol) noexcept {
  std::array<uint64_t, sizeof(Key) / 8> words;
  uint32_t both_ports;
  std::memcpy(words.data(), addresses, sizeof(Key) - 8);
  std::memcpy(&both_ports, ports, 4);
  words.back() = both_ports | uint64_t{protocol} << 32;
  return std::bit_cast<Key>(words);
}
static_assert(std::endian::native == std::endian::little && EntryKind{} == EntryKind::flow);

// Random bytes, drawn once when the table is made and kept in its header.
struct HashSeed {
  std::array<uint64_t, 8> words{};
};

namespace detail {

inline uint64_t multiply_fold(uint64_t a, uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

template <class Key>
std::array<uint64_t, sizeof(Key) / 8> words_of(const Key& key) noexcept {
  std::array<uint64_t, sizeof(Key) / 8> words;
  std::memcpy(words.data(), &key, sizeof(key));
  return words;
}

}  // namespace detail

inline uint64_t hash_key(const FlowKey4& key, const HashSeed& seed) noexcept {
  const auto w = detail::words_of(key);
  const auto& s = seed.words;
  const uint64_t x = detail::multiply_fold(w[0] ^ s[0], w[1] ^ s[1]);
  return detail::multiply_fold(x ^ s[2], w[1] ^ s[3]);
}

inline uint64_t hash_key(const FlowKey6& key, const HashSeed& seed) noexcept {
  const auto w = detail::words_of(key);
  const auto& s = seed.words;
  const uint64_t x = detail::multiply_fold(w[0] ^ s[4], w[1] ^ s[5]);
  const uint64_t y = detail::multiply_fold(w[2] ^ s[6], w[3] ^ s[7]);
  const uint64_t z = detail::multiply_fold(x ^ w[4] ^ s[0], y ^ s[1]);
  return detail::multiply_fold(z ^ s[2], w[4] ^ s[3]);
}

}  // namespace headgate::dataplane
