// Health checks through the data path, all of it but the checks: ports, workers, twins and the way
// to probe addresses as the daemon makes them, and a real server behind, that holds VIPs for DR and
// unwraps tunnels.
#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <spawn.h>
#include <thread>
#include <unistd.h>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "config/reader.h"
#include "control/health/probe_addresses.h"
#include "control/health/probe_route.h"
#include "control/netlink.h"
#include "control/region_memory.h"
#include "control/state.h"
#include "control/worker_set.h"
#include "tests/e2e/namespaces.h"
#include "tests/e2e/raw_socket.h"

namespace headgate::control {
namespace {

using dataplane::ProbeCount;
using test::eventually;
using test::Inside;
using test::NetNamespace;
using test::RawSocket;

constexpr const char* server_mac = "02:00:00:00:00:11";
constexpr uint16_t open_port = 80;
constexpr uint16_t closed_port = 81;
constexpr size_t page_bytes = 200'000;

net::IpAddress ip(std::string_view text) {
  return net::parse_ip(text).value();
}
const char* server_of(bool v6) {
  return v6 ? "fd00:1::11" : "10.1.0.11";
}
const char* vip_of(config::Mode mode, bool v6) {
  if (mode == config::Mode::dr) return v6 ? "2001:db8::1" : "192.0.2.1";
  return v6 ? "2001:db8::2" : "192.0.2.2";
}

sockaddr_storage endpoint(const net::IpAddress& address, uint16_t port) {
  sockaddr_storage storage{};
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    memcpy(&v4.sin_addr, address.bytes.data(), 4);
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    memcpy(&v6.sin6_addr, address.bytes.data(), 16);
  }
  return storage;
}
socklen_t length_of(const sockaddr_storage& storage) {
  return storage.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}
const sockaddr* plain(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr*>(&storage);
}

// Serves a page over TCP and echoes over UDP at all VIPs, held or not.
class Server {
 public:
  explicit Server(const NetNamespace& space) {
    const Inside inside(space.fd());
    for (const auto mode : {config::Mode::dr, config::Mode::ipip}) {
      for (const bool v6 : {false, true}) {
        listen_at(ip(vip_of(mode, v6)), SOCK_STREAM);
        listen_at(ip(vip_of(mode, v6)), SOCK_DGRAM);
      }
    }
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    stop_ = true;
    thread_.join();
    for (const pollfd& each : sockets_)
      close(each.fd);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  void listen_at(const net::IpAddress& address, int type) {
    const sockaddr_storage at = endpoint(address, open_port);
    const int fd = socket(at.ss_family, type | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, at.ss_family == AF_INET ? SOL_IP : SOL_IPV6,
               at.ss_family == AF_INET ? IP_FREEBIND : IPV6_FREEBIND, &on, sizeof(on));
    ASSERT_EQ(bind(fd, plain(at), length_of(at)), 0) << strerror(errno);
    if (type == SOCK_STREAM) {
      ASSERT_EQ(listen(fd, 16), 0);
    }
    sockets_.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  void run() {
    const std::string page(page_bytes, 'p');
    while (!stop_) {
      if (poll(sockets_.data(), sockets_.size(), 20) <= 0) continue;
      for (const pollfd& each : sockets_) {
        if ((each.revents & POLLIN) == 0) continue;
        std::array<char, 64> bytes{};
        sockaddr_storage from{};
        socklen_t length = sizeof(from);
        const ssize_t got = recvfrom(each.fd, bytes.data(), bytes.size(), MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&from), &length);
        if (got >= 0) {
          sendto(each.fd, bytes.data(), static_cast<size_t>(got), 0, plain(from), length);
          continue;
        }
        const int client = accept(each.fd, nullptr, nullptr);
        send(client, page.data(), page.size(), MSG_NOSIGNAL);
        close(client);
      }
    }
  }
  std::vector<pollfd> sockets_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// tools/ipip_decap on the server.
class Decapsulator {
 public:
  explicit Decapsulator(const NetNamespace& space) {
    const Inside inside(space.fd());
    std::vector<std::string> words = {"timeout", "300", HEADGATE_IPIP_DECAP};
    for (const bool v6 : {false, true}) {
      words.insert(words.end(), {"--vip", vip_of(config::Mode::ipip, v6), "--director",
                                 v6 ? "fd00:1::1" : "10.1.0.1"});
    }
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    EXPECT_EQ(posix_spawnp(&process_, "timeout", nullptr, nullptr, arguments.data(), environ), 0);
    EXPECT_TRUE(eventually([&] {
      return space.sh("ip link show hgdecap0", true).find("LOWER_UP") != std::string::npos;
    }));
  }
  ~Decapsulator() {
    kill(process_, SIGTERM);
    waitpid(process_, nullptr, 0);
  }
  Decapsulator(const Decapsulator&) = delete;
  Decapsulator& operator=(const Decapsulator&) = delete;

 private:
  pid_t process_ = 0;
};

// The daemon's parts, put together in its order. One for all tests: DPDK starts once.
class Plane {
 public:
  Plane() : inside_(gate.fd()) {
    gate.sh("ip link add net0 address 02:00:00:00:00:01 type veth peer name srv0 address " +
            std::string(server_mac) + " netns " + server.path());
    gate.sh("ip link set net0 up");
    // An ARP request from a VIP would be one from the twin's own address where the twin holds it.
    server.sh(
        "ip link set srv0 up; ethtool -K srv0 tx off tso off gso off; "
        "echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce; "
        "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; "
        "ip address add 10.1.0.11/24 dev srv0; ip address add fd00:1::11/64 dev srv0 nodad");
    for (const auto mode : {config::Mode::dr, config::Mode::ipip}) {
      for (const bool v6 : {false, true})
        server.sh(fmt::format("ip address add {} dev lo", vip_of(mode, v6)));
    }
    std::string pattern = "/tmp/probe-traffic-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    start();
  }
  ~Plane() {
    route_.reset();
    workers.reset();
    mirror_.reset();
    network_.reset();
    state.reset();
    connections_.reset();
    grace_.reset();
    region_.reset();
    ports_.reset();
    std::filesystem::remove_all(directory_);
  }
  Plane(const Plane&) = delete;
  Plane& operator=(const Plane&) = delete;

  // Sends the workers the kernel's state as it is.
  void follow_kernel() {
    mirror_ = must(KernelMirror::open(ports_->kernel_indexes()));
    SnapshotChange change;
    change.config = &config;
    change.settings = true;
    change.all_services = true;
    change.kernel = &mirror_->state();
    change.kernel_parts = {.links = true, .routes = true, .neighbours = true};
    change.now = workers ? workers->now() : dataplane::first_tick;
    visible(must(state->builder.apply(change)));
  }
  void own(Ownership ownership) {
    visible(must(state->builder.set_ownership(std::move(ownership))));
  }
  // The probe address of the only backend.
  net::IpAddress probe_of(const config::Service& service) {
    return must(addresses_.use(config::key_of(service), config::key_of(service.backends.front()),
                               ProbeAddresses::Clock::now()));
  }
  const config::Service& service(config::Mode mode, bool v6, uint16_t port,
                                 config::Protocol protocol = config::Protocol::tcp) {
    for (const config::Service& each : config.services) {
      if (each.mode == mode && each.address == ip(vip_of(mode, v6)) && each.port == port &&
          each.protocol == protocol) {
        return each;
      }
    }
    abort();
  }
  uint64_t counted(ProbeCount what) const {
    return (*workers->probe_counters())[static_cast<size_t>(what)].load();
  }

  NetNamespace gate;
  NetNamespace server;
  config::Config config;
  std::unique_ptr<State> state;
  std::unique_ptr<WorkerSet> workers;

 private:
  template <typename T>
  static T must(std::expected<T, Error> result) {
    if (!result) {
      fprintf(stderr, "%s\n", result.error().text.c_str());
      abort();
    }
    return std::move(*result);
  }

  void visible(uint64_t generation) {
    if (!workers) return;
    ASSERT_TRUE(eventually([&] { return state->store.visible(generation); }));
    state->store.poll();
  }

  std::string yaml() const {
    std::string text = fmt::format(
        "daemon: {{run_dir: {}, file_prefix: probe-traffic-{}, idle: adaptive}}\n"
        "memory: {{huge_pages: none, max_services: 64, max_backends: 64}}\n"
        "connections: {{max_ipv4: 4096, max_ipv6: 4096}}\n"
        "ports:\n"
        "  - {{name: wan, interface: net0, driver: af_packet, queues: 1,\n"
        "     twin: {{addresses: [10.1.0.1/24, \"fd00:1::1/64\"]}}}}\n"
        "services:\n",
        directory_, getpid());
    for (const auto mode : {config::Mode::dr, config::Mode::ipip}) {
      for (const bool v6 : {false, true}) {
        for (const uint16_t port : {open_port, closed_port}) {
          for (const char* protocol : {"tcp", "udp"}) {
            text += fmt::format(
                "  - {{address: \"{}\", port: {}, protocol: {}, mode: {}, backends: [{{address: "
                "\"{}\"}}]}}\n",
                vip_of(mode, v6), port, protocol, mode == config::Mode::dr ? "dr" : "ipip",
                server_of(v6));
          }
        }
      }
    }
    return text;
  }

  void start() {
    auto reading = config::read_text(yaml(), "test.yaml");
    if (!reading) {
      fprintf(stderr, "%s\n", config::to_string(reading.error().front()).c_str());
      abort();
    }
    config = reading->config;
    ports_ = must(PortSet::open(config, 1));
    network_.emplace(must(TwinNetwork::open()));
    for (const Error& error : network_->apply(ports_->twin_network(config)))
      ADD_FAILURE() << error.text;
    for (const bool v6 : {false, true}) {
      gate.sh(fmt::format("ip neigh replace {} lladdr {} dev wan nud permanent", server_of(v6),
                          server_mac));
    }
    make_region();
    follow_kernel();
    WorkerSetOptions options;
    options.cores = {dataplane::usable_cores().back()};
    options.adaptive = true;
    workers = must(WorkerSet::create(region_->view(), *connections_, *grace_, *ports_, options));
    const auto started = workers->start();
    ASSERT_TRUE(started) << started.error().text;
    const ProbeNetworks networks = default_probe_networks();
    route_.emplace(must(
        ProbeRoute::install(ports_->kernel_indexes().front(), "wan", {networks.v4, networks.v6})));
    for (const config::Service& each : config.services)
      (void)probe_of(each);
    workers->set_probes(addresses_.table([this](const auto& service, const auto& backend) {
      return state->builder.backend_id(service, backend);
    }));
  }

  void make_region() {
    const dataplane::ConnTableLimits table{4096, 4096, 1, 1};
    region_.emplace(
        must(RegionMemory::create({.workers = 1,
                                   .max_services = 64,
                                   .max_backends = 64,
                                   .reserved = 0,
                                   .snapshot_bytes = 8U << 20,
                                   .connection_bytes = dataplane::ConnTable::bytes_needed(table)},
                                  RegionPages::plain)));
    grace_ = std::make_unique<dataplane::GracePeriod>(2);
    const dataplane::RegionArea area = region_->header().connections;
    auto connections =
        dataplane::ConnTable::create({region_->view().base() + area.offset, area.bytes}, table,
                                     dataplane::HashSeed{{1, 2, 3, 4, 5, 6, 7, 8}}, *grace_);
    ASSERT_TRUE(connections);
    connections_.emplace(std::move(*connections));
    state =
        std::make_unique<State>(region_->view(), *connections_, *grace_, 1, ports_->interfaces());
  }

  Inside inside_;
  std::string directory_;
  std::unique_ptr<PortSet> ports_;
  std::optional<TwinNetwork> network_;
  std::unique_ptr<KernelMirror> mirror_;
  std::optional<RegionMemory> region_;
  std::unique_ptr<dataplane::GracePeriod> grace_;
  std::optional<dataplane::ConnTable> connections_;
  ProbeAddresses addresses_;
  std::optional<ProbeRoute> route_;
};

class ProbeTraffic : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    if (!test::is_root()) return;
    plane = std::make_unique<Plane>();
    server = std::make_unique<Server>(plane->server);
    decapsulator = std::make_unique<Decapsulator>(plane->server);
  }
  static void TearDownTestSuite() {
    decapsulator.reset();
    server.reset();
    plane.reset();
  }
  void SetUp() override {
    if (!test::is_root()) GTEST_SKIP() << "needs root";
  }

