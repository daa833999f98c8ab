// Decoding, with messages made by hand; the kernel's own are in e2e/control/kernel_mirror_test.cpp.
#include "control/netlink_decode.h"

#include <array>
#include <cstring>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace headgate::control {
namespace {

net::Prefix prefix(const char* text) {
  return net::parse_prefix(text).value();
}
net::IpAddress address(const char* text) {
  return net::parse_ip(text).value();
}

template <typename Header>
class Message {
 public:
  explicit Message(uint16_t type) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    put(&header, sizeof(header));
    put(&body, sizeof(body));
  }
  Header body{};
  Message& add(uint16_t type, const void* data, size_t size) {
    const rtattr attribute{.rta_len = static_cast<uint16_t>(sizeof(rtattr) + size),
                           .rta_type = type};
    put(&attribute, sizeof(attribute));
    put(data, size);
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
    return *this;
  }
  Message& add_number(uint16_t type, uint32_t number) { return add(type, &number, sizeof(number)); }
  Message& add_address(uint16_t type, const char* text) {
    const net::IpAddress value = address(text);
    return add(type, value.bytes.data(), value.bits() / 8U);
  }
  // In a buffer of exactly `length` bytes, so that a read behind the end is seen by a sanitizer.
  const nlmsghdr* finish(size_t length = SIZE_MAX) {
    length = std::min(length, bytes_.size());
    std::memcpy(bytes_.data() + sizeof(nlmsghdr), &body, sizeof(body));
    const auto total = static_cast<uint32_t>(length);
    std::memcpy(bytes_.data(), &total, sizeof(total));
    exact_ = std::make_unique<char[]>(length);
    std::memcpy(exact_.get(), bytes_.data(), length);
    return reinterpret_cast<const nlmsghdr*>(exact_.get());
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }

 private:
  void put(const void* data, size_t size) { bytes_.append(static_cast<const char*>(data), size); }
  std::string bytes_;
  std::unique_ptr<char[]> exact_;
};

const InterfaceMap interfaces(std::array{7, 0, 9});

Message<rtmsg> route_message() {
  Message<rtmsg> message(RTM_NEWROUTE);
  message.body.rtm_family = AF_INET;
  message.body.rtm_dst_len = 16;
  message.body.rtm_table = RT_TABLE_MAIN;
  message.body.rtm_type = RTN_UNICAST;
  message.add_address(RTA_DST, "10.1.0.0");
  return message;
}

TEST(InterfaceMap, TakesNoInterfaceForNone) {
  EXPECT_EQ(interfaces.ours(9), 2);
  EXPECT_EQ(interfaces.ours(8), foreign_interface);
  EXPECT_EQ(interfaces.ours(0), foreign_interface);
}

TEST(DecodeRoute, ReadsGatewayMetricAndInterface) {
  auto message = route_message();
  message.add_number(RTA_OIF, 9).add_address(RTA_GATEWAY, "192.0.2.1").add_number(RTA_PRIORITY, 5);
  const auto decoded = decode_route(message.finish(), interfaces);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->route.prefix, prefix("10.1.0.0/16"));
  EXPECT_EQ(decoded->route.metric, 5U);
  EXPECT_EQ(decoded->rank, 1);
  ASSERT_EQ(decoded->route.hops.size(), 1U);
  EXPECT_EQ(decoded->route.hops[0], (KernelNextHop{2, address("192.0.2.1"), 1}));
}

TEST(DecodeRoute, LeavesOutWhatWorkersDoNotFollow) {
  const auto decodes = [](auto change) {
    auto message = route_message();
    message.add_number(RTA_OIF, 7);
    change(message.body);
    return decode_route(message.finish(), interfaces).has_value();
  };
  EXPECT_TRUE(decodes([](rtmsg&) {}));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_table = 100; }));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_tos = 8; }));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_src_len = 64; }));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_flags = RTM_F_CLONED; }));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_flags = RTNH_F_DEAD; }));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_type = RTN_MULTICAST; }));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_family = AF_BRIDGE; }));
  EXPECT_FALSE(decodes([](rtmsg& body) { body.rtm_table = RT_TABLE_LOCAL; }));
}

