// Ports on kernel interfaces: AF_PACKET and AF_XDP on a veth pair. Without huge pages, or with them
// when HEADGATE_TEST_HUGE_PAGES is set.
#include "dataplane/port.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <unistd.h>

#include <gtest/gtest.h>
#include <net/if.h>
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dataplane/eal.h"
#include "dataplane/packet_socket.h"
#include "tests/e2e/namespaces.h"
#include "tests/e2e/raw_socket.h"

namespace headgate::dataplane {
namespace {

using test::eventually;
using test::Frame;
using test::Inside;
using test::NetNamespace;
using test::RawSocket;

void need_eal() {
  static const Eal eal = [] {
    EalOptions options;
    options.program = "port_test";
    options.memory_mb = 200;
    options.log_level = EalLogLevel::error;
    options.huge_pages =
        getenv("HEADGATE_TEST_HUGE_PAGES") != nullptr ? HugePages::size_2m : HugePages::none;
    auto started = Eal::start(options);
    if (!started) {
      fprintf(stderr, "%s\n", started.error().text().c_str());
      abort();
    }
    return std::move(*started);
  }();
}

// An Ethernet frame with a payload that tells its number.
Frame numbered_frame(uint32_t number, size_t size = 100, char port_byte = 0) {
  Frame frame("\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", 14);
  // IPv4 and UDP headers as far as a flow hash looks.
  frame += Frame("\x45\0\0\x50\0\0\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02", 20);
  frame += Frame(1, '\x30') + port_byte + Frame("\0\x35\0\x3c\0\0", 6);
  frame.resize(size, 'p');
  memcpy(frame.data() + 42, &number, sizeof(number));
  return frame;
}

uint32_t number_of(const Frame& frame) {
  uint32_t number = 0;
  memcpy(&number, frame.data() + 42, sizeof(number));
  return number;
}

size_t open_descriptors() {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

class Veth : public testing::TestWithParam<PortKind> {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    need_eal();
    inside_ = std::make_unique<Inside>(gate.fd());
    gate.sh("ip link add net0 address 02:00:00:00:00:01 type veth peer name far0 netns " +
            far.path());
    for (const NetNamespace* space : {&gate, &far}) {
      space->sh(
          "for f in all default net0 far0; do "
          "if [ -e /proc/sys/net/ipv6/conf/$f ]; then "
          "echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; fi; done");
    }
    gate.sh("ip link set net0 up");
    far.sh("ip link set far0 up");
  }
  void TearDown() override {
    port.reset();
    pool.reset();
    inside_.reset();
  }

  void start(PortOptions options, uint16_t queues = 1) {
    options.name = "wan";
    options.device = "net0";
    options.queues = queues;
    auto opened = Port::open(options);
    ASSERT_TRUE(opened) << opened.error().text();
    port = std::move(*opened);
    const PortLimits limits[] = {port->limits()};
    plan = plan_queues(queues, limits);
    const PoolDemand demand[] = {port->demand(plan.ports[0])};
    mbufs = mbufs_needed(demand, queues);
    const PortKind kinds[] = {options.kind};
    auto made = make_pool({.name = "wan",
                           .mbufs = mbufs,
                           .layout = choose_pool_layout(kinds),
                           .buffer_size = port->buffer_size()});
    ASSERT_TRUE(made) << made.error().text();
    pool = std::move(*made);
    const auto started = port->start(plan.ports[0], pool.get());
    ASSERT_TRUE(started) << started.error().text();
    far_side = std::make_unique<RawSocket>(far, "far0");
  }

  // The next frame of a queue; empty when none comes in time.
  Frame port_gets(uint16_t queue = 0, int patience_ms = 1000) {
    rte_mbuf* mbuf = nullptr;
    eventually([&] { return rte_eth_rx_burst(port->id(), queue, &mbuf, 1) == 1; },
               std::chrono::milliseconds(patience_ms));
    if (mbuf == nullptr) return {};
    Frame frame(rte_pktmbuf_mtod(mbuf, const char*), mbuf->data_len);
    EXPECT_EQ(mbuf->nb_segs, 1);
    EXPECT_EQ(mbuf->port, port->id());
    rte_pktmbuf_free(mbuf);
    return frame;
  }
  void port_sends(const Frame& frame, uint16_t queue = 0) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool.get());
    ASSERT_NE(mbuf, nullptr);
    frame.copy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size())), frame.size());
    ASSERT_EQ(rte_eth_tx_burst(port->id(), queue, &mbuf, 1), 1);
  }

  NetNamespace gate;
  NetNamespace far;
  std::unique_ptr<Inside> inside_;  // the driver's clean-up too happens in the port's namespace
  Pool pool;
  std::unique_ptr<Port> port;
  std::unique_ptr<RawSocket> far_side;
  QueuePlan plan;
  uint32_t mbufs = 0;
};