  // A socket of the gate that asks for a page: "page", or what connect() or recv() says.
  static std::string ask(config::Mode mode, uint16_t service_port = open_port,
                         std::optional<uint16_t> port = std::nullopt, int patience_ms = 3000) {
    const net::IpAddress probe = plane->probe_of(plane->service(mode, GetParam(), service_port));
    return ask_at(probe, port.value_or(service_port), patience_ms);
  }
  static std::string ask_at(const net::IpAddress& probe, uint16_t port, int patience_ms = 3000) {
    const sockaddr_storage to = endpoint(probe, port);
    const int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000L};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));  // connect() as well
    std::string said;
    if (connect(fd, plain(to), length_of(to)) != 0) {
      said = errno == EINPROGRESS ? "silence" : strerrorname_np(errno);
    } else {
      std::string page(page_bytes, '\0');
      const ssize_t got = recv(fd, page.data(), page.size(), MSG_WAITALL);
      said = got == static_cast<ssize_t>(page_bytes) && page == std::string(page_bytes, 'p')
                 ? "page"
                 : fmt::format("{} bytes", got);
    }
    close(fd);
    return said;
  }
  static std::string ask_by_udp(config::Mode mode, uint16_t port) {
    const net::IpAddress probe =
        plane->probe_of(plane->service(mode, GetParam(), port, config::Protocol::udp));
    const sockaddr_storage to = endpoint(probe, port);
    const int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = 3, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    EXPECT_EQ(connect(fd, plain(to), length_of(to)), 0);
    EXPECT_EQ(send(fd, "hello", 5, 0), 5);
    std::string answer(64, '\0');
    const ssize_t got = recv(fd, answer.data(), answer.size(), 0);
    const std::string said =
        got >= 0 ? answer.substr(0, static_cast<size_t>(got)) : strerrorname_np(errno);
    close(fd);
    return said;
  }

  static std::unique_ptr<Plane> plane;
  static std::unique_ptr<Server> server;
  static std::unique_ptr<Decapsulator> decapsulator;
};
std::unique_ptr<Plane> ProbeTraffic::plane;
std::unique_ptr<Server> ProbeTraffic::server;
std::unique_ptr<Decapsulator> ProbeTraffic::decapsulator;

