#include "dataplane/net/address.h"

#include <gtest/gtest.h>

namespace headgate::net {
namespace {

TEST(Address, ParsesBothFamiliesAndPrintsThemShortest) {
  EXPECT_EQ(to_string(parse_ip("192.0.2.1").value()), "192.0.2.1");
  EXPECT_EQ(to_string(parse_ip("2001:DB8:0:0:0::1").value()), "2001:db8::1");
  EXPECT_EQ(parse_ip("192.0.2.1")->family, Family::ipv4);
  EXPECT_EQ(parse_ip("::")->family, Family::ipv6);
}

TEST(Address, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "192.0.2", "192.0.2.256", "192.0.2.1 ", " 192.0.2.1", "01.2.3.4.5",
                           "fe80::1%eth0", "2001:db8:::1", "x", "192.0.2.1/24"}) {
    EXPECT_FALSE(parse_ip(text)) << text;
  }
  EXPECT_FALSE(parse_ip(std::string(100, '1')));
}

TEST(Address, AnIpv4AddressLeavesTheOtherBytesZero) {
  const IpAddress address = *parse_ip("255.255.255.255");
  for (size_t i = 4; i < address.bytes.size(); ++i)
    EXPECT_EQ(address.bytes[i], 0);
}

TEST(Address, MasksAtEveryLength) {
  const IpAddress all = *parse_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  for (unsigned length = 0; length <= 128; ++length) {
    const IpAddress result = masked(all, static_cast<uint8_t>(length));
    unsigned bits = 0;
    for (const uint8_t byte : result.bytes)
      bits += static_cast<unsigned>(__builtin_popcount(byte));
    EXPECT_EQ(bits, length);
  }
  EXPECT_EQ(to_string(masked(*parse_ip("10.1.2.3"), 9)), "10.0.0.0");
  EXPECT_EQ(to_string(masked(*parse_ip("10.1.2.3"), 200)), "10.1.2.3");
}

TEST(Prefix, KeepsHostBitsAndChecksTheLength) {
  EXPECT_EQ(to_string(*parse_prefix("10.1.2.3/24")), "10.1.2.3/24");
  EXPECT_EQ(parse_prefix("2001:db8::1")->length, 128);
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129"}) {
    EXPECT_FALSE(parse_prefix(text)) << text;
  }
}

TEST(Prefix, ContainsAddressesOfItsFamilyOnly) {
  const Prefix prefix = *parse_prefix("10.1.0.0/16");
  EXPECT_TRUE(prefix.contains(*parse_ip("10.1.255.255")));
  EXPECT_FALSE(prefix.contains(*parse_ip("10.2.0.0")));
  EXPECT_FALSE(parse_prefix("0.0.0.0/0")->contains(*parse_ip("::")));
}

TEST(Mac, ParsesAndPrints) {
  EXPECT_EQ(to_string(*parse_mac("02:00:5E:00:0a:ff")), "02:00:5e:00:0a:ff");
  for (const char* text : {"02:00:5e:00:0a", "02-00-5e-00-0a-ff", "02:00:5e:00:0a:fg", ""}) {
    EXPECT_FALSE(parse_mac(text)) << text;
  }
}

TEST(Endpoint, BracketsIpv6) {
  EXPECT_EQ(endpoint_to_string(*parse_ip("::1"), 80), "[::1]:80");
  EXPECT_EQ(endpoint_to_string(*parse_ip("192.0.2.1"), 443), "192.0.2.1:443");
}

}  // namespace
}  // namespace headgate::net
