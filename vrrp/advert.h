// The VRRP advertisement on the wire: version 2 (RFC 3768, with the simple-text authentication of
// RFC 2338) and version 3 for both families (RFC 9568).
//
//   v2  | 0x21 | VRID | priority | count | auth type | interval s | checksum | addresses | 8 auth |
//   v3  | 0x31 | VRID | priority | count | 0 + 12 bits of interval cs | checksum | addresses      |
//
// Checksums: v2 over the message alone, the authentication included; v3 over the message with the
// pseudo-header of its family. Some routers leave the pseudo-header out on IPv4, as one reading of
// RFC 9568 has it: both are accepted, and which is sent is a setting.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/net/address.h"

namespace headgate::vrrp {

enum class Version : uint8_t { v2 = 2, v3 = 3 };
enum class AuthType : uint8_t { none = 0, simple_text = 1, ip_header = 2 };

inline constexpr uint8_t protocol_number = 112;
inline constexpr uint8_t advert_ttl = 255;          // sent, and demanded on receipt
inline constexpr uint8_t owner_priority = 255;      // the router that owns the addresses
inline constexpr uint8_t leaving_priority = 0;      // a master that is about to stop
inline constexpr uint16_t max_interval_cs = 0xfff;  // of version 3: twelve bits of centiseconds
inline constexpr size_t max_addresses = 255;

struct Advert {
  Version version = Version::v3;
  uint8_t vrid = 0;  // 1..255
  uint8_t priority = 0;
  uint16_t interval_cs = 100;  // centiseconds; of v2 whole seconds
  AuthType auth_type = AuthType::none;
  std::array<uint8_t, 8> auth_data{};       // v2; zero without authentication
  std::vector<net::IpAddress> addresses{};  // all of one family

  bool operator==(const Advert&) const = default;
};

// Why a packet is no advertisement of ours to act upon, in the order in which RFC 9568 section 7.1
// and RFC 3768 section 7.1 look. One list: counters, `show vrrp` and the documentation use it.
enum class Discard : uint8_t {
  ttl,            // TTL or hop limit is not 255, or below what unicast peers may have
  version,        // neither 2 nor 3, or not the one that the virtual router runs
  length,         // shorter than its header and addresses say
  checksum,       //
  type,           // not an advertisement
  vrid,           // no such virtual router on this interface and family
  source,         // unicast: not one of the peers; or an address of our own
  auth_type,      // v2: not the configured authentication
  auth_data,      // v2: another password
  address_count,  // strict: not as many addresses as configured; or none at all
  address_list,   // strict: other addresses than configured
  interval,       // v3: zero; v2: zero, or strict and not the configured one
  priority,       // from another owner: priority 255, while we are the owner
};
inline constexpr size_t discard_reasons = 13;
[[nodiscard]] std::string_view name_of(Discard reason);  // as above, for counters and JSON

// A packet of protocol 112 as it was received, without its IP header.
struct Received {
  std::span<const uint8_t> message;
  net::IpAddress source;
  net::IpAddress destination;
  uint8_t ttl = 0;  // or hop limit
};

// The message as far as it explains itself: version, length, checksum, type, a count above zero and
// an interval above zero are checked, nothing that depends on a virtual router's configuration (the
// TTL is not looked at either). What follows the message is padding and ignored.
[[nodiscard]] std::expected<Advert, Discard> decode(const Received& packet);

enum class Checksum : uint8_t { with_pseudo_header, message_only };  // of v3 on IPv4

// The message, ready to be sent from `source` to `destination`.
[[nodiscard]] std::vector<uint8_t> encode(const Advert& advert, const net::IpAddress& source,
                                          const net::IpAddress& destination,
                                          Checksum checksum = Checksum::with_pseudo_header);

}  // namespace headgate::vrrp