using BothDrivers = Veth;

TEST_P(BothDrivers, CarriesFramesBothWays) {
  start({.kind = GetParam()});
  EXPECT_EQ(port->mac(), net::parse_mac("02:00:00:00:00:01"));
  EXPECT_EQ(port->mtu(), 1500);
  EXPECT_TRUE(port->link().up);
  for (const size_t size : {60U, 1514U}) {
    far_side->send(numbered_frame(1, size));
    EXPECT_EQ(port_gets(), numbered_frame(1, size));
    port_sends(numbered_frame(2, size));
    EXPECT_EQ(far_side->receive(), numbered_frame(2, size));
  }
  const PortStats stats = port->stats();
  EXPECT_EQ(stats.rx_packets, 2U);
  EXPECT_EQ(stats.tx_packets, 2U);
  EXPECT_EQ(stats.rx_missed, 0U);
}

TEST_P(BothDrivers, KeepsVlanTagsInTheFrame) {
  start({.kind = GetParam()});
  const Frame plain = numbered_frame(3, 1514);
  const Frame tagged = plain.substr(0, 12) + Frame("\x81\0\x60\x64", 4) + plain.substr(12);
  far_side->send(tagged);
  EXPECT_EQ(port_gets(), tagged);
  port_sends(tagged);
  EXPECT_EQ(far_side->receive(), tagged);
}

TEST_P(BothDrivers, SaysWhenTheOtherEndIsDown) {
  start({.kind = GetParam()});
  far.sh("ip link set far0 down");
  EXPECT_TRUE(eventually([&] { return !port->link().up; }));
  far.sh("ip link set far0 up");
  EXPECT_TRUE(eventually([&] { return port->link().up; }));
}

// Buffers that lie outside of what the driver registered would be lost on their first use.
TEST_P(BothDrivers, LosesNoFrameAndNoBuffer) {
  start({.kind = GetParam()});
  constexpr uint32_t total = 20000;
  uint32_t next = 0;
  for (uint32_t sent = 0; sent < total; sent += 100) {
    for (uint32_t i = sent; i < sent + 100; ++i) {
      far_side->send(numbered_frame(i, 200));
    }
    while (next < sent + 100) {
      const Frame frame = port_gets();
      ASSERT_FALSE(frame.empty()) << "after " << next;
      ASSERT_EQ(number_of(frame), next++);
      port_sends(frame);
    }
    for (uint32_t i = sent; i < sent + 100; ++i) {
      ASSERT_EQ(number_of(far_side->receive()), i);
    }
  }
  EXPECT_EQ(port->stats().rx_no_mbuf, 0U);
  EXPECT_EQ(port->stats().tx_errors, 0U);
}

// A veth pair filters nothing, so that frames come anyway; without filters of its own the device is
// promiscuous for as long as somebody asks, which shows that the kernel was asked.
TEST_P(BothDrivers, ReceivesVirtualMacsForAsLongAsTheyAreWanted) {
  start({.kind = GetParam()});
  const auto promiscuity = [&] {
    const std::string link = gate.sh("ip -d link show net0");
    return std::stoi(link.substr(link.find("promiscuity ") + 12));
  };
  const int before = promiscuity();
  const net::MacAddress mac = net::virtual_mac(net::Family::ipv4, 51);
  ASSERT_TRUE(port->add_mac(mac));
  EXPECT_EQ(promiscuity(), before + 1);
  Frame frame = numbered_frame(7);
  memcpy(frame.data(), mac.bytes.data(), mac.bytes.size());
  far_side->send(frame);
  EXPECT_EQ(number_of(port_gets()), 7U);
  port->remove_mac(mac);
  EXPECT_EQ(promiscuity(), before);
}

TEST_P(BothDrivers, NamesAnInterfaceThatIsNotThere) {
  const auto opened = Port::open({.name = "wan", .kind = GetParam(), .device = "nonesuch0"});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().text(),
            "port wan (nonesuch0): there is no such interface: `ip link` lists those of this "
            "network namespace");
}

