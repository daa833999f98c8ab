// The device beneath a port: what protect() does to it, and that all of it is undone.
#include "control/device_beneath.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/wait.h>

#include "control/beneath_state.h"
#include "tests/e2e/namespaces.h"
#include "tests/e2e/raw_socket.h"

namespace headgate::control {
namespace {

using test::Inside;
using test::NetNamespace;
using test::RawSocket;

class Beneath : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    std::string pattern = "/tmp/ports-beneath-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    gate.sh("ip link add net0 type veth peer name far0 netns " + far.path());
    gate.sh("ip link set net0 up");
    far.sh("ip link set far0 up; ip address add 192.0.2.2/24 dev far0");
    gate.sh("ethtool -K net0 gro on");
    options = {.interface = "net0", .state_dir = directory};
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  std::expected<DeviceBeneath, Error> protect() {
    const Inside inside(gate.fd());
    return DeviceBeneath::protect(options);
  }
  // Everything that protect() may touch, as the tools show it.
  std::string look() {
    return gate.sh(
        "ip -d link show dev net0 | sed 's/minmtu.*//; s/NO-CARRIER,//; s/,LOWER_UP//; s/state "
        "[A-Z]*//'; cat "
        "/proc/sys/net/ipv6/conf/net0/disable_ipv6; "
        "ethtool -k net0 | grep -E "
        "'generic-receive|large-receive|rx-vlan-offload|rx-gro|rx-udp-gro'; "
        "ethtool -l net0; tc qdisc show dev net0; tc filter show dev net0 ingress");
  }
  [[nodiscard]] bool state_file() const {
    return std::filesystem::exists(directory + "/beneath-net0");
  }

  NetNamespace gate;
  NetNamespace far;
  std::string directory;
  BeneathOptions options;
};

TEST_F(Beneath, ChangesWhatItSaysAndPutsItBack) {
  gate.sh("ip link set net0 down");
  const std::string before = look();
  options.mtu = 1400;
  {
    auto beneath = protect();
    ASSERT_TRUE(beneath) << beneath.error().text;
    EXPECT_TRUE(state_file());
    const std::string during = look();
    EXPECT_NE(during.find("ALLMULTI"), std::string::npos) << during;
    EXPECT_NE(during.find(",UP"), std::string::npos) << during;
    EXPECT_NE(during.find("mtu 1400"), std::string::npos) << during;
    EXPECT_NE(during.find("generic-receive-offload: off"), std::string::npos) << during;
    EXPECT_NE(during.find("qdisc clsact"), std::string::npos) << during;
    EXPECT_NE(during.find("headgate direct-action"), std::string::npos) << during;
    EXPECT_EQ(gate.sh("cat /proc/sys/net/ipv6/conf/net0/disable_ipv6"), "1\n");
    const Inside inside(gate.fd());
    beneath->release();
  }
  EXPECT_EQ(look(), before);
  EXPECT_FALSE(state_file());
}

TEST_F(Beneath, PutsBackWhatAKilledDaemonLeft) {
  const std::string before = look();
  const pid_t child = fork();
  if (child == 0) {
    auto beneath = protect();
    _exit(beneath ? 0 : 1);  // as a kill: nothing is undone
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_NE(look(), before);
  ASSERT_TRUE(state_file());
  std::vector<std::string> lines;
  {
    const Inside inside(gate.fd());
    lines = recover_devices(directory);
  }
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "net0: restored, as an earlier daemon was killed");
  EXPECT_EQ(look(), before);
  EXPECT_FALSE(state_file());
}

TEST_F(Beneath, LeavesAnotherDeviceOfThatNameAlone) {
  {
    auto beneath = protect();
    ASSERT_TRUE(beneath) << beneath.error().text;
    gate.sh(
        "ip link delete net0; ip link add net0 type veth peer name other0; "
        "ip link set net0 up allmulticast on");
    const Inside inside(gate.fd());
    beneath->release();
  }
  EXPECT_NE(look().find("ALLMULTI"), std::string::npos);
}

TEST_F(Beneath, KeepsAnOperatorsOwnClsact) {
  gate.sh("tc qdisc add dev net0 clsact; tc filter add dev net0 egress prio 5 matchall action ok",
          true);
  const std::string before = look();
  auto beneath = protect();
  ASSERT_TRUE(beneath) << beneath.error().text;
  EXPECT_NE(look(), before);
  {
    const Inside inside(gate.fd());
    beneath->release();
  }
  EXPECT_EQ(look(), before);
  EXPECT_NE(look().find("qdisc clsact"), std::string::npos);
}

TEST_F(Beneath, RefusesADeviceWithAnAddress) {
  gate.sh("ip address add 192.0.2.1/24 dev net0");
  const auto beneath = protect();
  ASSERT_FALSE(beneath);
  EXPECT_EQ(
      beneath.error().text,
      "net0: holds 192.0.2.1/24, so the kernel would answer next to the port: `ip address del "
      "192.0.2.1/24 dev net0`, and put the address under the port's twin.addresses");
  EXPECT_FALSE(state_file());
  gate.sh("ip address del 192.0.2.1/24 dev net0; ip address add 2001:db8::1/64 dev net0");
  const auto again = protect();
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().text.find("holds 2001:db8::1/64"), std::string::npos);
}

