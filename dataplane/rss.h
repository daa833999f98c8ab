// Receive side scaling in software: which queue of a port a packet will arrive on.
//
// The Toeplitz hash of a tuple (Microsoft, "RSS hashing types"; source address, destination
// address, source port, destination port, as they follow each other on the wire) is linear over
// GF(2): the exclusive or of what each byte at its place contributes. RssTable keeps these
// contributions, so the hash of a tuple is one lookup a byte, and trying another port costs two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/net/address.h"

namespace headgate::dataplane {

inline constexpr uint32_t rss_min_key_bytes = 40;  // covers the 36 bytes of an IPv6 tuple
inline constexpr uint32_t rss_max_reta_entries = 2048;

// One port's key and redirection table with what was computed from them; 41 kB, built by control,
// read by workers.
class RssTable {
 public:
  // `key`: at least rss_min_key_bytes. `reta`: queues, up to rss_max_reta_entries of them. Check
  // with usable() first.
  RssTable(std::span<const uint8_t> key, std::span<const uint16_t> reta) noexcept;
  [[nodiscard]] static bool usable(std::span<const uint8_t> key,
                                   std::span<const uint16_t> reta) noexcept;

  // The tuple's hash. Both addresses are of one family.
  [[nodiscard]] uint32_t hash(const net::IpAddress& source, const net::IpAddress& destination,
                              net::be16 source_port, net::be16 destination_port) const noexcept;
  [[nodiscard]] uint16_t queue_of(uint32_t hash) const noexcept {
    return reta_[hash % reta_entries_];
  }

  // hash(a, b, p, q) == hash(a, b, p, 0) ^ high_byte_of_destination_port(q >> 8, family)
  //                                      ^ low_byte_of_destination_port(q & 255, family)
  [[nodiscard]] uint32_t high_byte_of_destination_port(uint8_t byte,
                                                       net::Family family) const noexcept {
    return contribution_[tuple_bytes(family) - 2][byte];
  }
  [[nodiscard]] uint32_t low_byte_of_destination_port(uint8_t byte,
                                                      net::Family family) const noexcept {
    return contribution_[tuple_bytes(family) - 1][byte];
  }

 private:
  static constexpr uint32_t max_tuple_bytes = 36;
  [[nodiscard]] static constexpr uint32_t tuple_bytes(net::Family family) noexcept {
    return family == net::Family::ipv4 ? 12 : max_tuple_bytes;
  }

  std::array<std::array<uint32_t, 256>, max_tuple_bytes> contribution_;  // by place, by byte
  std::array<uint16_t, rss_max_reta_entries> reta_;
  uint32_t reta_entries_;
};

// The definition, bit by bit, to test against. `key` is at least four bytes longer than `input`.
[[nodiscard]] uint32_t toeplitz(std::span<const uint8_t> key,
                                std::span<const uint8_t> input) noexcept;

}  // namespace headgate::dataplane
