// Receive offloads of a real driver: DPDK's TAP, which verifies IPv4 headers in software where it
// is asked to. As a NIC it is asked, as a vdev it is not.
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <rte_config.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/net/checksum.h"
#include "dataplane/port.h"
#include "dataplane/rx_checksum.h"
#include "tests/e2e/namespaces.h"
#include "tests/e2e/raw_socket.h"
#include "tests/unit/dataplane/eal_environment.h"

namespace headgate::dataplane {
namespace {

using test::Frame;
using test::Inside;
using test::NetNamespace;
using test::RawSocket;

constexpr size_t ethernet = 14;

// A UDP datagram with a right header, with so many bytes of options.
Frame datagram(size_t options = 0) {
  Frame frame("\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", ethernet);
  const auto length = static_cast<char>(20 + options + 8 + 18);
  Frame header = Frame("\x45\0\0", 3) + length + Frame("\0\x01\0\0\x40\x11\0\0", 8) +
                 Frame("\x0a\0\0\x01\x0a\0\0\x02", 8) + Frame(options, '\x01');
  header[0] = static_cast<char>(0x45 + options / 4);
  const auto* bytes = reinterpret_cast<const uint8_t*>(header.data());
  const uint16_t sum = net::checksum_finish(net::checksum_add(0, {bytes, header.size()})).raw();
  std::memcpy(header.data() + 10, &sum, sizeof(sum));
  return frame + header + Frame("\x10\0\0\x35\0\x1a\0\0", 8) + Frame(18, 'p');
}

Frame changed(Frame frame, size_t at) {
  frame[at] = static_cast<char>(frame[at] ^ 1);
  return frame;
}

class TapPort : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    need_eal();
    inside_ = std::make_unique<Inside>(space.fd());
    space.sh("for f in all default; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done");
  }
  void TearDown() override {
    socket.reset();
    port.reset();
    pool.reset();
    if (attached_) rte_eal_hotplug_remove("vdev", "net_tap_nic");
    inside_.reset();
  }

  void start(PortKind kind) {
    PortOptions options{.name = "wan", .kind = kind, .device = "net_tap_soft,iface=tap0"};
    if (kind == PortKind::pci) {
      ASSERT_EQ(rte_eal_hotplug_add("vdev", "net_tap_nic", "iface=tap0"), 0);
      attached_ = true;
      options.device = "net_tap_nic";
    }
    auto opened = Port::open(options);
    ASSERT_TRUE(opened) << opened.error().text();
    port = std::move(*opened);
    const PortLimits limits[] = {port->limits()};
    auto made = make_pool({.name = "tap", .mbufs = 4095, .buffer_size = port->buffer_size()});
    ASSERT_TRUE(made) << made.error().text();
    pool = std::move(*made);
    const auto started = port->start(plan_queues(1, limits).ports[0], pool.get());
    ASSERT_TRUE(started) << started.error().text();
    socket = std::make_unique<RawSocket>(space, "tap0");
  }

  // Whether the driver's word for this frame saves a look at it; nothing when it never came.
  std::optional<bool> is_verified(const Frame& frame) {
    socket->send(frame);
    std::optional<bool> verified;
    test::eventually([&] {
      rte_mbuf* mbuf = nullptr;
      if (rte_eth_rx_burst(port->id(), 0, &mbuf, 1) == 0) return false;
      const auto* bytes = rte_pktmbuf_mtod(mbuf, const char*);
      if (mbuf->data_len == frame.size() && std::memcmp(bytes, frame.data(), frame.size()) == 0) {
        verified = ipv4_checksum_is_verified(mbuf->ol_flags);
      }
      rte_pktmbuf_free(mbuf);
      return verified.has_value();
    });
    return verified;
  }

  NetNamespace space;
  std::unique_ptr<Inside> inside_;
  bool attached_ = false;
  Pool pool;
  std::unique_ptr<Port> port;
  std::unique_ptr<RawSocket> socket;
};

TEST_F(TapPort, VouchesForRightHeadersOnlyAsANic) {
  start(PortKind::pci);
  EXPECT_EQ(port->rx_offloads(), uint64_t{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM});
  EXPECT_EQ(is_verified(datagram()), true);
  EXPECT_EQ(is_verified(datagram(8)), true);
  for (size_t at = ethernet + 1; at < ethernet + 20; ++at) {
    if (at == ethernet + 2 || at == ethernet + 3) continue;  // its length: another kind of fault
    EXPECT_EQ(is_verified(changed(datagram(), at)), false) << at;
  }
  EXPECT_EQ(is_verified(changed(datagram(8), ethernet + 24)), false);
}

TEST_F(TapPort, SaysNothingOfWhatIsNoIpv4AsANic) {
  start(PortKind::pci);
  Frame other = datagram();
  other[12] = '\x88';
  other[13] = '\xb5';
  EXPECT_EQ(is_verified(other), false);
}

TEST_F(TapPort, IsNotAskedAsAVdev) {
  start(PortKind::vdev);
  EXPECT_EQ(port->rx_offloads(), 0U);
  EXPECT_EQ(is_verified(datagram()), false);
  EXPECT_EQ(is_verified(changed(datagram(), ethernet + 8)), false);
}

}  // namespace
}  // namespace headgate::dataplane
