// Gratuitous ARP and neighbour advertisements on a wire, counted and timed.
#include "control/vrrp/announcer.h"

#include <chrono>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "control/vrrp/frames.h"
#include "tests/e2e/control/vrrp/pair.h"

namespace headgate::control {
namespace {

using test::Frame;
using test::ip;
using test::RawSocket;
using Clock = std::chrono::steady_clock;

constexpr net::MacAddress mac{{0x02, 0, 0, 0, 0, 0x01}};
constexpr std::string_view arp_type("\x08\x06", 2);
constexpr std::string_view ipv6_type("\x86\xdd", 2);

net::IpAddress vip(uint32_t number) {
  return net::Ipv4Address::from_host(0xc6336400U + number);  // 198.51.100.0
}

std::vector<net::IpAddress> vips(uint32_t count) {
  std::vector<net::IpAddress> result;
  result.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    result.push_back(vip(i));
  }
  return result;
}

class Announcing : public test::Pair {
 protected:
  void SetUp() override {
    test::Pair::SetUp();
    if (IsSkipped()) return;
    announcer =
        std::make_unique<Announcer>(loop, [this](const std::string& interface, const Error& error) {
          errors.push_back(interface + "|" + error.text);
        });
    capture = std::make_unique<RawSocket>(far, "far0");
  }

  // How often the capture has an ARP frame for each address (its last four bytes).
  std::map<std::string, int> arps(size_t at_least) {
    std::map<std::string, int> count;
    size_t all = 0;
    // Nothing more comes once a while was silent after the expected number.
    while (true) {
      const Frame frame = capture->receive(all < at_least ? 1000 : 30);
      if (frame.empty()) return count;
      if (!frame.substr(12).starts_with(arp_type) || !frame.starts_with("\xff\xff\xff")) continue;
      ++all;
      ++count[frame.substr(frame.size() - 4)];
    }
  }

