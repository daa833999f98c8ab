// The codec: bytes to an Advert and back.
#include "vrrp/advert.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/endian.h"

namespace headgate::vrrp {
namespace {

constexpr uint8_t type_advertisement = 1;
constexpr size_t auth_size = 8;  // v2: there even without authentication
constexpr uint16_t cs_per_second = 100;

struct WireHeader {
  uint8_t version_and_type;
  uint8_t vrid;
  uint8_t priority;
  uint8_t count;
  net::be16 auth_and_interval;  // v2: a byte of each; v3: four reserved bits and the interval
  net::be16 checksum;
};
static_assert(sizeof(WireHeader) == 8 && alignof(WireHeader) == 1);

size_t address_size(net::Family family) {
  return family == net::Family::ipv6 ? 16 : 4;
}

std::span<const uint8_t> bytes_of(const net::IpAddress& address) {
  return {address.bytes.data(), address_size(address.family)};
}

size_t message_size(Version version, net::Family family, size_t count) {
  return sizeof(WireHeader) + count * address_size(family) +
         (version == Version::v2 ? auth_size : 0);
}

uint64_t sum_with_pseudo_header(std::span<const uint8_t> message, const net::IpAddress& source,
                                const net::IpAddress& destination) {
  return net::checksum_add(
      net::pseudo_header_sum(bytes_of(source), bytes_of(destination), protocol_number,
                             static_cast<uint32_t>(message.size())),
      message);
}

bool checksum_holds(Version version, std::span<const uint8_t> message, const Received& packet) {
  constexpr uint16_t right = 0xffff;  // what everything adds up to, the checksum included
  const bool may_stand_alone = version == Version::v2 || packet.source.is_v4();
  if (may_stand_alone && net::checksum_fold(net::checksum_add(0, message)) == right) return true;
  return version == Version::v3 && net::checksum_fold(sum_with_pseudo_header(
                                       message, packet.source, packet.destination)) == right;
}

net::IpAddress address_at(std::span<const uint8_t> message, net::Family family, size_t index) {
  const size_t size = address_size(family);
  net::IpAddress address;
  address.family = family;
  std::memcpy(address.bytes.data(), message.data() + sizeof(WireHeader) + index * size, size);
  return address;
}

// The header's fields and what follows it, all of it known to be there.
Advert read(Version version, const WireHeader& header, std::span<const uint8_t> message,
            net::Family family) {
  Advert advert{.version = version, .vrid = header.vrid, .priority = header.priority};
  const uint16_t word = header.auth_and_interval.host();
  if (version == Version::v2) {
    advert.auth_type = static_cast<AuthType>(word >> 8);
    advert.interval_cs = static_cast<uint16_t>((word & 0xff) * cs_per_second);
    // RFC 3768 5.3.6: without authentication the field is not looked at.
    if (advert.auth_type != AuthType::none) {
      std::ranges::copy(message.last(auth_size), advert.auth_data.begin());
    }
  } else {
    advert.interval_cs = word & max_interval_cs;
  }
  advert.addresses.reserve(header.count);
  for (size_t i = 0; i < header.count; ++i)
    advert.addresses.push_back(address_at(message, family, i));
  return advert;
}

net::be16 auth_and_interval(const Advert& advert) {
  if (advert.version == Version::v3) return net::be16::from_host(advert.interval_cs);
  const auto auth = static_cast<uint16_t>(static_cast<uint16_t>(advert.auth_type) << 8);
  return net::be16::from_host(auth | static_cast<uint16_t>(advert.interval_cs / cs_per_second));
}

}  // namespace

std::expected<Advert, Discard> decode(const Received& packet) {
  if (packet.message.empty()) return std::unexpected(Discard::length);
  const uint8_t number = packet.message[0] >> 4;
  if (number != 2 && number != 3) return std::unexpected(Discard::version);
  const auto version = static_cast<Version>(number);
  const net::Family family = packet.source.family;
  // RFC 3768 is of IPv4 alone.
  if (version == Version::v2 && family == net::Family::ipv6) {
    return std::unexpected(Discard::version);
  }
  WireHeader header;
  if (packet.message.size() < sizeof(header)) return std::unexpected(Discard::length);
  std::memcpy(&header, packet.message.data(), sizeof(header));
  const size_t size = message_size(version, family, header.count);
  if (packet.message.size() < size) return std::unexpected(Discard::length);
  // What comes after the message is padding and none of its checksum.
  const auto message = packet.message.first(size);
  if (!checksum_holds(version, message, packet)) return std::unexpected(Discard::checksum);
  if ((header.version_and_type & 0xf) != type_advertisement) return std::unexpected(Discard::type);
  if (header.count == 0) return std::unexpected(Discard::address_count);
  Advert advert = read(version, header, message, family);
  if (advert.interval_cs == 0) return std::unexpected(Discard::interval);
  return advert;
}

std::vector<uint8_t> encode(const Advert& advert, const net::IpAddress& source,
                            const net::IpAddress& destination, Checksum checksum) {
  assert(advert.addresses.size() <= max_addresses);
  assert(advert.version == Version::v2 ? advert.interval_cs / cs_per_second <= 0xff
                                       : advert.interval_cs <= max_interval_cs);
  std::vector<uint8_t> message(
      message_size(advert.version, source.family, advert.addresses.size()));
  WireHeader header{.version_and_type = static_cast<uint8_t>(
                        static_cast<uint8_t>(advert.version) << 4 | type_advertisement),
                    .vrid = advert.vrid,
                    .priority = advert.priority,
                    .count = static_cast<uint8_t>(advert.addresses.size()),
                    .auth_and_interval = auth_and_interval(advert),
                    .checksum = {}};
  uint8_t* at = message.data() + sizeof(header);
  for (const net::IpAddress& address : advert.addresses)
    at = std::ranges::copy(bytes_of(address), at).out;
  if (advert.version == Version::v2) std::ranges::copy(advert.auth_data, at);
  std::memcpy(message.data(), &header, sizeof(header));
  const bool alone =
      advert.version == Version::v2 || (source.is_v4() && checksum == Checksum::message_only);
  header.checksum = net::checksum_finish(
      alone ? net::checksum_add(0, message) : sum_with_pseudo_header(message, source, destination));
  std::memcpy(message.data(), &header, sizeof(header));
  return message;
}

}  // namespace headgate::vrrp