INSTANTIATE_TEST_SUITE_P(Families, ProbeTraffic, testing::Bool(),
                         [](const auto& of) { return of.param ? "IPv6" : "IPv4"; });

TEST_P(ProbeTraffic, AServerAnswersThroughDrAndThroughItsTunnel) {
  for (const auto mode : {config::Mode::dr, config::Mode::ipip}) {
    EXPECT_EQ(ask(mode), "page");
    EXPECT_EQ(ask_by_udp(mode, open_port), "hello");
  }
  EXPECT_EQ(ask(config::Mode::dr, open_port, 12345), "page") << "the service's port is asked";
}

TEST_P(ProbeTraffic, AServerThatHasLostItsVipIsFoundOut) {
  const std::string vip = vip_of(config::Mode::dr, GetParam());
  plane->server.sh("ip address del " + vip + " dev lo");
  const uint64_t sent = plane->counted(ProbeCount::sent);
  EXPECT_NE(ask(config::Mode::dr, open_port, std::nullopt, 700), "page");
  EXPECT_GT(plane->counted(ProbeCount::sent), sent) << "it was asked";
  plane->server.sh("ip address add " + vip + " dev lo");
  EXPECT_EQ(ask(config::Mode::dr), "page");
}

TEST_P(ProbeTraffic, AServerThatHasLostItsTunnelIsFoundOut) {
  decapsulator.reset();
  const uint64_t sent = plane->counted(ProbeCount::sent);
  EXPECT_NE(ask(config::Mode::ipip, open_port, std::nullopt, 700), "page");
  EXPECT_GT(plane->counted(ProbeCount::sent), sent) << "it was asked";
  EXPECT_EQ(ask(config::Mode::dr), "page") << "by the way that it has not lost";
  decapsulator = std::make_unique<Decapsulator>(plane->server);
  EXPECT_EQ(ask(config::Mode::ipip), "page");
}