INSTANTIATE_TEST_SUITE_P(Ports, BothDrivers, testing::Values(PortKind::af_packet, PortKind::af_xdp),
                         [](const auto& of) {
                           return of.param == PortKind::af_packet ? "AfPacket" : "AfXdp";
                         });

class AfPacket : public Veth {};
INSTANTIATE_TEST_SUITE_P(Ports, AfPacket, testing::Values(PortKind::af_packet));

TEST_P(AfPacket, SpreadsFlowsOverTwoQueuesAndKeepsEachOnOne) {
  start({.kind = PortKind::af_packet}, 2);
  ASSERT_EQ(plan.ports[0].rx_queues, 2);
  std::map<char, std::set<uint16_t>> queues_of_flow;
  std::set<uint16_t> queues;
  for (int round = 0; round < 3; ++round) {
    for (char flow = 0; flow < 64; ++flow) {
      far_side->send(numbered_frame(static_cast<uint32_t>(flow), 100, flow));
    }
    int received = 0;
    eventually([&] {
      for (uint16_t queue = 0; queue < 2; ++queue) {
        rte_mbuf* mbuf = nullptr;
        while (rte_eth_rx_burst(port->id(), queue, &mbuf, 1) == 1) {
          queues_of_flow[*rte_pktmbuf_mtod_offset(mbuf, char*, 35)].insert(queue);
          queues.insert(queue);
          rte_pktmbuf_free(mbuf);
          ++received;
        }
      }
      return received == 64;
    });
    EXPECT_EQ(received, 64);
  }
  EXPECT_EQ(queues.size(), 2U);
  EXPECT_EQ(queues_of_flow.size(), 64U);
  for (const auto& [flow, of_flow] : queues_of_flow) {
    EXPECT_EQ(of_flow.size(), 1U) << static_cast<int>(flow);
  }
}

TEST_P(AfPacket, GetsFragmentsAsTheyCame) {
  start({.kind = PortKind::af_packet}, 2);
  EXPECT_TRUE(port->notes().empty());
  for (const int socket : packet_sockets(static_cast<int>(if_nametoindex("net0")))) {
    EXPECT_FALSE(reassembles_fragments(socket));
  }
  Frame first = numbered_frame(1, 14 + 20 + 800);
  first[16] = '\x03';  // total length 820
  first[17] = '\x34';
  first[20] = '\x20';  // more fragments
  Frame second = first;
  second[20] = '\0';
  second[21] = '\x64';  // offset 800
  const auto seal = [](Frame& frame) {
    uint32_t sum = 0;
    frame[24] = frame[25] = 0;
    for (size_t i = 14; i < 34; i += 2) {
      sum += static_cast<uint32_t>(static_cast<uint8_t>(frame[i]) << 8 |
                                   static_cast<uint8_t>(frame[i + 1]));
    }
    sum = (sum & 0xffff) + (sum >> 16);
    frame[24] = static_cast<char>(~sum >> 8);
    frame[25] = static_cast<char>(~sum);
  };
  seal(first);
  seal(second);
  far_side->send(first);
  far_side->send(second);
  std::vector<Frame> received;
  eventually([&] {
    for (uint16_t queue = 0; queue < 2; ++queue) {
      if (Frame frame = port_gets(queue, 1); !frame.empty()) received.push_back(std::move(frame));
    }
    return received.size() == 2;
  });
  ASSERT_EQ(received.size(), 2U);
  EXPECT_EQ(received[0], first);
  EXPECT_EQ(received[1], second);
}

TEST_P(AfPacket, DoesNotHearWhatTheKernelSendsOnTheDevice) {
  start({.kind = PortKind::af_packet});
  const RawSocket kernel(gate, "net0");
  kernel.send(numbered_frame(7));
  EXPECT_EQ(far_side->receive(), numbered_frame(7));  // it did go out
  EXPECT_EQ(port_gets(0, 100), "");
}

TEST_P(AfPacket, CarriesJumboFrames) {
  gate.sh("ip link set net0 mtu 9000");
  far.sh("ip link set far0 mtu 9000");
  start({.kind = PortKind::af_packet});
  EXPECT_EQ(port->mtu(), 9000);
  far_side->send(numbered_frame(1, 9014));
  EXPECT_EQ(port_gets(), numbered_frame(1, 9014));
  port_sends(numbered_frame(2, 9014));
  EXPECT_EQ(far_side->receive(), numbered_frame(2, 9014));
}

