// Interfaces of a real kernel, by name.
#include "control/vrrp/link_watch.h"

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "tests/e2e/control/vrrp/pair.h"

namespace headgate::control {
namespace {

class Links : public test::Pair {
 protected:
  void SetUp() override {
    test::Pair::SetUp();
    if (IsSkipped()) return;
    auto opened = LinkWatch::open(loop, [this](const LinkState& state) { calls.push_back(state); });
    ASSERT_TRUE(opened) << opened.error().text;
    watch = std::move(*opened);
    watch->watch({"here0", "wan"});
  }
  // Until a change is told after which `condition` holds.
  bool told(const std::string& name, const std::function<bool(const LinkState&)>& condition) {
    return run_until([&] {
      return !calls.empty() && calls.back().name == name && condition(watch->state(name));
    });
  }

  std::vector<LinkState> calls;
  std::unique_ptr<LinkWatch> watch;
};

TEST_F(Links, AreKnownAtOnce) {
  const LinkState state = watch->state("here0");
  EXPECT_EQ(state.index, static_cast<int>(if_nametoindex("here0")));
  EXPECT_EQ(net::to_string(state.mac), "02:00:00:00:00:01");
  EXPECT_EQ(state.mtu, 1500U);
  EXPECT_TRUE(state.usable());
  EXPECT_EQ(net::to_string(state.first_ipv4()), "192.0.2.1");
  EXPECT_EQ(net::to_string(state.link_local()), "fe80::ff:fe00:1");
  EXPECT_TRUE(state.has(test::ip("2001:db8::1")));
  EXPECT_FALSE(watch->state("wan").exists());
  EXPECT_TRUE(watch->state("lo").exists()) << "not watched, and known";
}

TEST_F(Links, AreSilentWhileNothingChanges) {
  run_for(std::chrono::milliseconds(50));
  calls.clear();
  host.sh("ip link add other0 type veth peer name other1; ip link set other0 up");
  run_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(calls.empty());
  EXPECT_TRUE(watch->state("other0").exists());
}

TEST_F(Links, GoDownAndUpByTheAdministrator) {
  host.sh("ip link set here0 down");
  EXPECT_TRUE(told("here0", [](const LinkState& state) { return !state.up && !state.running; }));
  host.sh("ip link set here0 up");
  EXPECT_TRUE(told("here0", [](const LinkState& state) { return state.usable(); }));
}

TEST_F(Links, LoseTheirCarrierWhileUp) {
  far.sh("ip link set far0 down");
  EXPECT_TRUE(told("here0", [](const LinkState& state) { return state.up && !state.running; }));
  far.sh("ip link set far0 up");
  EXPECT_TRUE(told("here0", [](const LinkState& state) { return state.usable(); }));
}

TEST_F(Links, ChangeMacAndMtu) {
  host.sh("ip link set here0 address 02:00:00:00:00:77 mtu 1400");
  EXPECT_TRUE(told("here0", [](const LinkState& state) {
    return net::to_string(state.mac) == "02:00:00:00:00:77" && state.mtu == 1400;
  }));
}

TEST_F(Links, AreDeletedAndComeBackAsAnotherOne) {
  const int before = watch->state("here0").index;
  host.sh("ip link delete here0");
  EXPECT_TRUE(told("here0", [](const LinkState& state) { return !state.exists(); }));
  EXPECT_TRUE(watch->state("here0").ipv4.empty());
  add_wire();
  EXPECT_TRUE(told("here0", [&](const LinkState& state) {
    return state.exists() && state.index != before && state.first_ipv4().is_v4() &&
           state.link_local().is_v6();
  }));
}

TEST_F(Links, AreRenamed) {
  host.sh("ip link set here0 down; ip link set here0 name wan; ip link set wan up");
  EXPECT_TRUE(told("wan", [](const LinkState& state) {
    return state.usable() && net::to_string(state.first_ipv4()) == "192.0.2.1";
  }));
  EXPECT_FALSE(watch->state("here0").exists());
  EXPECT_TRUE(std::ranges::any_of(
      calls, [](const LinkState& state) { return state.name == "here0" && !state.exists(); }));
}

TEST_F(Links, ListAddressesAsTheKernelDoes) {
  host.sh(
      "ip address add 192.0.2.10/24 dev here0; ip address add 203.0.113.1/24 dev here0; "
      "ip address add 192.0.2.11/24 dev here0");
  const auto texts = [](const LinkState& state) {
    std::vector<std::string> result;
    result.reserve(state.ipv4.size());
    for (const net::Prefix& prefix : state.ipv4) {
      result.push_back(net::to_string(prefix));
    }
    return result;
  };
  const std::vector<std::string> wanted{"192.0.2.1/24", "203.0.113.1/24", "192.0.2.10/24",
                                        "192.0.2.11/24"};
  EXPECT_TRUE(told("here0", [&](const LinkState& state) { return texts(state) == wanted; }));
  host.sh(
      "echo 1 >/proc/sys/net/ipv4/conf/here0/promote_secondaries; "
      "ip address delete 192.0.2.1/24 dev here0");
  EXPECT_TRUE(told("here0", [&](const LinkState& state) {
    return state.ipv4.size() == 3 && net::to_string(state.first_ipv4()) == "203.0.113.1";
  }));
  // A fresh dump has the same order.
  auto fresh = LinkWatch::open(loop, {});
  ASSERT_TRUE(fresh);
  EXPECT_EQ((*fresh)->state("here0"), watch->state("here0"));
}

TEST_F(Links, CountTentativeAddressesOnceTheyAreNot) {
  host.sh(
      "echo 1 >/proc/sys/net/ipv6/conf/here0/accept_dad; "
      "echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad; "
      "ip address add 2001:db8::99/64 dev here0");
  EXPECT_FALSE(watch->state("here0").has(test::ip("2001:db8::99")));
  EXPECT_TRUE(
      told("here0", [](const LinkState& state) { return state.has(test::ip("2001:db8::99")); }));
}

TEST_F(Links, SurviveMoreMessagesThanTheSocketHolds) {
  // Nobody reads meanwhile, and 25,000 messages are more than 4 MiB.
  host.sh(
      "for i in 1 2 3 4 5 6; do "
      "for j in $(seq 100); do echo link set here0 mtu 140$i; echo link set here0 mtu 1300; "
      "for k in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
      "echo address add 10.$i.$j.$k/32 dev here0; "
      "echo address delete 10.$i.$j.$k/32 dev here0; done; done; done | "
      "ip -batch -; ip address add 203.0.113.1/24 dev here0; ip link set here0 mtu 1280");
  EXPECT_TRUE(told("here0", [](const LinkState& state) {
    return state.mtu == 1280 && state.has(test::ip("203.0.113.1")) && state.ipv4.size() == 2;
  }));
  EXPECT_GT(watch->resyncs(), 0U);
}

TEST_F(Links, WatchMayBeDestroyedByItsOwnCall) {
  auto opened = LinkWatch::open(loop, [this](const LinkState& state) {
    calls.push_back(state);
    watch.reset();
  });
  ASSERT_TRUE(opened);
  watch = std::move(*opened);
  watch->watch({"here0", "other0"});
  host.sh("ip link add other0 type veth peer name other1; ip link set here0 down");
  EXPECT_TRUE(run_until([&] { return calls.size() == 1; }));
  run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(calls.size(), 1U);
}

}  // namespace
}  // namespace headgate::control
