#include "dataplane/rss.h"

#include <algorithm>

namespace headgate::dataplane {

namespace {

// The 32 bits of the key that begin at bit `bit`.
uint32_t key_window(std::span<const uint8_t> key, size_t bit) noexcept {
  uint64_t five_bytes = 0;
  for (size_t i = 0; i < 5; ++i) {
    const size_t byte = bit / 8 + i;
    five_bytes = (five_bytes << 8) | (byte < key.size() ? key[byte] : 0);
  }
  return static_cast<uint32_t>(five_bytes >> (8 - bit % 8));
}

// What `byte` at place `place` of the input adds to the hash.
uint32_t contribution_of(std::span<const uint8_t> key, size_t place, uint8_t byte) noexcept {
  uint32_t result = 0;
  for (size_t bit = 0; bit < 8; ++bit) {
    if ((byte & (0x80U >> bit)) != 0) result ^= key_window(key, place * 8 + bit);
  }
  return result;
}

}  // namespace

uint32_t toeplitz(std::span<const uint8_t> key, std::span<const uint8_t> input) noexcept {
  uint32_t result = 0;
  for (size_t place = 0; place < input.size(); ++place) {
    result ^= contribution_of(key, place, input[place]);
  }
  return result;
}

bool RssTable::usable(std::span<const uint8_t> key, std::span<const uint16_t> reta) noexcept {
  return key.size() >= rss_min_key_bytes && !reta.empty() && reta.size() <= rss_max_reta_entries;
}

RssTable::RssTable(std::span<const uint8_t> key, std::span<const uint16_t> reta) noexcept
    : reta_{}, reta_entries_(static_cast<uint32_t>(reta.size())) {
  for (size_t place = 0; place < max_tuple_bytes; ++place) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      contribution_[place][byte] = contribution_of(key, place, static_cast<uint8_t>(byte));
    }
  }
  std::ranges::copy(reta, reta_.begin());
}

uint32_t RssTable::hash(const net::IpAddress& source, const net::IpAddress& destination,
                        net::be16 source_port, net::be16 destination_port) const noexcept {
  const size_t address_bytes = source.bits() / 8U;
  uint32_t result = 0;
  for (size_t i = 0; i < address_bytes; ++i) {
    result ^= contribution_[i][source.bytes[i]];
    result ^= contribution_[address_bytes + i][destination.bytes[i]];
  }
  const uint16_t from = source_port.host();
  const uint16_t to = destination_port.host();
  const auto& source_high = contribution_[2 * address_bytes];
  const auto& source_low = contribution_[2 * address_bytes + 1];
  return result ^ source_high[from >> 8] ^ source_low[from & 0xff] ^
         high_byte_of_destination_port(static_cast<uint8_t>(to >> 8), source.family) ^
         low_byte_of_destination_port(static_cast<uint8_t>(to & 0xff), source.family);
}

}  // namespace headgate::dataplane