TEST_P(AfPacket, CountsFramesThatFoundNoRoom) {
  start({.kind = PortKind::af_packet, .rx_descriptors = 64});
  for (uint32_t i = 0; i < 200; ++i) {
    far_side->send(numbered_frame(i));
  }
  EXPECT_EQ(port->stats().rx_missed, 136U);
  EXPECT_EQ(port->stats().rx_missed, 136U);  // asking does not reset it
}

TEST_P(AfPacket, CanBeClosedAndOpenedAgainWithoutLeaks) {
  start({.kind = GetParam()});
  far_side->send(numbered_frame(1));
  EXPECT_FALSE(port_gets().empty());
  far_side.reset();
  port.reset();
  pool.reset();
  const size_t before = open_descriptors();
  start({.kind = GetParam()});
  far_side->send(numbered_frame(2));
  EXPECT_EQ(port_gets(), numbered_frame(2));
  far_side.reset();
  port.reset();
  pool.reset();
  EXPECT_EQ(open_descriptors(), before);
  // Opened, but never started.
  auto opened = Port::open({.name = "wan", .kind = GetParam(), .device = "net0"});
  ASSERT_TRUE(opened) << opened.error().text();
  opened->reset();
  EXPECT_EQ(open_descriptors(), before);
}

class AfXdp : public Veth {};
INSTANTIATE_TEST_SUITE_P(Ports, AfXdp, testing::Values(PortKind::af_xdp));

TEST_P(AfXdp, HasOneQueueOnAVethPair) {
  start({.kind = PortKind::af_xdp}, 2);
  EXPECT_EQ(port->limits().rx_queues, 1);
  EXPECT_EQ(plan.ports[0].workers[1].tx_owner, 0);
  EXPECT_EQ(plan.notes.size(), 2U);
}

// (The driver of DPDK 22.11 keeps the socket until the process ends.)
TEST_P(AfXdp, TakesItsProgramOffTheDeviceWhenItIsClosed) {
  start({.kind = PortKind::af_xdp});
  EXPECT_NE(gate.sh("ip link show dev net0").find("xdp"), std::string::npos);
  port.reset();
  EXPECT_EQ(gate.sh("ip link show dev net0").find("xdp"), std::string::npos);
}

TEST_P(AfXdp, RefusesAnMtuAboveAPage) {
  const auto opened =
      Port::open({.name = "wan", .kind = PortKind::af_xdp, .device = "net0", .mtu = 9000});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("driver: af_packet"), std::string::npos);
}

TEST_P(AfXdp, CarriesTheLargestMtuItTakes) {
  gate.sh("ip link set net0 mtu 3400");
  far.sh("ip link set far0 mtu 3400");
  start({.kind = PortKind::af_xdp});
  far_side->send(numbered_frame(1, 3414));
  EXPECT_EQ(port_gets(), numbered_frame(1, 3414));
  port_sends(numbered_frame(2, 3414));
  EXPECT_EQ(far_side->receive(), numbered_frame(2, 3414));
}

TEST(RawVdev, IsOpenedByItsArguments) {
  need_eal();
  auto null = Port::open({.name = "test", .kind = PortKind::vdev, .device = "net_null0,size=64"});
  ASSERT_TRUE(null) << null.error().text();
  const PortLimits limits[] = {(*null)->limits()};
  auto pool = make_pool({.name = "raw", .mbufs = 4095, .buffer_size = (*null)->buffer_size()});
  ASSERT_TRUE(pool) << pool.error().text();
  const auto started = (*null)->start(plan_queues(1, limits).ports[0], pool->get());
  ASSERT_TRUE(started) << started.error().text();
  rte_mbuf* mbuf = nullptr;
  ASSERT_EQ(rte_eth_rx_burst((*null)->id(), 0, &mbuf, 1), 1);
  EXPECT_EQ(mbuf->data_len, 64);
  rte_pktmbuf_free(mbuf);
  null->reset();
  EXPECT_EQ(rte_mempool_avail_count(pool->get()), 4095U);
}

