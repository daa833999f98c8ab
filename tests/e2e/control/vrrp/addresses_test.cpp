// Virtual addresses in a real kernel: placed, adopted, taken away, and found again after a kill.
#include "control/vrrp/addresses.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "control/vrrp/address_queue.h"
#include "control/vrrp/frames.h"
#include "tests/e2e/control/vrrp/pair.h"

namespace headgate::control {
namespace {

InterfaceAddress address(std::string_view text, std::string label = {},
                         config::Scope scope = config::Scope::global) {
  return {"here0", net::parse_prefix(text).value(), std::move(label), scope};
}

std::vector<InterfaceAddress> many(uint32_t count) {
  std::vector<InterfaceAddress> result;
  result.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    result.push_back(
        {"here0", {net::Ipv4Address::from_host(0xc6336400U + i), 32}, {}, config::Scope::global});
  }
  return result;
}

class Addresses : public test::Pair {
 protected:
  void SetUp() override {
    test::Pair::SetUp();
    if (IsSkipped()) return;
    state_path = testing::TempDir() + "headgate-e2e-addresses-" + std::to_string(getpid());
    std::filesystem::remove(state_path);
    keeper.emplace(open());
  }
  void TearDown() override { std::filesystem::remove(state_path); }

  AddressKeeper open() const {
    auto opened = AddressKeeper::open(state_path);
    EXPECT_TRUE(opened) << opened.error().text;
    return std::move(*opened);
  }
  // Without what differs from kernel to kernel.
  std::string shown(const std::string& options = "") const {
    return host.sh("ip -oneline " + options + " address show dev here0");
  }
  bool has(const std::string& text) const { return shown().find(text) != std::string::npos; }
  static void expect_clean(const AddressReport& report) {
    for (const Error& error : report.errors) {
      ADD_FAILURE() << error.text;
    }
  }
  // A process that places addresses and is killed before it takes them away.
  void place_and_be_killed(const std::vector<InterfaceAddress>& addresses) const {
    const pid_t child = fork();
    if (child == 0) {
      auto own = AddressKeeper::open(state_path);
      if (own && own->add(addresses).errors.empty()) raise(SIGKILL);
      _exit(1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }

  std::string state_path;
  std::optional<AddressKeeper> keeper;
};

TEST_F(Addresses, ArePlacedWithPrefixLabelAndScope) {
  const std::vector list{address("192.0.2.80/24", "here0:1"),
                         address("198.51.100.1/32", {}, config::Scope::link),
                         address("198.51.100.2/32", {}, config::Scope::host),
                         address("198.51.100.3/32", {}, config::Scope::site),
                         address("2001:db8::80/64"),
                         address("2001:db8::81/128")};
  const AddressReport report = keeper->add(list);
  expect_clean(report);
  EXPECT_EQ(report.done, list);
  EXPECT_EQ(keeper->placed(), list);
  EXPECT_TRUE(has("inet 192.0.2.80/24 scope global secondary here0:1")) << shown();
  EXPECT_TRUE(has("inet 198.51.100.1/32 scope link here0")) << shown();
  EXPECT_TRUE(has("inet 198.51.100.2/32 scope host here0")) << shown();
  EXPECT_TRUE(has("inet 198.51.100.3/32 scope site here0")) << shown();
  EXPECT_TRUE(has("inet6 2001:db8::80/64 scope global nodad \\")) << shown();
  EXPECT_TRUE(test::eventually([&] {  // the kernel says so a moment later
    return has("inet6 2001:db8::81/128 scope global nodad deprecated");
  })) << shown();
  EXPECT_FALSE(has("tentative"));
}

TEST_F(Addresses, AreTakenAwayAndNothingElseIs) {
  const std::string before = shown();
  expect_clean(keeper->add(std::vector{address("192.0.2.80/24"), address("2001:db8::80/128")}));
  ASSERT_NE(shown(), before);
  const AddressReport report =
      keeper->remove(std::vector{address("192.0.2.80/24"), address("2001:db8::80/128"),
                                 address("192.0.2.1/24")});  // the host's own
  expect_clean(report);
  EXPECT_EQ(report.done.size(), 2U);
  EXPECT_EQ(shown(), before);
  EXPECT_TRUE(keeper->placed().empty());
}

TEST_F(Addresses, AddingTwiceIsAddingOnce) {
  const std::vector list{address("192.0.2.80/24"), address("192.0.2.80/24")};
  EXPECT_EQ(keeper->add(list).done.size(), 1U);
  const AddressReport again = keeper->add(list);
  expect_clean(again);
  EXPECT_TRUE(again.done.empty());
  EXPECT_TRUE(again.adopted.empty());
  EXPECT_EQ(keeper->placed().size(), 1U);
}

TEST_F(Addresses, WhatWasThereBeforeIsAdoptedAndStays) {
  host.sh(
      "ip address add 192.0.2.80/24 dev here0; "
      "ip address add 2001:db8::80/64 dev here0 nodad");
  const std::string before = shown();
  // The kernel has an IPv6 address only once, whatever the prefix length.
  const std::vector list{address("192.0.2.80/24"), address("2001:db8::80/128")};
  const AddressReport report = keeper->add(list);
  expect_clean(report);
  EXPECT_EQ(report.adopted, list);
  EXPECT_TRUE(report.done.empty());
  EXPECT_TRUE(keeper->remove(list).done.empty());
  EXPECT_TRUE(keeper->remove_all().done.empty());
  EXPECT_TRUE(open().remove_stale().done.empty());
  EXPECT_EQ(shown(), before);
}

TEST_F(Addresses, WhatSomebodyTookAwayIsPlacedAgain) {
  expect_clean(keeper->add(std::vector{address("192.0.2.80/32")}));
  host.sh("ip address delete 192.0.2.80/32 dev here0");
  EXPECT_EQ(keeper->add(std::vector{address("192.0.2.80/32")}).done.size(), 1U);
  EXPECT_TRUE(has("192.0.2.80/32"));
  host.sh("ip address delete 192.0.2.80/32 dev here0");
  const AddressReport report = keeper->remove(std::vector{address("192.0.2.80/32")});
  expect_clean(report);
  EXPECT_EQ(report.missing.size(), 1U);
}

TEST_F(Addresses, RemovingOneTakesNoOtherOfItsNetworkAlong) {
  const std::string before = host.sh("cat /proc/sys/net/ipv4/conf/here0/promote_secondaries");
  host.sh("echo 0 >/proc/sys/net/ipv4/conf/all/promote_secondaries");
  ASSERT_EQ(before, "0\n");
  expect_clean(keeper->add(std::vector{address("198.51.100.1/24")}));
  host.sh("ip address add 198.51.100.2/24 dev here0");  // an operator's, secondary
  expect_clean(keeper->remove(std::vector{address("198.51.100.1/24")}));
  EXPECT_FALSE(has("198.51.100.1"));
  EXPECT_TRUE(has("198.51.100.2/24")) << shown();
  expect_clean(keeper->remove_all());
  EXPECT_EQ(host.sh("cat /proc/sys/net/ipv4/conf/here0/promote_secondaries"), before);
  EXPECT_FALSE(std::filesystem::exists(state_path));
}

TEST_F(Addresses, OfAKilledProcessAreTakenAwayByTheNext) {
  host.sh("ip address add 192.0.2.81/24 dev here0");  // an operator's, and a virtual one
  const std::string before = shown();
  place_and_be_killed({address("192.0.2.80/24"), address("192.0.2.81/24"),
                       address("198.51.100.1/24"), address("2001:db8::80/128")});
  ASSERT_NE(shown(), before);
  ASSERT_TRUE(std::filesystem::exists(state_path));
  const AddressReport report = keeper->remove_stale();
  expect_clean(report);
  EXPECT_EQ(report.done.size(), 3U);
  EXPECT_EQ(shown(), before);
  EXPECT_EQ(host.sh("cat /proc/sys/net/ipv4/conf/here0/promote_secondaries"), "0\n");
  EXPECT_FALSE(std::filesystem::exists(state_path));
  EXPECT_TRUE(keeper->placed().empty());
  EXPECT_TRUE(keeper->remove_stale().done.empty());
}

TEST_F(Addresses, StaleOnesOfAnInterfaceThatIsAnotherOneNowAreLeftAlone) {
  place_and_be_killed({address("192.0.2.80/24")});
  host.sh("ip link delete here0");
  add_wire();
  host.sh("ip address add 192.0.2.80/24 dev here0");
  const AddressReport report = keeper->remove_stale();
  expect_clean(report);
  EXPECT_TRUE(report.done.empty());
  EXPECT_EQ(report.missing.size(), 1U);
  EXPECT_TRUE(has("192.0.2.80/24"));
}

TEST_F(Addresses, OfADeletedInterfaceAreMissingAndPlacedOnTheNextOne) {
  expect_clean(keeper->add(std::vector{address("192.0.2.80/24")}));
  host.sh("ip link delete here0");
  const AddressReport gone = keeper->add(std::vector{address("192.0.2.81/24")});
  ASSERT_EQ(gone.errors.size(), 1U);
  EXPECT_EQ(gone.errors[0].text,
            "here0: address 192.0.2.81/24: No such device (there is no such interface)");
  add_wire();
  EXPECT_EQ(keeper->add(std::vector{address("192.0.2.80/24")}).done.size(), 1U);
  EXPECT_TRUE(has("192.0.2.80/24"));
  EXPECT_EQ(keeper->remove_all().done.size(), 1U);
  EXPECT_FALSE(has("192.0.2.80/24"));
}

TEST_F(Addresses, InterfaceWithoutIpv6IsAnErrorWithItsRemedyAndTheRestGoesOn) {
  host.sh("echo 1 >/proc/sys/net/ipv6/conf/here0/disable_ipv6");
  const AddressReport report =
      keeper->add(std::vector{address("2001:db8::80/128"), address("192.0.2.80/24")});
  ASSERT_EQ(report.errors.size(), 1U);
  EXPECT_NE(report.errors[0].text.find("disable_ipv6"), std::string::npos) << report.errors[0].text;
  EXPECT_EQ(report.done, std::vector{address("192.0.2.80/24")});
  EXPECT_EQ(keeper->placed(), report.done);
}

TEST_F(Addresses, KernelAnswersForThemAndNotAfterwards) {
  const test::RawSocket wire(far, "far0");
  // Whether the first address that is answered for is `wanted`; the host's own always is.
  const auto answered = [&](const net::IpAddress& wanted) {
    for (const net::IpAddress& target : {wanted, test::ip("192.0.2.1")}) {
      EthernetFrame request = gratuitous_arp_frame({{2, 0, 0, 0, 0, 2}}, test::ip("192.0.2.2"));
      std::copy_n(target.bytes.begin(), 4, request.end() - 4);
      wire.send({request.begin(), request.end()});
    }
    constexpr std::string_view reply("\x08\x06\0\x01\x08\0\x06\x04\0\x02", 10);
    const test::Frame frame = next_frame(wire, reply);
    EXPECT_EQ(frame.size(), 42U);
    return std::equal(frame.begin() + 28, frame.begin() + 32, wanted.bytes.begin(),
                      [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
  };
  expect_clean(keeper->add(std::vector{address("192.0.2.80/24")}));
  EXPECT_TRUE(answered(test::ip("192.0.2.80")));
  expect_clean(keeper->remove_all());
  while (!wire.receive(20).empty()) {  // the second reply of before
  }
  EXPECT_FALSE(answered(test::ip("192.0.2.80")));
}

TEST_F(Addresses, Of255RoutersTakeFewMilliseconds) {
  const auto list = many(255);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(keeper->add(list).done.size(), 255U);
  const auto added = std::chrono::steady_clock::now();
  EXPECT_EQ(keeper->remove_all().done.size(), 255U);
  const auto removed = std::chrono::steady_clock::now();
  const auto milliseconds = [](auto time) {
    return std::chrono::duration<double, std::milli>(time);
  };
  std::printf("add 255: %.2f ms, remove: %.2f ms\n", milliseconds(added - start).count(),
              milliseconds(removed - added).count());
  EXPECT_LT(removed - start, std::chrono::seconds(1));
}

TEST_F(Addresses, ThousandsInOneCallAreNotLost) {
  EXPECT_EQ(keeper->add(many(2000)).done.size(), 2000U);
  EXPECT_EQ(keeper->add(many(2000)).done.size(), 0U);
  const auto report = keeper->remove(many(2000));
  expect_clean(report);
  EXPECT_EQ(report.done.size(), 2000U);
}

TEST_F(Addresses, QueueServesInOrderAndTellsOnTheLoop) {
  std::vector<size_t> told;
  const auto tell = [&](const AddressReport& report) { told.push_back(report.done.size()); };
  AddressQueue queue(loop, std::move(*keeper));
  queue.add(many(10), tell);
  queue.remove(many(3), tell);
  queue.add(many(10), tell);
  queue.remove_all(tell);
  EXPECT_TRUE(run_until([&] { return told.size() == 4; }));
  EXPECT_EQ(told, (std::vector<size_t>{10, 3, 3, 10}));
}

TEST_F(Addresses, QueueThatEndsHasDoneWhatItWasAskedFor) {
  {
    AddressQueue queue(loop, std::move(*keeper));
    queue.add(many(100), {});
    queue.remove_all([](const AddressReport&) { ADD_FAILURE() << "told after the end"; });
  }
  run_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(has("198.51.100."));
}

}  // namespace
}  // namespace headgate::control
