// Links and addresses out of the kernel's messages.
#include "control/vrrp/link_table.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "control/rtnl.h"

namespace headgate::control {
namespace {

struct LinkSpec {
  int type = RTM_NEWLINK;
  int index = 7;
  std::string name = "eth0";
  unsigned flags = IFF_UP | IFF_RUNNING;
  uint8_t family = AF_UNSPEC;
};

NlMessage link_message(const LinkSpec& spec) {
  NlMessage message(nlmsg_alloc_simple(spec.type, 0));
  ifinfomsg header{};
  header.ifi_family = spec.family;
  header.ifi_index = spec.index;
  header.ifi_flags = spec.flags;
  nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO);
  nla_put_string(message.get(), IFLA_IFNAME, spec.name.c_str());
  const uint8_t mac[] = {2, 0, 0, 0, 0, 7};
  nla_put(message.get(), IFLA_ADDRESS, sizeof(mac), mac);
  nla_put_u32(message.get(), IFLA_MTU, 1500);
  return message;
}

NlMessage address_message(const std::string& text, uint32_t flags = 0, int type = RTM_NEWADDR,
                          int index = 7) {
  const net::Prefix prefix = net::parse_prefix(text).value();
  NlMessage message(nlmsg_alloc_simple(type, 0));
  ifaddrmsg header{};
  header.ifa_family = prefix.address.is_v4() ? AF_INET : AF_INET6;
  header.ifa_prefixlen = prefix.length;
  header.ifa_index = static_cast<uint32_t>(index);
  nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO);
  nla_put(message.get(), IFA_ADDRESS, prefix.address.bits() / 8, prefix.address.bytes.data());
  nla_put_u32(message.get(), IFA_FLAGS, flags);
  return message;
}

class Table : public testing::Test {
 protected:
  void apply(const NlMessage& message) { table.apply(nlmsg_hdr(message.get())); }
  void add(const std::string& text, uint32_t flags = 0) { apply(address_message(text, flags)); }
  void remove(const std::string& text) { apply(address_message(text, 0, RTM_DELADDR)); }
  std::vector<std::string> ipv4() {
    std::vector<std::string> result;
    for (const net::Prefix& prefix : table.state("eth0").ipv4) {
      result.push_back(net::to_string(prefix));
    }
    return result;
  }

  LinkTable table;
};

using Texts = std::vector<std::string>;

TEST_F(Table, KnowsALinkByName) {
  apply(link_message({}));
  const LinkState state = table.state("eth0");
  EXPECT_TRUE(state.exists());
  EXPECT_TRUE(state.usable());
  EXPECT_EQ(state.index, 7);
  EXPECT_EQ(state.mtu, 1500U);
  EXPECT_EQ(net::to_string(state.mac), "02:00:00:00:00:07");
  EXPECT_FALSE(table.state("eth1").exists());
  EXPECT_EQ(table.state("eth1").name, "eth1");
}

TEST_F(Table, TellsAdministratorFromCarrier) {
  apply(link_message({.flags = IFF_UP}));
  EXPECT_TRUE(table.state("eth0").up);
  EXPECT_FALSE(table.state("eth0").running);
  EXPECT_FALSE(table.state("eth0").usable());
  apply(link_message({.flags = 0}));
  EXPECT_FALSE(table.state("eth0").up);
}

TEST_F(Table, FollowsARenameAndKeepsTheAddresses) {
  apply(link_message({}));
  add("192.0.2.1/24");
  apply(link_message({.name = "wan"}));
  EXPECT_FALSE(table.state("eth0").exists());
  EXPECT_EQ(table.state("wan").ipv4.size(), 1U);
}

TEST_F(Table, ForgetsTheAddressesOfADeletedLink) {
  apply(link_message({}));
  add("192.0.2.1/24");
  apply(link_message({.type = RTM_DELLINK}));
  EXPECT_FALSE(table.state("eth0").exists());
  add("192.0.2.1/24");  // late
  apply(link_message({.index = 8}));
  EXPECT_EQ(table.state("eth0").index, 8);
  EXPECT_EQ(ipv4(), Texts{});
}

TEST_F(Table, BridgesSayingGoodbyeToAPortDeleteNoLink) {
  apply(link_message({}));
  apply(link_message({.type = RTM_DELLINK, .family = AF_BRIDGE}));
  EXPECT_TRUE(table.state("eth0").exists());
}

TEST_F(Table, KeepsPrimaryAddressesBeforeSecondaryOnes) {
  apply(link_message({}));
  add("192.0.2.1/24");
  add("192.0.2.2/24", IFA_F_SECONDARY);
  add("198.51.100.1/24");
  add("192.0.2.1/24");  // told again: stays where it is
  EXPECT_EQ(ipv4(), (Texts{"192.0.2.1/24", "198.51.100.1/24", "192.0.2.2/24"}));
  remove("192.0.2.1/24");
  add("192.0.2.2/24");  // promoted
  EXPECT_EQ(ipv4(), (Texts{"198.51.100.1/24", "192.0.2.2/24"}));
}

TEST_F(Table, CountsAnIpv6AddressOnceItIsUsable) {
  apply(link_message({}));
  add("fe80::7/64", IFA_F_TENTATIVE | IFA_F_PERMANENT);
  EXPECT_EQ(table.state("eth0").link_local(), net::IpAddress{});
  add("2001:db8::7/64", IFA_F_PERMANENT);
  add("fe80::7/64", IFA_F_PERMANENT);
  EXPECT_EQ(net::to_string(table.state("eth0").link_local()), "fe80::7");
  EXPECT_TRUE(table.state("eth0").has(net::parse_ip("2001:db8::7").value()));
  add("fe80::7/64", IFA_F_TENTATIVE | IFA_F_DADFAILED);
  EXPECT_EQ(table.state("eth0").ipv6.size(), 1U);
}

TEST_F(Table, IgnoresDamagedMessages) {
  apply(link_message({}));
  const LinkState before = table.state("eth0");
  NlMessage cut = link_message({.type = RTM_DELLINK});
  nlmsg_hdr(cut.get())->nlmsg_len = NLMSG_HDRLEN + 4;
  apply(cut);
  NlMessage strange = address_message("192.0.2.1/24");
  nlmsg_hdr(strange.get())->nlmsg_len = NLMSG_HDRLEN + sizeof(ifaddrmsg);
  apply(strange);
  EXPECT_EQ(table.state("eth0"), before);
}

}  // namespace
}  // namespace headgate::control
