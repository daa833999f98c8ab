// What an interface lends to a twin: that the twin has it meanwhile, and that all of it comes back.
#include "control/interface_loan.h"

#include <filesystem>
#include <unistd.h>

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/wait.h>

#include "tests/e2e/namespaces.h"

namespace headgate::control {
namespace {

using test::Inside;
using test::NetNamespace;

class Loan : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    std::string pattern = "/tmp/ports-loan-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    gate.sh("ip link add eth0 type veth peer name far0 netns " + far.path());
    far.sh("ip link set far0 up");
    gate.sh(
        "ip link set eth0 up; ip address add 172.16.1.5/24 brd + dev eth0;"
        "ip address add 172.16.1.6/24 dev eth0;"
        "ip address add 172.16.100.1/16 dev eth0 label eth0:0;"
        "ip address add 2001:db8::5/64 dev eth0 nodad;"
        "ip route add default via 172.16.1.1 metric 20 src 172.16.1.6;"
        "ip route add 198.51.100.0/24 dev eth0 scope link;"
        "ip route add 203.0.113.0/24 via 198.51.100.7 table 100;"
        "ip route add 192.0.2.128/25 nexthop via 172.16.1.1 weight 2 nexthop via 172.16.1.2;"
        "ip -6 route add 2001:db8:9::/48 via 2001:db8::1");
  }
  void TearDown() override {
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }

  std::expected<InterfaceLoan, Error> borrow() {
    const Inside inside(gate.fd());
    return InterfaceLoan::borrow("eth0", directory);
  }
  // Everything that an interface called eth0 has, whichever it is.
  std::string look() {
    return gate.sh(
        "ip address show dev eth0 | grep -E 'inet' | grep -v 'scope link' | sort;"
        "ip route show; ip route show table 100; ip -6 route show | grep -v fe80 | sort");
  }
  std::string state() { return gate.sh("ip -br link show dev eth0 | grep -c UP || true"); }

  NetNamespace gate;
  NetNamespace far;
  std::string directory;
};

TEST_F(Loan, TheTwinHasItAllAndThenTheInterfaceAgain) {
  const std::string before = look();
  ASSERT_NE(before.find("172.16.100.1/16"), std::string::npos) << before;
  ASSERT_NE(before.find("203.0.113.0/24"), std::string::npos) << before;
  {
    auto loan = borrow();
    ASSERT_TRUE(loan) << loan.error().text;
    EXPECT_EQ(loan->beneath(), "hg-eth0");
    EXPECT_EQ(gate.sh("ip address show dev hg-eth0 | grep -c inet || true"), "0\n");
    gate.sh("ip link add eth0 type veth peer name p0; ip link set eth0 up; ip link set p0 up");
    std::vector<std::string> lines;
    {
      const Inside inside(gate.fd());
      lines = loan->hand_over(static_cast<int>(if_nametoindex("eth0")));
    }
    EXPECT_EQ(lines, std::vector<std::string>{});
    EXPECT_EQ(look(), before);
    gate.sh("ip link delete eth0");
    const Inside inside(gate.fd());
    const InterfaceLoan ends = std::move(*loan);
  }
  EXPECT_EQ(look(), before);
  EXPECT_EQ(state(), "1\n");
  EXPECT_TRUE(std::filesystem::is_empty(directory));
}

TEST_F(Loan, ComesBackAfterAKill) {
  const std::string before = look();
  const pid_t child = fork();
  if (child == 0) {
    auto loan = borrow();
    _exit(loan ? 0 : 1);  // as a kill: nothing is given back
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(gate.sh("ip -br link show dev hg-eth0 | wc -l"), "1\n");
  std::vector<std::string> lines;
  {
    const Inside inside(gate.fd());
    lines = recover_loans(directory);
  }
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "eth0: got its name and addresses back, as an earlier daemon was killed");
  EXPECT_EQ(look(), before);
  EXPECT_TRUE(std::filesystem::is_empty(directory));
}

TEST_F(Loan, ANameThatIsTakenChangesNothing) {
  gate.sh("ip link add hg-eth0 type veth peer name p0");
  const std::string before = look();
  const auto loan = borrow();
  ASSERT_FALSE(loan);
  EXPECT_NE(loan.error().text.find("cannot be renamed to hg-eth0"), std::string::npos)
      << loan.error().text;
  EXPECT_EQ(look(), before);
  EXPECT_EQ(state(), "1\n");
}

TEST_F(Loan, RoutesOverSeveralInterfacesAreTold) {
  gate.sh(
      "ip link add eth1 type veth peer name p1; ip link set eth1 up; ip link set p1 up; ip address "
      "add 10.9.0.1/24 dev eth1;"
      "ip route add 192.0.2.0/24 nexthop via 172.16.1.1 nexthop via 10.9.0.2");
  auto loan = borrow();
  ASSERT_TRUE(loan) << loan.error().text;
  ASSERT_EQ(loan->notes().size(), 1U);
  EXPECT_NE(loan->notes()[0].find("eth0: 1 routes over several interfaces"), std::string::npos);
  const Inside inside(gate.fd());
  const InterfaceLoan ends = std::move(*loan);
}

TEST_F(Loan, ANameThatIsTakenMeanwhileIsTriedAgainAtTheNextStart) {
  const std::string before = look();
  const pid_t child = fork();
  if (child == 0) {
    auto loan = borrow();
    _exit(loan ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  gate.sh("ip link add eth0 type veth peer name p0");
  const auto recover = [&] {
    const Inside inside(gate.fd());
    return recover_loans(directory);
  };
  auto lines = recover();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("eth0: is hg-eth0 since"), std::string::npos) << lines[0];
  gate.sh("ip link delete eth0");
  lines = recover();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("got its name and addresses back"), std::string::npos) << lines[0];
  EXPECT_EQ(look(), before);
}

TEST_F(Loan, RoutesThatCouldNotComeBackAreRefused) {
  gate.sh("ip nexthop add id 7 via 172.16.1.1 dev eth0; ip route add 192.0.2.0/25 nhid 7");
  const std::string before = look();
  const auto loan = borrow();
  ASSERT_FALSE(loan);
  EXPECT_NE(loan.error().text.find("eth0: the route to 192.0.2.0/25 is by a next-hop object"),
            std::string::npos)
      << loan.error().text;
  EXPECT_EQ(look(), before);
}

TEST_F(Loan, AnInterfaceThatIsNotThere) {
  const Inside inside(gate.fd());
  const auto loan = InterfaceLoan::borrow("eth7", directory);
  ASSERT_FALSE(loan);
  EXPECT_EQ(loan.error().text, "eth7: there is no such interface: `ip link` lists them");
}

}  // namespace
}  // namespace headgate::control
