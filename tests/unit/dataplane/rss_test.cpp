#include "dataplane/rss.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::dataplane {
namespace {

// Key and tuples of Microsoft's "Verifying the RSS hash calculation".
constexpr std::array<uint8_t, 40> verification_key{
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct VerifiedTuple {
  const char* destination;
  uint16_t destination_port;
  const char* source;
  uint16_t source_port;
  uint32_t addresses_only;
  uint32_t with_ports;
};
constexpr std::array verified_tuples{
    VerifiedTuple{"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
    VerifiedTuple{"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
    VerifiedTuple{"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
    VerifiedTuple{"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
    VerifiedTuple{"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
    VerifiedTuple{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5,
                  0x40207d3d},
    VerifiedTuple{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
    VerifiedTuple{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251,
                  0x4b61e985, 0x02d1feef},
};

std::vector<uint8_t> tuple_bytes(const net::IpAddress& source, const net::IpAddress& destination) {
  std::vector<uint8_t> bytes(source.bytes.begin(), source.bytes.begin() + source.bits() / 8);
  bytes.insert(bytes.end(), destination.bytes.begin(),
               destination.bytes.begin() + destination.bits() / 8);
  return bytes;
}

RssTable table_of(std::span<const uint8_t> key, uint32_t reta_entries, uint16_t queues) {
  std::vector<uint16_t> reta(reta_entries);
  for (uint32_t i = 0; i < reta_entries; ++i)
    reta[i] = static_cast<uint16_t>(i % queues);
  return {key, reta};
}

TEST(Toeplitz, MatchesTheVerificationSuite) {
  for (const VerifiedTuple& tuple : verified_tuples) {
    const auto source = *net::parse_ip(tuple.source);
    const auto destination = *net::parse_ip(tuple.destination);
    std::vector<uint8_t> bytes = tuple_bytes(source, destination);
    EXPECT_EQ(toeplitz(verification_key, bytes), tuple.addresses_only) << tuple.source;
    for (const uint16_t port : {tuple.source_port, tuple.destination_port}) {
      bytes.push_back(static_cast<uint8_t>(port >> 8));
      bytes.push_back(static_cast<uint8_t>(port));
    }
    EXPECT_EQ(toeplitz(verification_key, bytes), tuple.with_ports) << tuple.source;
  }
}

TEST(RssTable, MatchesTheVerificationSuite) {
  const RssTable table = table_of(verification_key, 128, 4);
  for (const VerifiedTuple& tuple : verified_tuples) {
    EXPECT_EQ(table.hash(*net::parse_ip(tuple.source), *net::parse_ip(tuple.destination),
                         net::be16::from_host(tuple.source_port),
                         net::be16::from_host(tuple.destination_port)),
              tuple.with_ports)
        << tuple.source;
  }
}

TEST(RssTable, HashOfAnotherPortIsTwoLookupsAway) {
  std::mt19937 random(1);
  std::array<uint8_t, 52> key{};
  for (uint8_t& byte : key)
    byte = static_cast<uint8_t>(random());
  const RssTable table = table_of(key, 512, 16);
  for (const auto& [source, destination] :
       {std::pair{*net::parse_ip("10.2.0.11"), *net::parse_ip("10.2.0.1")},
        std::pair{*net::parse_ip("fd00:2::11"), *net::parse_ip("fd00:2::1")}}) {
    const auto source_port = net::be16::from_host(8080);
    const uint32_t base = table.hash(source, destination, source_port, net::be16{});
    for (uint32_t port = 0; port < 65536; port += 17) {
      const uint32_t direct = table.hash(source, destination, source_port,
                                         net::be16::from_host(static_cast<uint16_t>(port)));
      const uint32_t composed =
          base ^
          table.high_byte_of_destination_port(static_cast<uint8_t>(port >> 8), source.family) ^
          table.low_byte_of_destination_port(static_cast<uint8_t>(port), source.family);
      ASSERT_EQ(direct, composed) << port;
    }
  }
}

TEST(RssTable, QueueComesFromTheRedirectionTable) {
  std::vector<uint16_t> reta{7, 5, 3, 1};
  const RssTable table(verification_key, reta);
  for (uint32_t hash = 0; hash < 64; ++hash)
    EXPECT_EQ(table.queue_of(hash), reta[hash % 4]);
}

TEST(RssTable, RefusesAKeyThatIsTooShortAndTablesThatDoNotFit) {
  const std::vector<uint16_t> reta(128);
  EXPECT_TRUE(RssTable::usable(verification_key, reta));
  EXPECT_FALSE(RssTable::usable(std::span(verification_key).first(39), reta));
  EXPECT_FALSE(RssTable::usable(verification_key, {}));
  EXPECT_FALSE(RssTable::usable(verification_key, std::vector<uint16_t>(2049)));
}

}  // namespace
}  // namespace headgate::dataplane
