#include "config/vrrp_codecs.h"

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

using net::IpAddress;

// The value as text again, or what was wrong.
template <typename T, typename Codec>
std::string through(const Codec& codec, std::string_view text) {
  const Parsed<T> value = codec.template parse<T>(text);
  if (!value) return value.error();
  EXPECT_EQ(codec.check(*value), "") << text;
  return codec.format(*value);
}

std::string text_through(const Text& codec, std::string_view text) {
  return through<std::string>(codec, text);
}

TEST(SignedNumber, TakesBothSigns) {
  const SignedNumber weight{-253, 253};
  EXPECT_EQ(through<int32_t>(weight, "-253"), "-253");
  EXPECT_EQ(through<int32_t>(weight, "0"), "0");
  EXPECT_EQ(through<int32_t>(weight, "253"), "253");
  EXPECT_EQ(through<int32_t>(weight, "254"), "254 is above 253");
  EXPECT_EQ(through<int32_t>(weight, "-254"), "-254 is below -253");
}

TEST(SignedNumber, RefusesWhatIsNoNumber) {
  const SignedNumber weight{-253, 253};
  for (const std::string_view text : {"", "-", "--1", "+1", "1.5", "-01", "99999999999", "ten"}) {
    EXPECT_EQ(through<int32_t>(weight, text),
              in_quotes(text) + " is not a whole number from -253 to 253");
  }
}

TEST(MulticastGroup, IsOfItsFamilyAndMulticast) {
  const MulticastGroup v4{net::Family::ipv4};
  const MulticastGroup v6{net::Family::ipv6};
  EXPECT_EQ(through<IpAddress>(v4, "224.0.0.18"), "224.0.0.18");
  EXPECT_EQ(through<IpAddress>(v6, "FF02::12"), "\"ff02::12\"");
  EXPECT_EQ(through<IpAddress>(v4, "10.0.0.1"),
            "10.0.0.1 is not an ipv4 multicast address such as 224.0.0.18");
  EXPECT_EQ(through<IpAddress>(v4, "ff02::12"),
            "ff02::12 is not an ipv4 multicast address such as 224.0.0.18");
  EXPECT_EQ(through<IpAddress>(v6, "fe80::1"),
            "fe80::1 is not an ipv6 multicast address such as ff02::12");
  EXPECT_EQ(through<IpAddress>(v6, "all"),
            "\"all\" is not an ipv6 multicast address such as ff02::12");
}

TEST(CommandText, TakesWhatHasWords) {
  EXPECT_EQ(text_through(command_text(), "/bin/true \"a b\""), "\"/bin/true \\\"a b\\\"\"");
  EXPECT_EQ(text_through(command_text(), ""), "is empty");
  EXPECT_EQ(text_through(command_text(), "   "), "is empty");
  EXPECT_EQ(text_through(command_text(), "/bin/a\nb"), "holds a control character");
  EXPECT_EQ(text_through(command_text(), "none"), "\"none\" has a meaning of its own in this file");
  EXPECT_EQ(text_through(command_text(), "/" + std::string(max_command, 'a')),
            "has 4001 characters, 4000 are allowed");
}

TEST(UserText, IsAUserWithOrWithoutAGroup) {
  EXPECT_EQ(text_through(user_text(), "keepalived_script"), "keepalived_script");
  EXPECT_EQ(text_through(user_text(), "nobody:nogroup"), "\"nobody:nogroup\"");
  for (const std::string_view text : {"a b", ":g", "u:", "u:g:h", "-u", "u;id"}) {
    EXPECT_EQ(text_through(user_text(), text), in_quotes(text) + " is not USER or USER:GROUP");
  }
}

TEST(HostPortText, IsAHostWithOrWithoutAPort) {
  for (const std::string_view text : {"mail.example.com", "192.0.2.25", "mail:587", "192.0.2.25:25",
                                      "[fd00::25]:587", "[fd00::25]", "fd00::25"}) {
    EXPECT_EQ(text_through(host_port_text(), text), as_yaml(text));
  }
  for (const std::string_view text : {"mail:0", "mail:65536", "mail:smtp", "a b", ":25",
                                      "[192.0.2.1]:25", "[fd00::25", "http://x"}) {
    EXPECT_EQ(
        text_through(host_port_text(), text),
        in_quotes(text) + " is not HOST or HOST:PORT, such as mail.example.com:25 or [fd00::1]:25");
  }
}

TEST(MailAddressText, HoldsNothingThatEndsItInSmtp) {
  EXPECT_EQ(text_through(mail_address_text(), "ops+vip@example.com"), "\"ops+vip@example.com\"");
  for (const std::string_view text :
       {"ops", "@example.com", "ops@", "a b@c", "<a@b>", "a@b>", "a@b,c@d", "a@b@c"}) {
    EXPECT_EQ(text_through(mail_address_text(), text),
              in_quotes(text) + " is not a mail address such as ops@example.com");
  }
}

TEST(AuthPasswordText, FitsIntoAnAdvertAndIsNotShown) {
  EXPECT_EQ(text_through(auth_password_text(), "12345678"), "12345678");
  EXPECT_EQ(text_through(auth_password_text(), "secret789"),
            "has 9 characters, and the protocol carries 8");
  EXPECT_EQ(text_through(auth_password_text(), "p\xc3\xa4ss"),
            "holds a character beyond ASCII, which other routers may write in other bytes");
  EXPECT_EQ(text_through(auth_password_text(), "none"),
            "\"none\" has a meaning of its own in this file");
}

TEST(AddressLabelText, IsAsLongAsTheKernelTakes) {
  EXPECT_EQ(text_through(address_label_text(), "eth0:web"), "\"eth0:web\"");
  EXPECT_EQ(text_through(address_label_text(), "eth0:frontend_1"), "\"eth0:frontend_1\"");
  EXPECT_EQ(text_through(address_label_text(), "eth0:frontend_12"),
            "\"eth0:frontend_12\" has 16 characters, and the kernel takes 15 in a label");
  EXPECT_EQ(text_through(address_label_text(), "eth0:a b"), "\"eth0:a b\" holds a space");
}

TEST(HoldingInterfaceText, TakesTheLoopbackToo) {
  EXPECT_EQ(text_through(holding_interface_text(), "lo"), "lo");
  EXPECT_EQ(text_through(holding_interface_text(), "eth0"), "eth0");
  EXPECT_EQ(text_through(holding_interface_text(), "a/b"),
            "\"a/b\" is no interface name: use letters, digits, '.', '_' and '-'");
}

TEST(ProgramText, IsANameOrAnAbsolutePath) {
  EXPECT_EQ(text_through(program_text(), "nginx"), "nginx");
  EXPECT_EQ(text_through(program_text(), "/usr/sbin/nginx"), "/usr/sbin/nginx");
  EXPECT_EQ(text_through(program_text(), "sbin/nginx"),
            "\"sbin/nginx\" is neither a program's name nor an absolute path");
}

TEST(TrackedText, TakesTheKeyOfAServiceToo) {
  EXPECT_EQ(text_through(tracked_text(), "[fd00::1]:80/tcp"), "\"[fd00::1]:80/tcp\"");
  EXPECT_EQ(text_through(tracked_text(), "a b"), "\"a b\" holds a space, and no name does");
}

}  // namespace
}  // namespace headgate::config
