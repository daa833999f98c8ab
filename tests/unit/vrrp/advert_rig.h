// Adverts as bytes for the tests of the codec and of receive().
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

#include "dataplane/net/checksum.h"
#include "vrrp/advert.h"

namespace headgate::vrrp::test {

inline uint8_t hex_digit(char digit) {
  return static_cast<uint8_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

inline std::vector<uint8_t> bytes_of_hex(std::string_view text) {
  std::vector<uint8_t> bytes;
  bool high = true;
  for (const char digit : text) {
    if (digit == ' ') continue;
    if (high) bytes.push_back(0);
    bytes.back() = static_cast<uint8_t>(bytes.back() << 4 | hex_digit(digit));
    high = !high;
  }
  return bytes;
}

inline net::IpAddress ip(std::string_view text) {
  return net::parse_ip(text).value();
}

// Both were sent by keepalived 2.2.7 from 10.77.0.1 to 224.0.0.18.
inline const std::vector<uint8_t> captured_v2 =
    bytes_of_hex("2133960201016191 0a4d0064 0a4d0065 3132333435363738");
inline const std::vector<uint8_t> captured_v3 = bytes_of_hex("3133960200643822 0a4d0064 0a4d0065");

inline Advert advert_v2() {
  return {.version = Version::v2,
          .vrid = 51,
          .priority = 150,
          .interval_cs = 100,
          .auth_type = AuthType::simple_text,
          .auth_data = {'1', '2', '3', '4', '5', '6', '7', '8'},
          .addresses = {ip("10.77.0.100"), ip("10.77.0.101")}};
}

inline Advert advert_v3() {
  return {.version = Version::v3,
          .vrid = 51,
          .priority = 150,
          .interval_cs = 100,
          .addresses = {ip("10.77.0.100"), ip("10.77.0.101")}};
}

inline Advert advert_v6() {
  Advert advert = advert_v3();
  advert.addresses = {ip("fe80::100"), ip("2001:db8::100")};
  return advert;
}

inline bool is_v6(const Advert& advert) {
  return !advert.addresses.empty() && advert.addresses.front().is_v6();
}
inline net::IpAddress source_of(const Advert& advert) {
  return is_v6(advert) ? ip("fe80::1") : ip("10.77.0.1");
}
inline net::IpAddress group_of(const Advert& advert) {
  return is_v6(advert) ? ip("ff02::12") : ip("224.0.0.18");
}

inline std::vector<uint8_t> message_of(const Advert& advert,
                                       Checksum checksum = Checksum::with_pseudo_header) {
  return encode(advert, source_of(advert), group_of(advert), checksum);
}

inline Received packet_of(const Advert& advert, const std::vector<uint8_t>& message) {
  return {.message = message,
          .source = source_of(advert),
          .destination = group_of(advert),
          .ttl = advert_ttl};
}

// The checksum field filled in again after bytes were changed.
inline void mend_checksum(const Advert& like, std::vector<uint8_t>& message) {
  message[6] = message[7] = 0;
  uint64_t sum = net::checksum_add(0, message);
  if (like.version == Version::v3) {
    const size_t size = is_v6(like) ? 16 : 4;
    const net::IpAddress source = source_of(like);
    const net::IpAddress group = group_of(like);
    sum += net::pseudo_header_sum({source.bytes.data(), size}, {group.bytes.data(), size},
                                  protocol_number, static_cast<uint32_t>(message.size()));
  }
  const uint16_t checksum = net::checksum_finish(sum).host();
  message[6] = static_cast<uint8_t>(checksum >> 8);
  message[7] = static_cast<uint8_t>(checksum);
}

// The reason, or nothing if all is well.
template <typename T>
std::string_view verdict(const std::expected<T, Discard>& result) {
  return result ? "" : name_of(result.error());
}

}  // namespace headgate::vrrp::test
