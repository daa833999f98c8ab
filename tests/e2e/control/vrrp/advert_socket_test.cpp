// Adverts on a wire: what leaves is looked at frame by frame, what comes in is made by hand too.
#include "control/vrrp/advert_socket.h"

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "control/vrrp/frames.h"
#include "tests/e2e/control/vrrp/pair.h"

namespace headgate::control {
namespace {

using test::Frame;
using test::Inside;
using test::ip;
using test::RawSocket;

const net::IpAddress group4 = ip("224.0.0.18");
const net::IpAddress group6 = ip("ff02::12");
const std::vector<uint8_t> message{0x31, 51, 100, 1, 0, 100, 0xab, 0xcd, 192, 0, 2, 80};
constexpr std::string_view ipv4_type("\x08\0", 2);
constexpr std::string_view ipv6_advert_type("\x86\xdd\x6c", 3);

struct Copy {  // of what was received
  std::vector<uint8_t> message;
  net::IpAddress source;
  net::IpAddress destination;
  uint8_t ttl = 0;
};

uint8_t byte_at(const Frame& frame, size_t at) {
  return static_cast<uint8_t>(frame.at(at));
}

std::string mac_at(const Frame& frame, size_t at) {
  net::MacAddress mac;
  std::copy_n(frame.begin() + static_cast<ptrdiff_t>(at), 6, mac.bytes.begin());
  return net::to_string(mac);
}

std::string text_of(const EthernetFrame& frame) {
  return {frame.begin(), frame.end()};
}

class Adverts : public test::Pair {
 protected:
  std::unique_ptr<AdvertSocket> open(net::Family family, const net::IpAddress& group) {
    auto socket = AdvertSocket::open(loop, {"here0", family, group});
    EXPECT_TRUE(socket) << socket.error().text;
    return socket ? std::move(*socket) : nullptr;
  }
  std::unique_ptr<AdvertSocket> open_far(net::Family family, const net::IpAddress& group) {
    const Inside inside(far.fd());
    auto socket = AdvertSocket::open(loop, {"far0", family, group});
    EXPECT_TRUE(socket) << socket.error().text;
    collect(**socket);
    return std::move(*socket);
  }
  void collect(AdvertSocket& socket) {
    socket.on_packet([this](const vrrp::Received& packet) {
      got.push_back({{packet.message.begin(), packet.message.end()},
                     packet.source,
                     packet.destination,
                     packet.ttl});
    });
  }
  void expect_got(std::string_view source, const net::IpAddress& destination, uint8_t ttl) {
    ASSERT_TRUE(run_until([&] { return !got.empty(); }));
    EXPECT_EQ(got[0].message, message);
    EXPECT_EQ(net::to_string(got[0].source), source);
    EXPECT_EQ(got[0].destination, destination);
    EXPECT_EQ(got[0].ttl, ttl);
  }