// Opens a vdev, starts it with one queue and closes it again.
std::unique_ptr<Port> started_vdev(const std::string& arguments, Pool& pool) {
  auto opened = Port::open({.name = "test", .kind = PortKind::vdev, .device = arguments});
  EXPECT_TRUE(opened) << opened.error().text();
  if (!opened) return nullptr;
  const PortLimits limits[] = {(*opened)->limits()};
  auto made = make_pool({.name = "raw " + arguments.substr(0, arguments.find(',')),
                         .mbufs = 4095,
                         .buffer_size = (*opened)->buffer_size()});
  EXPECT_TRUE(made) << made.error().text();
  pool = std::move(*made);
  const auto started = (*opened)->start(plan_queues(1, limits).ports[0], pool.get());
  EXPECT_TRUE(started) << started.error().text();
  return std::move(*opened);
}

rte_mbuf* frame_of(Pool& pool, uint16_t bytes) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool.get());
  if (mbuf != nullptr) std::memset(rte_pktmbuf_append(mbuf, bytes), 0x5a, bytes);
  return mbuf;
}

TEST(RawVdev, ARingGivesBackWhatItGotAndHasAMacOfItsOwn) {
  need_eal();
  Pool pool;
  const auto port = started_vdev("net_ring0", pool);
  ASSERT_TRUE(port);
  EXPECT_FALSE(port->mac().is_zero());
  EXPECT_FALSE(port->mac().is_multicast());
  rte_mbuf* mbuf = frame_of(pool, 70);
  ASSERT_EQ(rte_eth_tx_burst(port->id(), 0, &mbuf, 1), 1);
  rte_mbuf* back = nullptr;
  ASSERT_EQ(rte_eth_rx_burst(port->id(), 0, &back, 1), 1);
  EXPECT_EQ(back, mbuf);
  rte_pktmbuf_free(back);
}

TEST(RawVdev, APcapFileTakesWhatIsSent) {
  need_eal();
  const std::string file = testing::TempDir() + "/headgate-" + std::to_string(getpid()) + ".pcap";
  Pool pool;
  {
    const auto port = started_vdev("net_pcap0,tx_pcap=" + file, pool);
    ASSERT_TRUE(port);
    rte_mbuf* mbuf = frame_of(pool, 70);
    ASSERT_EQ(rte_eth_tx_burst(port->id(), 0, &mbuf, 1), 1);
  }
  // The file's header of 24 bytes, the frame's of 16, and the frame (pcap-savefile(5)).
  EXPECT_EQ(std::filesystem::file_size(file), 24U + 16 + 70);
  std::filesystem::remove(file);
}

// Sends until a frame gets through: the two ends agree on the connection in the background.
bool passes_frames(const Port& from, const Port& to, Pool& pool) {
  return eventually([&] {
    rte_mbuf* mbuf = frame_of(pool, 70);
    if (rte_eth_tx_burst(from.id(), 0, &mbuf, 1) == 0) rte_pktmbuf_free(mbuf);
    rte_mbuf* got = nullptr;
    if (rte_eth_rx_burst(to.id(), 0, &got, 1) == 0) return false;
    const bool whole = got->pkt_len == 70;
    rte_pktmbuf_free(got);
    return whole;
  });
}

// Both ends of a cable that is shared memory.
void expect_a_cable(const std::string& one_end, const std::string& other_end) {
  need_eal();
  Pool pool;
  Pool other_pool;
  const auto port = started_vdev(one_end, pool);
  ASSERT_TRUE(port);
  const auto other = started_vdev(other_end, other_pool);
  ASSERT_TRUE(other);
  EXPECT_TRUE(passes_frames(*port, *other, pool));
  EXPECT_TRUE(passes_frames(*other, *port, other_pool));
}

std::string socket_path() {
  return testing::TempDir() + "/headgate-" + std::to_string(getpid());
}

TEST(RawVdev, MemifConnectsTwoPorts) {
  const std::string socket = ",socket-abstract=no,socket=" + socket_path() + ".memif";
  expect_a_cable("net_memif0,role=server" + socket, "net_memif1,role=client" + socket);
}

TEST(RawVdev, VirtioUserConnectsToVhostUser) {
  const std::string socket = socket_path() + ".vhost";
  expect_a_cable("net_vhost0,iface=" + socket, "net_virtio_user0,path=" + socket);
}

TEST(RawVdev, UnknownOnesAreAnError) {
  need_eal();
  const auto opened =
      Port::open({.name = "test", .kind = PortKind::vdev, .device = "net_nonesuch0"});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("port test (net_nonesuch0): cannot be opened"),
            std::string::npos);
}

}  // namespace
}  // namespace headgate::dataplane
