// The frames that VRRP builds itself, byte for byte.
#include "control/vrrp/frames.h"

#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace headgate::control {
namespace {

constexpr net::MacAddress mac{{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

net::IpAddress ip(std::string_view text) {
  return net::parse_ip(text).value();
}

TEST(VrrpFrames, GratuitousArpIsABroadcastRequestOfTheAddressForItself) {
  EXPECT_EQ(hex(gratuitous_arp_frame(mac, ip("192.0.2.80"))),
            "ffffffffffff021122334455"
            "0806"
            "0001080006040001"
            "021122334455c0000250"
            "ffffffffffffc0000250");
}

TEST(VrrpFrames, UnsolicitedAdvertisementOverridesAndNamesTheMac) {
  EXPECT_EQ(hex(unsolicited_na_frame(mac, ip("2001:db8::80"), false)),
            "333300000001021122334455"
            "86dd"
            "6000000000203aff"
            "20010db8000000000000000000000080"
            "ff020000000000000000000000000001"
            "8800"
            "9194"
            "20000000"
            "20010db8000000000000000000000080"
            "0201021122334455");
}

TEST(VrrpFrames, UnsolicitedAdvertisementOfARouterSaysSo) {
  std::string expected = hex(unsolicited_na_frame(mac, ip("2001:db8::80"), false));
  expected.replace(112, 12, "1194a0000000");  // checksum and flags
  EXPECT_EQ(hex(unsolicited_na_frame(mac, ip("2001:db8::80"), true)), expected);
}

TEST(VrrpFrames, Ipv4AdvertIsTheOneThatKeepalivedSends) {
  const std::array<uint8_t, 16> message{0x31, 0x33, 0x96, 0x02, 0x00, 0x64, 0x38, 0x22,
                                        0x0a, 0x4d, 0x00, 0x64, 0x0a, 0x4d, 0x00, 0x65};
  const net::MacAddress sender = net::virtual_mac(net::Family::ipv4, 0x33);
  EXPECT_EQ(hex(advert_frame(message, ip("10.77.0.1"), ip("224.0.0.18"), sender, 255, 1)),
            "01005e00001200005e000133"
            "0800"
            "45c0002400010000ff70d0480a4d0001e0000012"
            "3133960200643822"
            "0a4d00640a4d0065");
}

TEST(VrrpFrames, Ipv6AdvertHasTheClassAndHopLimitOfControl) {
  const std::array<uint8_t, 8> message{0x31, 0x33, 0x96, 0x01, 0x00, 0x64, 0x12, 0x34};
  const net::MacAddress sender = net::virtual_mac(net::Family::ipv6, 0x33);
  EXPECT_EQ(hex(advert_frame(message, ip("fe80::1"), ip("ff02::12"), sender, 255, 1)),
            "33330000001200005e000233"
            "86dd"
            "6c000000000870ff"
            "fe800000000000000000000000000001"
            "ff020000000000000000000000000012"
            "3133960100641234");
}

TEST(VrrpFrames, MulticastMacHoldsTheLast23BitsOfAnIpv4Group) {
  EXPECT_EQ(net::to_string(multicast_mac(ip("239.255.1.2"))), "01:00:5e:7f:01:02");
  EXPECT_EQ(net::to_string(multicast_mac(ip("ff05::1:2:3"))), "33:33:00:02:00:03");
}

}  // namespace
}  // namespace headgate::control