  std::vector<Copy> got;
};

TEST_F(Adverts, Ipv4MulticastLeavesAsTheRfcHasIt) {
  const RawSocket capture(far, "far0");
  const auto receiver = open_far(net::Family::ipv4, group4);
  const auto socket = open(net::Family::ipv4, group4);
  const auto sent = socket->send(message, ip("192.0.2.1"), group4, 255);
  ASSERT_TRUE(sent) << sent.error().text;
  const Frame frame = next_frame(capture, std::string(ipv4_type) + "\x45\xc0");
  ASSERT_EQ(frame.size(), 14U + 20U + message.size());
  EXPECT_EQ(mac_at(frame, 0), "01:00:5e:00:00:12");
  EXPECT_EQ(mac_at(frame, 6), "02:00:00:00:00:01");
  EXPECT_EQ(byte_at(frame, 15), 0xc0) << "TOS";
  EXPECT_EQ(byte_at(frame, 20), 0) << "DF is clear, no fragment";
  EXPECT_EQ(byte_at(frame, 22), 255) << "TTL";
  EXPECT_EQ(byte_at(frame, 23), 112);
  expect_got("192.0.2.1", group4, 255);
  EXPECT_EQ(receiver->counters().received, 1U);
  EXPECT_EQ(socket->counters().sent, 1U);
}

TEST_F(Adverts, Ipv6MulticastLeavesFromTheLinkLocalAddress) {
  const RawSocket capture(far, "far0");
  const auto receiver = open_far(net::Family::ipv6, group6);
  const auto socket = open(net::Family::ipv6, group6);
  const auto sent = socket->send(message, ip("fe80::ff:fe00:1"), group6, 255);
  ASSERT_TRUE(sent) << sent.error().text;
  const Frame frame = next_frame(capture, ipv6_advert_type);
  ASSERT_EQ(frame.size(), 14U + 40U + message.size());
  EXPECT_EQ(mac_at(frame, 0), "33:33:00:00:00:12");
  EXPECT_EQ(byte_at(frame, 14), 0x6c) << "traffic class 0xc0";
  EXPECT_EQ(byte_at(frame, 15) & 0xf0, 0x00);
  EXPECT_EQ(byte_at(frame, 20), 112);
  EXPECT_EQ(byte_at(frame, 21), 255) << "hop limit";
  expect_got("fe80::ff:fe00:1", group6, 255);
}

TEST_F(Adverts, UnicastHasTheTtlThatWasAskedFor) {
  const auto receiver = open_far(net::Family::ipv4, {});
  const auto socket = open(net::Family::ipv4, {});
  ASSERT_TRUE(socket->send(message, ip("192.0.2.1"), ip("192.0.2.2"), 17));
  expect_got("192.0.2.1", ip("192.0.2.2"), 17);
}

TEST_F(Adverts, Ipv6UnicastHasTheHopLimitThatWasAskedFor) {
  const auto receiver = open_far(net::Family::ipv6, {});
  const auto socket = open(net::Family::ipv6, {});
  // The kernel makes an address's local route a moment after the address.
  EXPECT_TRUE(run_until([&] {
    return socket->send(message, ip("2001:db8::1"), ip("2001:db8::2"), 17) && !got.empty();
  }));
  expect_got("2001:db8::1", ip("2001:db8::2"), 17);
}

TEST_F(Adverts, SourceNeedsNotBeAnAddressOfTheInterface) {
  const auto receiver = open_far(net::Family::ipv4, group4);
  const auto receiver6 = open_far(net::Family::ipv6, group6);
  ASSERT_TRUE(open(net::Family::ipv4, group4)->send(message, ip("192.0.2.77"), group4, 255));
  expect_got("192.0.2.77", group4, 255);
  got.clear();
  ASSERT_TRUE(open(net::Family::ipv6, group6)->send(message, ip("fe80::77"), group6, 255));
  expect_got("fe80::77", group6, 255);
}

TEST_F(Adverts, VirtualMacIsTheSenderOfTheFrame) {
  const RawSocket capture(far, "far0");
  const auto receiver = open_far(net::Family::ipv4, group4);
  const auto socket = open(net::Family::ipv4, group4);
  const auto mac = net::virtual_mac(net::Family::ipv4, 51);
  const auto sent = socket->send_from_mac(message, ip("192.0.2.1"), group4, mac);
  ASSERT_TRUE(sent) << sent.error().text;
  const Frame frame = next_frame(capture, ipv4_type);
  EXPECT_EQ(frame, text_of(advert_frame(message, ip("192.0.2.1"), group4, mac, 255, 1)));
  expect_got("192.0.2.1", group4, 255);
}

TEST_F(Adverts, VirtualMacIsTheSenderOfTheIpv6Frame) {
  const RawSocket capture(far, "far0");
  const auto receiver = open_far(net::Family::ipv6, group6);
  const auto socket = open(net::Family::ipv6, group6);
  const auto mac = net::virtual_mac(net::Family::ipv6, 51);
  ASSERT_TRUE(socket->send_from_mac(message, ip("fe80::ff:fe00:1"), group6, mac));
  EXPECT_EQ(mac_at(next_frame(capture, ipv6_advert_type), 6), "00:00:5e:00:02:33");
  expect_got("fe80::ff:fe00:1", group6, 255);
}

TEST_F(Adverts, OwnOnesDoNotComeBack) {
  const auto receiver = open_far(net::Family::ipv4, group4);
  const auto socket = open(net::Family::ipv4, group4);
  size_t own = 0;
  socket->on_packet([&](const vrrp::Received&) { ++own; });
  ASSERT_TRUE(socket->send(message, ip("192.0.2.1"), group4, 255));
  ASSERT_TRUE(run_until([&] { return !got.empty(); }));
  EXPECT_EQ(own, 0U);
}

TEST_F(Adverts, GroupIsNotHeardByASocketThatDidNotJoinIt) {
  const auto joined = open_far(net::Family::ipv4, group4);
  const Inside inside(far.fd());
  auto unicast = AdvertSocket::open(loop, {"far0", net::Family::ipv4, {}});
  ASSERT_TRUE(unicast);
  size_t heard = 0;
  (*unicast)->on_packet([&](const vrrp::Received&) { ++heard; });
  const Inside back(host.fd());
  const auto socket = open(net::Family::ipv4, group4);
  ASSERT_TRUE(socket->send(message, ip("192.0.2.1"), group4, 255));
  ASSERT_TRUE(run_until([&] { return !got.empty(); }));
  EXPECT_EQ(heard, 0U);
  ASSERT_TRUE(socket->send(message, ip("192.0.2.1"), ip("192.0.2.2"), 255));
  EXPECT_TRUE(run_until([&] { return heard == 1; }));
}

TEST_F(Adverts, BurstOf255RoutersIsReadInBatchesAndWhole) {
  const auto receiver = open_far(net::Family::ipv4, group4);
  const auto socket = open(net::Family::ipv4, group4);
  for (int i = 0; i < 255; ++i) {
    ASSERT_TRUE(socket->send(message, ip("192.0.2.1"), group4, 255));
  }
  EXPECT_EQ(receiver->receive_waiting(), AdvertSocket::max_batch);
  EXPECT_EQ(got.size(), AdvertSocket::max_batch);
  EXPECT_TRUE(run_until([&] { return got.size() == 255; })) << got.size();
  EXPECT_EQ(receiver->receive_waiting(), 0U);
}

TEST_F(Adverts, SocketMayBeDestroyedByItsOwnCall) {
  auto receiver = open_far(net::Family::ipv4, group4);
  size_t calls = 0;
  receiver->on_packet([&](const vrrp::Received&) {
    ++calls;
    receiver.reset();
  });
  const auto socket = open(net::Family::ipv4, group4);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(socket->send(message, ip("192.0.2.1"), group4, 255));
  }
  EXPECT_TRUE(run_until([&] { return calls > 0; }));
  run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(calls, 1U);
}

TEST_F(Adverts, LinkThatWentDownAndUpNeedsNothing) {
  const auto receiver = open_far(net::Family::ipv4, group4);
  const auto socket = open(net::Family::ipv4, group4);
  const auto mac = net::virtual_mac(net::Family::ipv4, 51);
  ASSERT_TRUE(socket->send_from_mac(message, ip("192.0.2.1"), group4, mac));
  host.sh("ip link set here0 down");
  const auto down = socket->send(message, ip("192.0.2.1"), group4, 255);
  ASSERT_FALSE(down);
  EXPECT_NE(down.error().text.find("the interface is down"), std::string::npos)
      << down.error().text;
  const auto frame_down = socket->send_from_mac(message, ip("192.0.2.1"), group4, mac);
  ASSERT_FALSE(frame_down);
  EXPECT_NE(frame_down.error().text.find("the interface is down"), std::string::npos)
      << frame_down.error().text;
  EXPECT_EQ(socket->counters().send_errors, 2U);
  far.sh("ip link set far0 down; ip link set far0 up");
  host.sh("ip link set here0 up");
  got.clear();
  EXPECT_TRUE(run_until([&] {
    return socket->send(message, ip("192.0.2.1"), group4, 255).has_value() && !got.empty();
  }));
}

TEST_F(Adverts, DeletedInterfaceIsAnErrorAndANewSocketServesTheNextOne) {
  auto receiver = open_far(net::Family::ipv4, group4);
  auto socket = open(net::Family::ipv4, group4);
  const auto mac = net::virtual_mac(net::Family::ipv4, 51);
  ASSERT_TRUE(socket->send_from_mac(message, ip("192.0.2.1"), group4, mac));
  const int index = socket->interface_index();
  host.sh("ip link delete here0");
  add_wire();
  for (const bool own : {true, false}) {
    const auto sent = own ? socket->send(message, ip("192.0.2.1"), group4, 255)
                          : socket->send_from_mac(message, ip("192.0.2.1"), group4, mac);
    ASSERT_FALSE(sent);
    EXPECT_TRUE(sent.error().text.starts_with("here0: cannot send")) << sent.error().text;
    EXPECT_NE(sent.error().text.find("the interface is gone"), std::string::npos)
        << sent.error().text;
  }
  receiver = open_far(net::Family::ipv4, group4);
  socket = open(net::Family::ipv4, group4);
  EXPECT_NE(socket->interface_index(), index);
  got.clear();
  ASSERT_TRUE(socket->send(message, ip("192.0.2.1"), group4, 255));
  expect_got("192.0.2.1", group4, 255);
}

TEST_F(Adverts, MissingInterfaceIsAnErrorThatNamesIt) {
  const auto socket = AdvertSocket::open(loop, {"nowhere0", net::Family::ipv4, group4});
  ASSERT_FALSE(socket);
  EXPECT_TRUE(socket.error().text.starts_with("nowhere0: no such interface"))
      << socket.error().text;
}

// Frames made by hand, from the wire.
class HandMade : public Adverts {
 protected:
  void send(const EthernetFrame& frame) const { wire->send(text_of(frame)); }
  void SetUp() override {
    Adverts::SetUp();
    if (IsSkipped()) return;
    wire = std::make_unique<RawSocket>(far, "far0");
    socket = open(net::Family::ipv4, group4);
    collect(*socket);
  }
  static EthernetFrame good() {
    return advert_frame(message, ip("192.0.2.2"), group4, {{2, 0, 0, 0, 0, 2}}, 255, 1);
  }
  // With the header's checksum right again.
  static EthernetFrame mended(EthernetFrame frame) {
    frame[24] = frame[25] = 0;
    const size_t length = std::min<size_t>(size_t{4} * (frame[14] & 0x0fU), frame.size() - 14);
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < length; i += 2) {
      sum += static_cast<uint32_t>(frame[14 + i]) << 8 | frame[15 + i];
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    frame[24] = static_cast<uint8_t>(sum >> 8);
    frame[25] = static_cast<uint8_t>(sum);
    return frame;
  }