TEST_P(ProbeTraffic, APortThatNobodyListensAtIsRefusedAtOnce) {
  for (const auto mode : {config::Mode::dr, config::Mode::ipip}) {
    EXPECT_EQ(ask(mode, closed_port), "ECONNREFUSED");
    EXPECT_EQ(ask_by_udp(mode, closed_port), "ECONNREFUSED") << "by an ICMP error";
  }
}

TEST_P(ProbeTraffic, ItWorksWhereTheTwinHoldsTheVip) {
  const std::string vip = vip_of(config::Mode::dr, GetParam());
  plane->gate.sh("ip address add " + vip + " dev wan");
  plane->follow_kernel();
  EXPECT_EQ(ask(config::Mode::dr), "page");
  plane->gate.sh("ip address del " + vip + " dev wan");
  plane->follow_kernel();
}

TEST_P(ProbeTraffic, ItWorksWhileAnotherRouterIsMasterOfTheVip) {
  Ownership others;
  for (const auto mode : {config::Mode::dr, config::Mode::ipip})
    others.inactive.push_back(ip(vip_of(mode, GetParam())));
  plane->own(others);
  EXPECT_EQ(ask(config::Mode::dr), "page");
  EXPECT_EQ(ask(config::Mode::ipip), "page");
  EXPECT_EQ(ask(config::Mode::dr, closed_port), "ECONNREFUSED");
  plane->own({});
}

TEST_P(ProbeTraffic, ProbeAddressesAreNeverSeenOnTheWire) {
  const RawSocket wire(plane->server, "srv0");
  const net::IpAddress unknown = ip(GetParam() ? "fd68:6561:6c74::ffff" : "198.18.255.1");
  const uint64_t dropped = plane->counted(ProbeCount::drop_unknown);
  EXPECT_EQ(ask_at(unknown, open_port, 300), "silence");
  EXPECT_GT(plane->counted(ProbeCount::drop_unknown), dropped);
  EXPECT_EQ(ask(config::Mode::dr), "page");
  const auto& bytes = unknown.bytes;
  const std::string network(bytes.begin(), bytes.begin() + (GetParam() ? 6 : 2));
  size_t frames = 0;
  for (test::Frame frame = wire.receive(300); !frame.empty(); frame = wire.receive(100)) {
    ++frames;
    const test::Frame addresses = frame.substr(0, GetParam() ? 54 : 34).substr(26 - 4);
    EXPECT_EQ(addresses.find(network), std::string::npos);
  }
  EXPECT_GT(frames, 3U) << "the capture sees the probe itself";
}

}  // namespace
}  // namespace headgate::control
