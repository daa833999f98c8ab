#include "config/codecs.h"

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

using net::IpAddress;
using net::Prefix;

// The value as text again, or what was wrong.
template <typename T, typename Codec>
std::string through(const Codec& codec, std::string_view text) {
  const Parsed<T> value = codec.template parse<T>(text);
  if (!value) return value.error();
  EXPECT_EQ(codec.check(*value), "") << text;
  return codec.format(*value);
}

TEST(Number, TakesDecimalsInItsRange) {
  const Number number{1, 65535};
  EXPECT_EQ(through<uint16_t>(number, "1"), "1");
  EXPECT_EQ(through<uint16_t>(number, "65535"), "65535");
  EXPECT_EQ(through<uint16_t>(number, "70000"), "70000 is above 65535");
  EXPECT_EQ(through<uint16_t>(number, "0"), "0 is below 1");
  EXPECT_EQ(through<uint16_t>(number, "-7"), "-7 is below 1");
  EXPECT_EQ(through<uint16_t>(number, "99999999999999999999"),
            "99999999999999999999 is above 65535");
}

TEST(Number, RefusesWhatReadersOfYamlDisagreeOn) {
  const Number number{0, 100};
  EXPECT_EQ(through<uint32_t>(number, "010"), "\"010\" begins with a zero: write 10");
  EXPECT_EQ(through<uint32_t>(number, "00"), "\"00\" begins with a zero: write 0");
  for (const std::string_view text : {"", "0x10", "1e2", "1.0", "1_0", "+1", "ten", "1 ", "--1"}) {
    EXPECT_EQ(through<uint32_t>(number, text),
              in_quotes(text) + " is not a whole number from 0 to 100");
  }
}

TEST(FileMode, IsOctalAndKeepsTheOwnerIn) {
  const FileMode mode;
  EXPECT_EQ(through<uint16_t>(mode, "0660"), "0660");
  EXPECT_EQ(through<uint16_t>(mode, "660"), "0660");
  EXPECT_EQ(through<uint16_t>(mode, "0o600"), "0600");
  EXPECT_EQ(through<uint16_t>(mode, "0668"), "\"0668\" is not an octal file mode such as 0660");
  EXPECT_EQ(through<uint16_t>(mode, "4755"), "4755 has bits beyond 0777");
  EXPECT_EQ(through<uint16_t>(mode, "0060"),
            "0060 keeps the owner out: the first digit must be 6 or 7, as in 0660");
}

TEST(Switch, TakesTheWordsOfYaml) {
  for (const std::string_view text : {"on", "true", "Yes", "ON"}) {
    EXPECT_EQ(through<bool>(Switch{}, text), "on");
  }
  for (const std::string_view text : {"off", "False", "no"}) {
    EXPECT_EQ(through<bool>(Switch{}, text), "off");
  }
  EXPECT_EQ(through<bool>(Switch{}, "1"), "\"1\" is neither on nor off");
}

TEST(Word, NamesAllWordsAndTheNearest) {
  EXPECT_EQ(through<Mode>(Word<Mode>{}, "fullnat"), "fullnat");
  EXPECT_EQ(through<Mode>(Word<Mode>{}, "fulnat"),
            "\"fulnat\" is not dr, nat, fullnat or ipip; did you mean fullnat?");
  EXPECT_EQ(through<Protocol>(Word<Protocol>{}, "sctp"), "\"sctp\" is not tcp or udp");
  EXPECT_EQ(Word<Mode>::check(static_cast<Mode>(9)), "9 is not dr, nat, fullnat or ipip");
}

