#include "dataplane/net/checksum.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::net {
namespace {

// The definition of RFC 1071, word by word with the carry added at once.
uint16_t slow_checksum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    sum += static_cast<uint32_t>(bytes[i]) << 8 | low;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(~sum);
}

std::vector<uint8_t> random_bytes(std::mt19937& random, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes)
    byte = static_cast<uint8_t>(random());
  return bytes;
}

TEST(Checksum, EqualsTheDefinitionAtEveryLength) {
  std::mt19937 random(1);
  for (size_t length = 0; length < 200; ++length) {
    const auto bytes = random_bytes(random, length);
    EXPECT_EQ(checksum_finish(checksum_add(0, bytes)).host(), slow_checksum(bytes)) << length;
  }
}

TEST(Checksum, SumsTheExampleOfRfc1071) {
  const std::vector<uint8_t> bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(be16::from_raw(checksum_fold(checksum_add(0, bytes))).host(), 0xddf2);
}

TEST(ChecksumDelta, GivesWhatAFullComputationGives) {
  std::mt19937 random(2);
  for (int i = 0; i < 20000; ++i) {
    auto bytes = random_bytes(random, 64);
    const be16 before = checksum_finish(checksum_add(0, bytes));
    ChecksumDelta delta;
    const auto change = random_bytes(random, 8);
    const size_t at = random() % 28 * 2;
    delta.replace({&bytes[at], 8}, change);
    std::ranges::copy(change, bytes.begin() + static_cast<ptrdiff_t>(at));
    EXPECT_EQ(delta.apply(before).host(), slow_checksum(bytes));
  }
}

TEST(ChecksumDelta, KeepsAWrongChecksumWrongByTheSameAmount) {
  ChecksumDelta delta;
  const be16 from = be16::from_host(80);
  const be16 to = be16::from_host(8080);
  delta.replace_value(from, to);
  const uint16_t right = 0x1234;
  const auto moved = static_cast<uint16_t>(delta.apply(be16::from_host(right + 1)).host() -
                                           delta.apply(be16::from_host(right)).host());
  EXPECT_EQ(moved, 1);
}

TEST(ChecksumDelta, SendsAUdpResultOfZeroAsAllOnes) {
  // A checksum that becomes zero: the words it covers come to sum up to all ones.
  ChecksumDelta delta;
  const be16 before = be16::from_host(0x0001);
  delta.replace_value(be16::from_host(0), before);
  EXPECT_EQ(delta.apply(before).raw(), 0);
  EXPECT_EQ(delta.apply_udp(before).raw(), 0xffff);
}

TEST(Checksum, AfterADecreaseIsThatOfTheDelta) {
  for (const uint16_t less : {0x0100, 0x0001, 0xff00}) {
    for (uint32_t raw = 0; raw <= 0xffff; ++raw) {
      const auto checksum = be16::from_raw(static_cast<uint16_t>(raw));
      ChecksumDelta delta;
      const auto wire = be16::from_host(less);
      delta.replace_value(wire, be16{});
      ASSERT_EQ(checksum_after_decrease(checksum, wire), delta.apply(checksum)) << raw;
    }
  }
}

TEST(PseudoHeader, CoversAddressesProtocolAndLength) {
  const IpAddress source = *parse_ip("192.0.2.1");
  const IpAddress destination = *parse_ip("198.51.100.2");
  std::vector<uint8_t> header{192, 0, 2, 1, 198, 51, 100, 2, 0, 17, 0x01, 0x02};
  const uint64_t sum =
      pseudo_header_sum({source.bytes.data(), 4}, {destination.bytes.data(), 4}, 17, 0x0102);
  EXPECT_EQ(checksum_finish(sum).host(), slow_checksum(header));
}

}  // namespace
}  // namespace headgate::net