TEST_F(Beneath, RefusesADeviceOfABridge) {
  gate.sh("ip link add br0 type bridge; ip link set net0 master br0");
  const auto beneath = protect();
  ASSERT_FALSE(beneath);
  EXPECT_EQ(beneath.error().text, "net0: belongs to br0: `ip link set net0 nomaster`");
}

TEST_F(Beneath, NamesWhatIsMissing) {
  options.interface = "nonesuch0";
  auto beneath = protect();
  ASSERT_FALSE(beneath);
  EXPECT_EQ(beneath.error().text, "nonesuch0: there is no such interface: `ip link` lists them");
  options = {.interface = "net0", .state_dir = directory + "/nowhere"};
  beneath = protect();
  ASSERT_FALSE(beneath);
  EXPECT_NE(beneath.error().text.find("daemon.run_dir"), std::string::npos);
}

TEST_F(Beneath, BringsAnAfXdpPortDownToItsQueues) {
  gate.sh(
      "ip link delete net0; ip link add net0 numrxqueues 4 numtxqueues 4 type veth peer name "
      "far0 netns " +
      far.path() + "; ethtool -L net0 rx 4 tx 4; ip link set net0 up");
  const std::string before = look();
  options.af_xdp_queues = 1;
  auto beneath = protect();
  ASSERT_TRUE(beneath) << beneath.error().text;
  EXPECT_NE(gate.sh("ethtool -l net0 | tail -5").find("RX:\t\t1\n"), std::string::npos)
      << gate.sh("ethtool -l net0");
  {
    const Inside inside(gate.fd());
    beneath->release();
  }
  EXPECT_EQ(look(), before);
}

// The kernel is not only silent: it does not even see the frames that the port sees.
TEST_F(Beneath, TheKernelReceivesNothing) {
  gate.sh(
      "ip link add twin0 type veth peer name twin1; ip link set twin0 up; "
      "ip address add 192.0.2.1/24 dev twin0");
  const RawSocket far_side(far, "far0");
  const auto answers = [&] {
    far.sh("ip neigh flush dev far0; ip neigh replace 192.0.2.1 dev far0 use");
    int replies = 0;
    while (true) {
      const test::Frame frame = far_side.receive(200);
      if (frame.empty()) return replies;
      if (frame.substr(12, 2) == test::Frame("\x08\x06", 2) && frame[21] == 2) ++replies;
    }
  };
  EXPECT_GT(answers(), 0);  // it does answer, for an address of another interface
  auto beneath = protect();
  ASSERT_TRUE(beneath) << beneath.error().text;
  EXPECT_EQ(answers(), 0);
  const RawSocket tap(gate, "net0");
  far.sh("ip neigh flush dev far0; ip neigh replace 192.0.2.1 dev far0 use");
  EXPECT_FALSE(tap.receive().empty());  // and a port on the device still hears
  const Inside inside(gate.fd());
  beneath->release();
}

TEST(BeneathState, SurvivesItsTextForm) {
  BeneathState state;
  state.interface = "net0";
  state.index = 12;
  state.made_clsact = true;
  state.xdp = true;
  state.enabled_ipv6 = true;
  state.added_flags = IFF_UP | IFF_ALLMULTI;
  state.mtu = 1500;
  state.features = {"rx-gro", "rx-lro"};
  state.channels = {{.rx = 2, .combined = 8}};
  EXPECT_EQ(parse_beneath_state(to_text(state)), state);
  const BeneathState small{.interface = "eth7", .index = 1};
  EXPECT_EQ(parse_beneath_state(to_text(small)), small);
}

TEST(BeneathState, RefusesEveryDamagedText) {
  const std::string whole = to_text({.interface = "net0", .index = 12, .mtu = 9000});
  for (size_t length = 0; length < whole.find("mtu"); ++length) {
    const auto parsed = parse_beneath_state(whole.substr(0, length));
    if (!parsed) continue;  // a line less is a text too
    EXPECT_EQ(parsed->interface, "net0") << length;
  }
  EXPECT_FALSE(parse_beneath_state(""));
  EXPECT_FALSE(parse_beneath_state("headgate device 1\n"));
  EXPECT_FALSE(parse_beneath_state("headgate device 2\ninterface a\nindex 1\n"));
  EXPECT_FALSE(parse_beneath_state(whole + "surprise 1\n"));
  EXPECT_FALSE(parse_beneath_state(whole + "channels x\n"));
}

}  // namespace
}  // namespace headgate::control