  std::unique_ptr<Announcer> announcer;
  std::unique_ptr<RawSocket> capture;
  std::vector<std::string> errors;
};

TEST_F(Announcing, EachAddressIsAnnouncedAsOftenAsAskedFor) {
  announcer->announce({"here0", mac, vips(100), 5, 0, false});
  EXPECT_TRUE(run_until([&] { return announcer->waiting() == 0; }));
  const auto count = arps(500);
  EXPECT_EQ(count.size(), 100U);
  for (const auto& [address, times] : count) {
    EXPECT_EQ(times, 5);
  }
  EXPECT_EQ(announcer->sent(), 500U);
}

TEST_F(Announcing, FramesAreThoseOfTheBuilders) {
  announcer->announce({"here0", mac, {vip(1), ip("2001:db8::80")}, 1, 0, true});
  const EthernetFrame arp = gratuitous_arp_frame(mac, vip(1));
  const EthernetFrame advertisement = unsolicited_na_frame(mac, ip("2001:db8::80"), true);
  EXPECT_EQ(next_frame(*capture, arp_type), Frame(arp.begin(), arp.end()));
  const Frame wanted(advertisement.begin(), advertisement.end());
  Frame frame;
  do {  // the kernel has IPv6 of its own to say
    frame = next_frame(*capture, ipv6_type);
  } while (!frame.empty() && frame != wanted);
  EXPECT_EQ(frame, wanted);
}

TEST_F(Announcing, NeighboursLearnTheAddressFromIt) {
  far.sh(
      "ip neighbour add 192.0.2.80 lladdr 02:00:00:00:00:99 dev far0 nud stale; "
      "ip neighbour add 2001:db8::80 lladdr 02:00:00:00:00:99 dev far0 nud stale");
  announcer->announce({"here0", mac, {ip("192.0.2.80"), ip("2001:db8::80")}, 1, 0, false});
  for (const char* address : {"192.0.2.80", "2001:db8::80"}) {
    EXPECT_TRUE(test::eventually([&] {
      return far.sh(std::string("ip neighbour show ") + address).find("02:00:00:00:00:01") !=
             std::string::npos;
    })) << address;
  }
}

TEST_F(Announcing, OneTurnOfTheLoopSendsNoMoreThanItsShare) {
  announcer->announce({"here0", mac, vips(255), 5, 0, false});
  EXPECT_EQ(announcer->sent(), Announcer::max_per_turn);
  // Another MAC: the same again would only begin its rounds anew.
  const net::MacAddress other_mac = net::virtual_mac(net::Family::ipv4, 9);
  announcer->announce({"here0", other_mac, vips(255), 5, 0, false});
  EXPECT_EQ(announcer->sent(), Announcer::max_per_turn) << "the turn's share is spent";
  uint64_t before = announcer->sent();
  while (announcer->waiting() > 0) {
    loop.restart();
    ASSERT_EQ(loop.run_one_for(std::chrono::seconds(1)), 1U);
    EXPECT_LE(announcer->sent() - before, Announcer::max_per_turn);
    before = announcer->sent();
  }
  EXPECT_EQ(announcer->sent(), 2550U);
  EXPECT_EQ(arps(2550).size(), 255U);
}

TEST_F(Announcing, IntervalIsKeptBetweenFrames) {
  const auto start = Clock::now();
  announcer->announce({"here0", mac, vips(10), 2, 3000, false});
  EXPECT_EQ(announcer->sent(), 1U);
  EXPECT_TRUE(run_until([&] { return announcer->waiting() == 0; }));
  EXPECT_GE(Clock::now() - start, std::chrono::microseconds(19 * 3000));
  EXPECT_EQ(arps(20).size(), 10U);
}

TEST_F(Announcing, CancelledAddressesAreNotAnnouncedAnyMore) {
  announcer->announce({"here0", mac, {vip(1), vip(2)}, 3, 1000, false});
  announcer->cancel("here0", {vip(1)});
  EXPECT_TRUE(run_until([&] { return announcer->waiting() == 0; }));
  const auto count = arps(4);
  EXPECT_EQ(count.at(std::string("\xc6\x33\x64\x01")), 1) << "sent before";
  EXPECT_EQ(count.at(std::string("\xc6\x33\x64\x02")), 3);
}

TEST_F(Announcing, DownInterfaceIsToldOnceAndHoldsUpNothing) {
  host.sh("ip link set here0 down");
  announcer->announce({"here0", mac, vips(10), 5, 0, false});
  EXPECT_TRUE(run_until([&] { return !errors.empty(); }));
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0], "here0|here0: cannot send: Network is down (the interface is down)");
  EXPECT_EQ(announcer->waiting(), 0U);
  host.sh("ip link set here0 up");
  wait_for_carrier();
  announcer->announce({"here0", mac, {vip(1)}, 1, 0, false});
  EXPECT_EQ(arps(1).size(), 1U);
}

TEST_F(Announcing, InterfaceThatCameAgainIsServed) {
  announcer->announce({"here0", mac, {vip(1)}, 1, 0, false});
  EXPECT_EQ(arps(1).size(), 1U);
  host.sh("ip link delete here0");
  announcer->announce({"here0", mac, {vip(1)}, 1, 0, false});
  EXPECT_TRUE(run_until([&] { return errors.size() == 1; }));
  EXPECT_TRUE(errors[0].starts_with("here0|here0: no such interface")) << errors[0];
  add_wire();
  capture = std::make_unique<RawSocket>(far, "far0");
  announcer->announce({"here0", mac, {vip(2)}, 1, 0, false});
  EXPECT_EQ(arps(1).size(), 1U);
  EXPECT_EQ(errors.size(), 1U);
}

TEST_F(Announcing, InterfaceThatIsNoEthernetIsAnError) {
  announcer->announce({"lo", mac, {vip(1)}, 1, 0, false});
  EXPECT_TRUE(run_until([&] { return errors.size() == 1; }));
  EXPECT_EQ(errors[0], "lo|lo: not an Ethernet interface");
}

}  // namespace
}  // namespace headgate::control