  std::unique_ptr<RawSocket> wire;
  std::unique_ptr<AdvertSocket> socket;
};

TEST_F(HandMade, OptionsAreNoPartOfTheMessage) {
  EthernetFrame frame = good();
  const std::vector<uint8_t> no_operations(4, 1);
  frame.insert(frame.begin() + 34, no_operations.begin(), no_operations.end());
  frame[14] = 0x46;
  frame[17] = static_cast<uint8_t>(frame[17] + 4);
  send(mended(frame));
  expect_got("192.0.2.2", group4, 255);
}

TEST_F(HandMade, EthernetPaddingIsNoPartOfTheMessage) {
  EthernetFrame frame = good();
  frame.resize(60);
  send(frame);
  expect_got("192.0.2.2", group4, 255);
}

TEST_F(HandMade, TtlIsGivenAsItCame) {
  EthernetFrame frame = good();
  frame[22] = 64;
  send(mended(frame));
  expect_got("192.0.2.2", group4, 64);
}

TEST_F(HandMade, MutilatedFramesNeverCrashAndAGoodOneStillArrives) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    EthernetFrame frame = good();
    for (int changes = 0; changes < 2; ++changes) {
      // All of the IP header but the destination, and of the message.
      size_t at = 14 + random() % 28;
      if (at >= 30 && at < 34) at = 14;
      frame[at] = static_cast<uint8_t>(random());
    }
    if (random() % 4 == 0) frame.resize(14 + random() % (frame.size() - 14));
    send(random() % 4 == 0 || frame.size() < 34 ? frame : mended(frame));
    loop.restart();
    loop.poll();
  }
  // A fragment of which the others never come.
  EthernetFrame fragment = good();
  fragment[20] = 0x20;
  send(mended(fragment));
  run_for(std::chrono::milliseconds(5));
  EXPECT_GT(got.size(), 100U) << "some are harmless";
  got.clear();
  send(good());
  expect_got("192.0.2.2", group4, 255);
}

TEST_F(HandMade, MutilatedIpv6FramesNeverCrashAndAGoodOneStillArrives) {
  socket = open(net::Family::ipv6, group6);
  collect(*socket);
  const EthernetFrame whole =
      advert_frame(message, ip("fe80::2"), group6, {{2, 0, 0, 0, 0, 2}}, 255, 0);
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    EthernetFrame frame = whole;
    size_t at = 14 + random() % 52;
    if (at >= 38 && at < 54) at = 20;  // the next header rather than the destination
    frame[at] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) frame.resize(14 + random() % (frame.size() - 14));
    send(frame);
    loop.restart();
    loop.poll();
  }
  run_for(std::chrono::milliseconds(5));
  EXPECT_GT(got.size(), 100U) << "some are harmless";
  got.clear();
  send(whole);
  expect_got("fe80::2", group6, 255);
}

}  // namespace
}  // namespace headgate::control
