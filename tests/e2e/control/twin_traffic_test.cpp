// The host behind a twin, spoken to over the wire: port, exception thread and TAP together, with a
// worker that hands everything to the kernel. The device beneath must not answer as well.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <spawn.h>
#include <thread>
#include <unistd.h>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "control/device_beneath.h"
#include "control/twin_network.h"
#include "dataplane/eal.h"
#include "dataplane/exception.h"
#include "dataplane/port.h"
#include "dataplane/twin.h"
#include "tests/e2e/namespaces.h"
#include "tests/e2e/raw_socket.h"

namespace headgate::control {
namespace {

using dataplane::Port;
using dataplane::PortKind;
using dataplane::Tap;
using test::eventually;
using test::Frame;
using test::Inside;
using test::NetNamespace;
using test::RawSocket;

void need_eal() {
  static const dataplane::Eal eal = [] {
    dataplane::EalOptions options;
    options.program = "twin_traffic_test";
    options.huge_pages = dataplane::HugePages::none;
    options.memory_mb = 200;
    options.log_level = dataplane::EalLogLevel::error;
    auto started = dataplane::Eal::start(options);
    if (!started) {
      fprintf(stderr, "%s\n", started.error().text().c_str());
      abort();
    }
    return std::move(*started);
  }();
}

// A worker without a packet path: what comes goes to the kernel, what the kernel sends goes out.
class Worker {
 public:
  Worker(uint16_t port, const dataplane::ExceptionRings& rings)
      : thread_([this, port, rings] { run(port, rings); }) {}
  ~Worker() {
    stop_ = true;
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  void run(uint16_t port, const dataplane::ExceptionRings& rings) {
    const auto registered = dataplane::RegisteredThread::enter("worker", std::nullopt);
    if (!registered) abort();
    rte_mbuf* mbufs[32];
    while (!stop_) {
      const uint16_t received = rte_eth_rx_burst(port, 0, mbufs, 32);
      for (uint16_t i = 0; i < received; ++i) {
        if (rte_ring_sp_enqueue(rings.to_twin[0], mbufs[i]) != 0) rte_pktmbuf_free(mbufs[i]);
      }
      const unsigned count =
          rte_ring_sc_dequeue_burst(rings.from_twin, reinterpret_cast<void**>(mbufs), 32, nullptr);
      const uint16_t sent = rte_eth_tx_burst(port, 0, mbufs, static_cast<uint16_t>(count));
      rte_pktmbuf_free_bulk(mbufs + sent, count - sent);
      if (received + count == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Twin : public testing::TestWithParam<PortKind> {
 protected:
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
    need_eal();
    std::string pattern = "/tmp/ports-twin-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    inside = std::make_unique<Inside>(gate.fd());
    gate.sh("ip link add net0 address 02:00:00:00:00:01 type veth peer name far0 netns " +
            far.path());
    gate.sh("ip link set net0 up");
    far.sh(
        "ip link set far0 up; ethtool -K far0 tx off tso off gso off; "
        "ip address add 192.0.2.2/24 dev far0; ip address add 2001:db8::2/64 dev far0 nodad");
    // A second address range in VLAN 100, by hand: this kernel may be without 802.1Q.
    tagged = std::make_unique<RawSocket>(far, "far0");
  }
  void TearDown() override {
    stop();
    tagged.reset();
    inside.reset();
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }

  void protect() {
    BeneathOptions options{.interface = "net0", .state_dir = directory};
    if (GetParam() == PortKind::af_xdp) options.af_xdp_queues = 1;
    auto protected_device = DeviceBeneath::protect(options);
    ASSERT_TRUE(protected_device) << protected_device.error().text;
    beneath.emplace(std::move(*protected_device));
  }

  void start() {
    auto opened = Port::open({.name = "wan", .kind = GetParam(), .device = "net0"});
    ASSERT_TRUE(opened) << opened.error().text();
    port = std::move(*opened);
    const dataplane::PortLimits limits[] = {port->limits()};
    const dataplane::PortQueues queues = dataplane::plan_queues(1, limits).ports[0];
    const dataplane::PoolDemand demand[] = {port->demand(queues)};
    auto made = dataplane::make_pool({.name = "wan",
                                      .mbufs = dataplane::mbufs_needed(demand, 1),
                                      .buffer_size = port->buffer_size()});
    ASSERT_TRUE(made) << made.error().text();
    pool = std::move(*made);
    auto started = port->start(queues, pool.get());
    ASSERT_TRUE(started) << started.error().text();
    make_twins();
    auto made_rings = dataplane::make_exception_rings(0, 0);
    ASSERT_TRUE(made_rings) << made_rings.error().text();
    rings = std::move(*made_rings);
    dataplane::ExceptionOptions options;
    options.twins = {{.port = port->id(), .fd = twin->fd()},
                     {.port = port->id(), .vlan = 100, .fd = vlan->fd()}};
    options.workers = {*rings};
    options.pool = pool.get();
    auto thread = dataplane::ExceptionThread::start(std::move(options));
    ASSERT_TRUE(thread) << thread.error().text();
    exception.emplace(std::move(*thread));
    worker.emplace(port->id(), *rings);
  }
  void make_twins() {
    auto tap = Tap::create({.name = "wan", .mac = port->mac(), .mtu = port->mtu()});
    ASSERT_TRUE(tap) << tap.error().text();
    twin.emplace(std::move(*tap));
    auto second = Tap::create({.name = "wan.100", .mac = port->mac(), .mtu = port->mtu()});
    ASSERT_TRUE(second) << second.error().text();
    vlan.emplace(std::move(*second));
    auto opened = TwinNetwork::open();
    ASSERT_TRUE(opened);
    const auto errors = opened->apply(
        {{.kernel_index = twin->interface_index(),
          .name = "wan",
          .addresses = {*net::parse_prefix("192.0.2.1/24"), *net::parse_prefix("2001:db8::1/64")},
          .routes = {}},
         {.kernel_index = vlan->interface_index(),
          .name = "wan.100",
          .addresses = {*net::parse_prefix("198.51.100.1/24")},
          .routes = {}}});
    ASSERT_TRUE(errors.empty()) << errors.front().text;
  }
  void stop() {
    worker.reset();
    exception.reset();
    rings.reset();
    twin.reset();
    vlan.reset();
    port.reset();
    pool.reset();
    beneath.reset();
  }

  // Frames of a kind that come to the far end until nothing comes for 200 ms.
  int count_at_far_end(const std::function<bool(const Frame&)>& kind) {
    int count = 0;
    for (Frame frame = tagged->receive(300); !frame.empty(); frame = tagged->receive(200)) {
      if (kind(frame)) ++count;
    }
    return count;
  }

  NetNamespace gate;
  NetNamespace far;
  std::string directory;
  std::unique_ptr<Inside> inside;
  std::unique_ptr<RawSocket> tagged;
  std::optional<DeviceBeneath> beneath;
  dataplane::Pool pool;
  std::unique_ptr<Port> port;
  std::optional<Tap> twin;
  std::optional<Tap> vlan;
  dataplane::ExceptionRingsPtr rings;
  std::optional<dataplane::ExceptionThread> exception;
  std::optional<Worker> worker;
};

bool is_arp_reply(const Frame& frame) {
  return frame.size() >= 42 && frame.substr(12, 2) == Frame("\x08\x06", 2) && frame[21] == 2;
}

bool is_syn_ack(const Frame& frame) {
  return frame.size() >= 54 && frame.substr(12, 2) == Frame("\x08\x00", 2) && frame[23] == 6 &&
         (frame[47] & 0x12) == 0x12;
}

int listen_at(const NetNamespace& space, const sockaddr* address, socklen_t length) {
  const Inside in(space.fd());
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  EXPECT_EQ(bind(fd, address, length), 0) << strerror(errno);
  EXPECT_EQ(listen(fd, 5), 0);
  return fd;
}

// Connects from the far end, sends 300 kB and takes them back; false when anything goes wrong.
bool echo_works(const NetNamespace& far, int listener, const sockaddr* address, socklen_t length) {
  const Inside in(far.fd());
  const int client = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  bool good = connect(client, address, length) == 0;
  int server = -1;
  if (good) good = eventually([&] { return (server = accept(listener, nullptr, nullptr)) >= 0; });
  if (good) {
    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    const std::string block(300'000, 'e');
    std::string copy(block.size(), '\0');
    std::thread sender([&] { send(client, block.data(), block.size(), MSG_NOSIGNAL); });
    good =
        recv(server, copy.data(), copy.size(), MSG_WAITALL) == static_cast<ssize_t>(block.size()) &&
        copy == block;
    sender.join();
    std::thread back([&] { send(server, block.data(), block.size(), MSG_NOSIGNAL); });
    good =
        good &&
        recv(client, copy.data(), copy.size(), MSG_WAITALL) == static_cast<ssize_t>(block.size()) &&
        copy == block;
    back.join();
  }
  if (server >= 0) close(server);
  close(client);
  return good;
}

sockaddr_in v4_endpoint(const char* address, uint16_t port) {
  sockaddr_in endpoint{};
  endpoint.sin_family = AF_INET;
  endpoint.sin_port = htons(port);
  inet_pton(AF_INET, address, &endpoint.sin_addr);
  return endpoint;
}

TEST_P(Twin, AnswersEachRequestOnce) {
  protect();
  start();
  far.sh("ip neigh replace 192.0.2.1 dev far0 use");
  EXPECT_EQ(count_at_far_end(is_arp_reply), 1);

  const sockaddr_in endpoint = v4_endpoint("192.0.2.1", 8080);
  const int listener =
      listen_at(gate, reinterpret_cast<const sockaddr*>(&endpoint), sizeof(endpoint));
  {
    const Inside in(far.fd());
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&endpoint), sizeof(endpoint)), 0);
    EXPECT_EQ(count_at_far_end(is_syn_ack), 1);
    close(client);
  }
  close(listener);
}

TEST_P(Twin, CarriesTcpOfBothFamilies) {
  protect();
  start();
  const sockaddr_in v4 = v4_endpoint("192.0.2.1", 8081);
  int listener = listen_at(gate, reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
  EXPECT_TRUE(echo_works(far, listener, reinterpret_cast<const sockaddr*>(&v4), sizeof(v4)));
  close(listener);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(8082);
  inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
  listener = listen_at(gate, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
  EXPECT_TRUE(echo_works(far, listener, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6)));
  close(listener);
  const dataplane::TwinCounters& counters = exception->counters()[0];
  EXPECT_GT(counters.to_kernel[0], 100U);
  EXPECT_GT(counters.from_kernel, 100U);
}

TEST_P(Twin, AVlanHasItsOwnInterface) {
  protect();
  start();
  // ARP in VLAN 100: who has 198.51.100.1?
  Frame request("\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x77\x81\0\0\x64\x08\x06", 18);
  request += Frame("\0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x77\xc6\x33\x64\x02", 18);
  request += Frame("\0\0\0\0\0\0\xc6\x33\x64\x01", 10);
  request.resize(64, '\0');
  tagged->send(request);
  const auto is_tagged_reply = [](const Frame& frame) {
    return frame.size() >= 46 && frame.substr(12, 6) == Frame("\x81\0\0\x64\x08\x06", 6) &&
           frame[25] == 2 && frame.substr(22 + 4, 6) == Frame("\x02\0\0\0\0\x01", 6);
  };
  EXPECT_EQ(count_at_far_end(is_tagged_reply), 1);
  EXPECT_EQ(exception->counters()[1].to_kernel[0], 1U);
}

TEST_P(Twin, EndsWithTheProcessAndGivesTheDeviceBack) {
  protect();
  start();
  stop();
  const std::string links = gate.sh("ip link");
  EXPECT_EQ(links.find("wan"), std::string::npos);
  EXPECT_EQ(gate.sh("ip -d link show net0").find("xdp"), std::string::npos);
  gate.sh("ip address add 192.0.2.1/24 dev net0");
  far.sh("ip neigh flush dev far0; ip neigh replace 192.0.2.1 dev far0 use");
  EXPECT_EQ(count_at_far_end(is_arp_reply), 1);  // the kernel has it again
}

TEST_P(Twin, NamesAnInterfaceThatIsThereAlready) {
  gate.sh("ip link add wan type veth peer name other0");
  const auto tap = Tap::create({.name = "wan"});
  ASSERT_FALSE(tap);
  EXPECT_NE(tap.error().text().find("twin wan: cannot be made"), std::string::npos);
  EXPECT_NE(tap.error().text().find("twin.name chooses another"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Ports, Twin, testing::Values(PortKind::af_packet, PortKind::af_xdp),
                         [](const auto& of) {
                           return of.param == PortKind::af_packet ? "AfPacket" : "AfXdp";
                         });

// What the tests above would miss without the device's protection.
class Unprotected : public Twin {};
INSTANTIATE_TEST_SUITE_P(Ports, Unprotected, testing::Values(PortKind::af_packet));

TEST_P(Unprotected, TheKernelBeneathAnswersAsWell) {
  start();
  far.sh("ip neigh replace 192.0.2.1 dev far0 use");
  EXPECT_EQ(count_at_far_end(is_arp_reply), 2);
}

// ---- killed ---------------------------------------------------------------------------------

constexpr const char* child_namespace = "HEADGATE_TEST_NAMESPACE";
constexpr const char* child_kind = "HEADGATE_TEST_KIND";
constexpr const char* child_directory = "HEADGATE_TEST_DIRECTORY";

// The process that the test below starts and that gets killed; returns only when something fails.
int open_a_port_and_be_killed() {
  const int space = open(getenv(child_namespace), O_RDONLY | O_CLOEXEC);
  if (setns(space, CLONE_NEWNET) != 0) return 2;
  need_eal();
  const auto kind = static_cast<PortKind>(atoi(getenv(child_kind)));
  BeneathOptions options{.interface = "net0", .state_dir = getenv(child_directory)};
  if (kind == PortKind::af_xdp) options.af_xdp_queues = 1;
  const auto beneath = DeviceBeneath::protect(options);
  if (!beneath) return 3;
  auto port = Port::open({.name = "wan", .kind = kind, .device = "net0"});
  if (!port) return 4;
  const dataplane::PortLimits limits[] = {(*port)->limits()};
  const auto pool = dataplane::make_pool({.name = "wan", .mbufs = 16383});
  if (!pool || !(*port)->start(dataplane::plan_queues(1, limits).ports[0], pool->get())) return 5;
  const auto tap = Tap::create({.name = "wan", .mac = (*port)->mac()});
  if (!tap) return 6;
  raise(SIGKILL);
  return 7;
}

class Killed : public Twin {};
INSTANTIATE_TEST_SUITE_P(Ports, Killed, testing::Values(PortKind::af_packet, PortKind::af_xdp),
                         [](const auto& of) {
                           return of.param == PortKind::af_packet ? "AfPacket" : "AfXdp";
                         });

TEST_P(Killed, LeavesNothingThatHindersTheNextStart) {
  const std::string variables[] = {
      std::string(child_namespace) + "=" + gate.path(),
      std::string(child_kind) + "=" + std::to_string(static_cast<int>(GetParam())),
      std::string(child_directory) + "=" + directory, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  char* environment[] = {
      const_cast<char*>(variables[0].c_str()), const_cast<char*>(variables[1].c_str()),
      const_cast<char*>(variables[2].c_str()), const_cast<char*>(variables[3].c_str()), nullptr};
  char self[] = "/proc/self/exe";
  char* arguments[] = {self, nullptr};
  pid_t child = 0;
  ASSERT_EQ(posix_spawn(&child, self, nullptr, nullptr, arguments, environment), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;

  EXPECT_EQ(recover_devices(directory).size(), 1U);
  EXPECT_EQ(gate.sh("ip -d link show net0").find("xdp"), std::string::npos);
  EXPECT_EQ(gate.sh("ip link").find("wan"), std::string::npos);
  protect();
  start();
  far.sh("ip neigh replace 192.0.2.1 dev far0 use");
  EXPECT_EQ(count_at_far_end(is_arp_reply), 1);
}

}  // namespace
}  // namespace headgate::control

int main(int argc, char** argv) {
  if (getenv(headgate::control::child_namespace) != nullptr) {
    return headgate::control::open_a_port_and_be_killed();
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