TEST(Address, TakesHostsOfBothFamilies) {
  EXPECT_EQ(through<IpAddress>(Address{}, "192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(through<IpAddress>(Address{}, "2001:DB8::0:1"), "\"2001:db8::1\"");
}

TEST(Address, SaysWhatAValueIsInsteadOfAnAddress) {
  const auto error = [](std::string_view text) { return through<IpAddress>(Address{}, text); };
  EXPECT_EQ(error("10.0.0.1:80"),
            "\"10.0.0.1:80\" holds a port: write `address: 10.0.0.1` and "
            "`port: 80`");
  EXPECT_EQ(error("[fd00::1]:80"),
            "\"[fd00::1]:80\" holds a port: write `address: fd00::1` and "
            "`port: 80`");
  EXPECT_EQ(error("10.0.0.1/24"),
            "\"10.0.0.1/24\" has a length where a plain address is expected: "
            "leave out the '/24'");
  EXPECT_EQ(error("fe80::1%eth0"),
            "\"fe80::1%eth0\" names an interface: leave out the '%' and what follows");
  EXPECT_EQ(error("web.example"),
            "\"web.example\" is not an IPv4 or IPv6 address; names are not looked up");
  EXPECT_EQ(error("010.0.0.1"),
            "\"010.0.0.1\" is not an IPv4 or IPv6 address; names are not looked up");
  EXPECT_EQ(error("10.0.0"), "\"10.0.0\" is not an IPv4 or IPv6 address; names are not looked up");
}

TEST(Address, RefusesAddressesThatNoHostHas) {
  const auto error = [](std::string_view text) { return through<IpAddress>(Address{}, text); };
  EXPECT_EQ(error("0.0.0.0"), "0.0.0.0 is in 0.0.0.0/8, not the address of a host");
  EXPECT_EQ(error("127.0.0.1"), "127.0.0.1 is a loopback address, not the address of a host");
  EXPECT_EQ(error("224.0.0.18"), "224.0.0.18 is a multicast address, not the address of a host");
  EXPECT_EQ(error("255.255.255.255"),
            "255.255.255.255 is the broadcast address, not the address of a host");
  EXPECT_EQ(error("::"), ":: is the unspecified address, not the address of a host");
  EXPECT_EQ(error("::1"), "::1 is the loopback address, not the address of a host");
  EXPECT_EQ(error("ff02::1"), "ff02::1 is a multicast address, not the address of a host");
  EXPECT_EQ(error("::ffff:10.0.0.1"),
            "::ffff:10.0.0.1 is an IPv4 address written as IPv6: write 10.0.0.1");
  EXPECT_EQ(Address::check({}), "is missing");
}

TEST(InterfaceAddress, NeedsTheLengthOfItsNetwork) {
  const auto through_it = [](std::string_view t) { return through<Prefix>(InterfaceAddress{}, t); };
  EXPECT_EQ(through_it("192.0.2.7/24"), "192.0.2.7/24");
  EXPECT_EQ(through_it("192.0.2.7"),
            "\"192.0.2.7\" has no network's length: write 192.0.2.7/32, "
            "or the length of its network");
  EXPECT_EQ(through_it("192.0.2.7/33"),
            "\"192.0.2.7/33\" is not an address with its network's length, such as 192.0.2.1/24");
  EXPECT_EQ(through_it("192.0.2.7/0"), "/0 is no network's length here: 1 to 32");
}

TEST(Network, HasNoHostBits) {
  const auto through_it = [](std::string_view text) { return through<Prefix>(Network{}, text); };
  EXPECT_EQ(through_it("0.0.0.0/0"), "0.0.0.0/0");
  EXPECT_EQ(through_it("2001:db8::/32"), "\"2001:db8::/32\"");
  EXPECT_EQ(through_it("10.0.0.7/24"),
            "10.0.0.7/24 is a host, not a network: write 10.0.0.0/24, "
            "or 10.0.0.7/32 for the host alone");
  EXPECT_EQ(through_it("default"),
            "\"default\" does not say which family: write 0.0.0.0/0 or ::/0");
}

TEST(Netmask, IsALengthOrAMask) {
  EXPECT_EQ(through<uint8_t>(Netmask{}, "24"), "24");
  EXPECT_EQ(through<uint8_t>(Netmask{}, "/64"), "64");
  EXPECT_EQ(through<uint8_t>(Netmask{}, "255.255.255.0"), "24");
  EXPECT_EQ(through<uint8_t>(Netmask{}, "255.255.255.255"), "32");
  EXPECT_EQ(through<uint8_t>(Netmask{}, "255.0.255.0"),
            "\"255.0.255.0\" is no netmask: its ones must be in front, as in 255.255.255.0");
  EXPECT_EQ(through<uint8_t>(Netmask{}, "0.0.0.0"),
            "\"0.0.0.0\" is no netmask: its ones must be in front, as in 255.255.255.0");
  EXPECT_EQ(through<uint8_t>(Netmask{}, "129"), "129 is above 128");
}

TEST(Text, InterfaceNamesAreThoseOfTheKernel) {
  const auto through_it = [](std::string_view text) {
    return through<std::string>(interface_text(), text);
  };
  EXPECT_EQ(through_it("eth0.100"), "eth0.100");
  EXPECT_EQ(through_it("an-interface-with"),
            "\"an-interface-with\" has 17 characters, and the kernel takes 15 in an interface's "
            "name");
  EXPECT_EQ(through_it("a/b"),
            "\"a/b\" is no interface name: use letters, digits, '.', '_' and '-'");
  EXPECT_EQ(through_it("lo"),
            "\"lo\" has a meaning of its own to the kernel or in this file: use "
            "another name");
}

TEST(Text, NoInterfaceIsCalledLikeAWordOfTheFile) {
  // Else `name: auto` would read back as something else than it was.
  for (const std::string_view text : {"auto", "none"}) {
    EXPECT_NE(interface_text().check(std::string(text)), "");
  }
}

TEST(Text, PciAddressesGetTheirDomain) {
  const auto through_it = [](std::string_view text) {
    return through<std::string>(pci_text(), text);
  };
  EXPECT_EQ(through_it("3B:00.1"), "\"0000:3b:00.1\"");
  EXPECT_EQ(through_it("10000:01:00.0"), "\"10000:01:00.0\"");
  for (const std::string_view text :
       {"0000:3b:00.8", "0000:3b:00", "3b00.0", "", "0000:3g:00.0", "0000:3b:00.0 "}) {
    EXPECT_NE(through_it(text).find("is not a PCI address such as 0000:3b:00.0"), std::string::npos)
        << text;
  }
}

TEST(Text, PathsAreAbsoluteAndSocketsShort) {
  EXPECT_EQ(through<std::string>(path_text(), "run"),
            "\"run\" is not an absolute path: begin with '/'");
  EXPECT_EQ(through<std::string>(socket_text(), "/" + std::string(107, 'x')),
            "a path of 108 bytes, and a unix socket's may have 107");
}

TEST(HexBytes, ReadsKeysWithAndWithoutColons) {
  const HexBytes codec{2, 3};
  using Bytes = std::vector<uint8_t>;
  EXPECT_EQ(through<Bytes>(codec, "6d5aFF"), "\"6d:5a:ff\"");
  EXPECT_EQ(through<Bytes>(codec, "6d:5a"), "\"6d:5a\"");
  EXPECT_EQ(through<Bytes>(codec, "6d"), "1 bytes, where 2 to 3 are expected");
  for (const std::string_view text : {"6d5", "6d:5:a", "xy", "6d:5a:", "6d::5a"}) {
    EXPECT_EQ(through<Bytes>(codec, text), in_quotes(text) + " is not 2 to 3 bytes in hexadecimal");
  }
}

TEST(Cores, ExpandRanges) {
  EXPECT_EQ(Cores::parse_many("4-6").value(), (std::vector<uint16_t>{4, 5, 6}));
  EXPECT_EQ(Cores::parse_many("4").value(), std::vector<uint16_t>{4});
  EXPECT_EQ(Cores::parse_many("6-4").error(), "\"6-4\" runs backwards: write 4-6");
  EXPECT_EQ(Cores::parse_many("5000").error(), "5000 is above 1023");
  EXPECT_EQ(Cores::parse_many("1-").error(), "\"\" is not a whole number from 0 to 1023");
}

TEST(AddressRanges, ExpandRangesWithinBounds) {
  const auto range = AddressRanges::parse_many("10.0.0.254-10.0.1.1");
  ASSERT_TRUE(range.has_value());
  ASSERT_EQ(range->size(), 4U);
  EXPECT_EQ(net::to_string(range->back()), "10.0.1.1");
  EXPECT_EQ(AddressRanges::parse_many("10.0.0.0-10.255.0.0").error(),
            "\"10.0.0.0-10.255.0.0\" holds more than 4096 addresses");
  EXPECT_EQ(AddressRanges::parse_many("10.0.0.2-10.0.0.1").error(),
            "\"10.0.0.2-10.0.0.1\" runs backwards: the lower address comes first");
  EXPECT_EQ(AddressRanges::parse_many("10.0.0.2-fd00::1").error(),
            "\"10.0.0.2-fd00::1\" runs from one address family to the other");
  EXPECT_EQ(AddressRanges::parse_many("fd00::fffe-fd00::1:1").value().size(), 4U);
}

}  // namespace
}  // namespace headgate::config