TEST(DecodeNeighbour, IsUsableWithAMacInAGoodState) {
  const auto decode = [](uint16_t state, bool with_mac, int index = 7) {
    Message<ndmsg> message(RTM_NEWNEIGH);
    message.body.ndm_family = AF_INET;
    message.body.ndm_ifindex = index;
    message.body.ndm_state = state;
    message.add_address(NDA_DST, "192.0.2.5");
    const uint8_t mac[6] = {2, 0, 0, 0, 0, 5};
    if (with_mac) message.add(NDA_LLADDR, mac, sizeof(mac));
    return decode_neighbour(message.finish(), interfaces);
  };
  for (const uint16_t state :
       {NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT, NUD_NOARP}) {
    EXPECT_TRUE(decode(state, true)->usable) << state;
    EXPECT_FALSE(decode(state, false)->usable) << state;
  }
  for (const uint16_t state : {NUD_NONE, NUD_INCOMPLETE, NUD_FAILED}) {
    EXPECT_FALSE(decode(state, true)->usable) << state;
  }
  EXPECT_FALSE(decode(NUD_REACHABLE, true, 8).has_value());  // not an interface of ours
}

// Whatever its end, a cut message is read within its bytes and never misread.
TEST(Decode, SurvivesMessagesCutAnywhere) {
  auto message = route_message();
  message.add_number(RTA_OIF, 7);
  const uint8_t hop[] = {16, 0, 0, 0, 9, 0, 0, 0, 8, 0, 5,  0, 192, 0,
                         2,  9, 8, 0, 0, 0, 7, 0, 0, 0, 99, 0, 5,   0};
  message.add(RTA_MULTIPATH, hop, sizeof(hop));
  const auto whole = decode_route(message.finish(), interfaces);
  ASSERT_TRUE(whole);
  ASSERT_EQ(whole->route.hops.size(), 2U);
  EXPECT_EQ(whole->route.hops[0], (KernelNextHop{2, address("192.0.2.9"), 1}));
  for (size_t length = sizeof(nlmsghdr); length < message.size(); ++length) {
    const auto cut = decode_route(message.finish(length), interfaces);
    if (cut) {
      EXPECT_LE(cut->route.hops.size(), 2U) << length;
    }
  }
  Message<ndmsg> neighbour(RTM_NEWNEIGH);
  neighbour.body.ndm_family = AF_INET;
  neighbour.body.ndm_ifindex = 7;
  neighbour.body.ndm_state = NUD_REACHABLE;
  neighbour.add_address(NDA_DST, "192.0.2.5").add(NDA_LLADDR, "abcdef", 6);
  for (size_t length = sizeof(nlmsghdr); length < neighbour.size(); ++length) {
    const auto cut = decode_neighbour(neighbour.finish(length), interfaces);
    if (cut && length < neighbour.size() - 2) {  // less than the padding is missing
      EXPECT_FALSE(cut->usable) << length;
    }
  }
}

TEST(ChooseRoutes, PrefersLocalThenOursThenTheLowestMetric) {
  const auto route = [](const char* to, uint8_t rank, uint32_t metric) {
    DecodedRoute decoded;
    decoded.route.prefix = prefix(to);
    decoded.route.metric = metric;
    decoded.rank = rank;
    return decoded;
  };
  const auto chosen = choose_routes({
      route("10.1.0.0/16", 1, 20),
      route("10.1.0.0/16", 1, 10),
      route("10.1.0.0/16", 2, 0),
      route("10.0.0.0/8", 2, 100),
      route("2001:db8::/32", 1, 1024),
      route("10.2.0.0/16", 1, 0),
      route("10.2.0.0/16", 0, 0),
  });
  ASSERT_EQ(chosen.size(), 4U);
  EXPECT_EQ(chosen[0].prefix, prefix("10.0.0.0/8"));
  EXPECT_EQ(chosen[1].prefix, prefix("10.1.0.0/16"));
  EXPECT_EQ(chosen[1].metric, 10U);
  EXPECT_EQ(chosen[2].prefix, prefix("10.2.0.0/16"));
  EXPECT_EQ(chosen[3].prefix, prefix("2001:db8::/32"));
}

}  // namespace
}  // namespace headgate::control
