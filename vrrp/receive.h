// What a virtual router makes of an advertisement before its state machine sees it: the checks of
// RFC 9568 section 7.1 and RFC 3768 section 7.1 that depend on its configuration.
//
// The RFCs let a router drop an advert whose addresses or (v2) interval are not its own. Then two
// masters appear while an address is added box by box; so a difference is told and survived, unless
// `strict` asks for the letter.
//
// Looked at first are the TTL and the version, then what the message says about itself (decode()),
// then the rest in the order of Discard.
//
// An owner of the addresses, priority 255, never yields. RFC 9568 7.1 drops every advert that it
// gets. Here only those of another owner are dropped and counted, for they tell of a mistake that
// no election mends; adverts of lower priority reach the machine, which defends the addresses
// against whoever sent them.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <vector>

#include "dataplane/net/address.h"
#include "vrrp/advert.h"

namespace headgate::vrrp {

struct ReceiveSettings {
  Version version = Version::v3;
  uint8_t vrid = 1;
  uint8_t priority = 100;  // base; 255: owner
  uint16_t interval_cs = 100;
  std::vector<net::IpAddress> addresses{};  // as advertised, in any order
  AuthType auth_type = AuthType::none;      // v2
  std::array<uint8_t, 8> auth_data{};       // v2, padded with zeros
  std::vector<net::IpAddress> peers{};      // unicast; empty: multicast
  uint8_t min_ttl = advert_ttl;             // of unicast peers; multicast always demands 255
  bool strict = false;

  bool operator==(const ReceiveSettings&) const = default;
  net::IpAddress source{};  // our own primary address: adverts from there are ours, looped back
};

struct Mismatch {  // survived; each is to be told once, not for every advert
  bool addresses = false;
  bool interval = false;
  bool operator==(const Mismatch&) const = default;
};

struct Accepted {
  Advert advert;
  Mismatch mismatch;
};

[[nodiscard]] std::expected<Accepted, Discard> receive(const ReceiveSettings& settings,
                                                       const Received& packet);

}  // namespace headgate::vrrp
