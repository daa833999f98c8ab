// ipip_decap: the far end of an IPIP service, for real servers whose kernel has no tunnel driver.
//
// It reads IP-in-IP packets (protocols 4 and 41, over IPv4 and over IPv6) from raw sockets, strips
// the outer header and hands the inner packet to the kernel through a TUN device. The kernel
// reassembles outer fragments before a raw socket sees them. Only raw IPv4 sockets show the outer
// header; raw IPv6 sockets leave traffic class and source to the ancillary data and the peer.
//
// A decapsulator is a way around source checks: with --vip and --director it takes only what such a
// real server should get. What it drops it counts, and prints the counts when it ends.

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <poll.h>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "dataplane/net/address.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace headgate::tools {
namespace {

constexpr size_t max_packet_bytes = 65535;
constexpr int max_packets_per_turn =
    64;  // of one socket, so that a busy one cannot starve the rest
constexpr int receive_buffer_bytes = 8 << 20;
constexpr uint8_t ecn_mask = 0x03;
constexpr uint8_t ecn_congestion_experienced = 0x03;

using Packet = std::span<uint8_t>;

// linux/virtio_net.h has the same, but cannot be read by a C++ compiler.
struct VirtioNetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t header_bytes = 0;
  uint16_t gso_bytes = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};
static_assert(sizeof(VirtioNetHeader) == 10);
constexpr uint8_t virtio_needs_checksum = 1;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

struct Options {
  std::string device = "hgdecap0";
  std::set<net::IpAddress> vips;       // empty: any inner destination
  std::set<net::IpAddress> directors;  // empty: any outer source
};

// What a packet became; the texts are those of the closing report.
enum class Outcome : uint8_t {
  delivered,
  truncated,
  wrong_version,
  nested,
  not_a_director,
  not_a_vip,
  congestion_lost,
  refused,
};
constexpr std::array outcome_names = {
    "delivered",
    "dropped: shorter than its headers say",
    "dropped: the inner version does not match the outer protocol",
    "dropped: a tunnel within the tunnel",
    "dropped: not from a director",
    "dropped: not for a VIP",
    "dropped: marked by a congested router, for an inner packet without ECN",
    "dropped: the kernel refused it",
};
static_assert(outcome_names.size() == static_cast<size_t>(Outcome::refused) + 1);

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File& operator=(File&&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

// ---- inner packets

template <class Header>
Header load(std::span<const uint8_t> bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return header;
}

struct Inner {
  Packet packet;  // without what trailed the packet
  uint8_t protocol;
  bool is_fragment;
  size_t header_bytes;
  net::IpAddress source;
  net::IpAddress destination;
};

std::optional<Inner> parse_inner_ipv4(Packet bytes) {
  if (bytes.size() < sizeof(net::Ipv4Header)) return std::nullopt;
  const auto header = load<net::Ipv4Header>(bytes);
  const size_t total_bytes = header.total_length.host();
  if (header.header_length() < sizeof(header) || total_bytes < header.header_length() ||
      total_bytes > bytes.size()) {
    return std::nullopt;
  }
  return Inner{bytes.first(total_bytes), header.protocol, header.is_fragment(),
               header.header_length(),   header.source,   header.destination};
}

std::optional<Inner> parse_inner_ipv6(Packet bytes) {
  if (bytes.size() < sizeof(net::Ipv6Header)) return std::nullopt;
  const auto header = load<net::Ipv6Header>(bytes);
  const size_t total_bytes = sizeof(header) + header.payload_length.host();
  if (total_bytes > bytes.size()) return std::nullopt;
  return Inner{bytes.first(total_bytes), header.next_header, false,
               sizeof(header),           header.source,      header.destination};
}

// RFC 6040, 4.2: a congestion mark on the outer header must reach the receiver. False: the inner
// packet cannot carry it and has to be dropped.
bool carry_congestion_mark(const Inner& inner, uint8_t outer_tos) {
  if ((outer_tos & ecn_mask) != ecn_congestion_experienced) return true;
  // IPv6 has its traffic class across the first two bytes.
  const int shift = inner.source.is_v4() ? 0 : 4;
  const auto inner_mask = static_cast<uint8_t>(ecn_mask << shift);
  uint8_t& tos = inner.packet[1];
  if ((tos & inner_mask) == 0) return false;
  tos |= inner_mask;
  if (!inner.source.is_v4()) return true;

  auto header = load<net::Ipv4Header>(inner.packet);
  header.checksum = net::be16{};
  std::memcpy(inner.packet.data(), &header, sizeof(header));
  const auto sum = net::checksum_add(0, inner.packet.first(inner.header_bytes));
  header.checksum = net::checksum_finish(sum);
  std::memcpy(inner.packet.data(), &header, sizeof(header));
  return true;
}

// A sender on the same machine (veth) leaves checksums to a NIC that is not there, and the kernel's
// receive offload merges segments and does the same: the field then holds the sum over the pseudo
// header alone. Such a packet is passed on as what it is, for the kernel to complete.
VirtioNetHeader offload_header(const Inner& inner) {
  size_t field = 0;
  if (inner.protocol == net::protocol_tcp) field = offsetof(net::TcpHeader, checksum);
  if (inner.protocol == net::protocol_udp) field = offsetof(net::UdpHeader, checksum);
  const Packet segment = inner.packet.subspan(inner.header_bytes);
  if (field == 0 || inner.is_fragment || segment.size() < field + sizeof(net::be16)) return {};
  const size_t address_bytes = inner.source.bits() / 8;
  const auto sum = net::pseudo_header_sum(std::span{inner.source.bytes}.first(address_bytes),
                                          std::span{inner.destination.bytes}.first(address_bytes),
                                          inner.protocol, static_cast<uint32_t>(segment.size()));
  if (load<net::be16>(segment.subspan(field)).raw() != net::checksum_fold(sum)) return {};
  return {.flags = virtio_needs_checksum,
          .checksum_start = static_cast<uint16_t>(inner.header_bytes),
          .checksum_offset = static_cast<uint16_t>(field)};
}

// ---- sockets and the device

struct Source {
  File socket;
  int family;    // of the outer header
  int protocol;  // of the inner one: IPPROTO_IPIP or IPPROTO_IPV6
};

struct Received {
  Packet inner;
  net::IpAddress outer_source;
  uint8_t outer_tos = 0;
};

// A machine without IPv6 has no IPv6 sockets: nothing can come in that way.
std::optional<Source> open_source(int family, int protocol) {
  File socket{::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)};
  if (socket.fd() < 0) {
    if (errno == EAFNOSUPPORT) return std::nullopt;
    throw_errno("raw socket (this needs root or CAP_NET_RAW)");
  }
  const int one = 1;
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_bytes, sizeof(int));
  if (family == AF_INET6) {
    setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one));
  }
  return Source{std::move(socket), family, protocol};
}

void write_sysctl(const std::string& path, const char* value) {
  std::ofstream{"/proc/sys/net/" + path} << value;
}

// The client's address is not routed towards the device, so strict reverse path filtering would
// drop everything. The kernel takes the larger of `all` and the device's value: 0 where that turns
// the filter off, else 2, the loose check.
void relax_reverse_path_filter(const std::string& device) {
  char all = '0';
  std::ifstream{"/proc/sys/net/ipv4/conf/all/rp_filter"} >> all;
  write_sysctl("ipv4/conf/" + device + "/rp_filter", all == '0' ? "0" : "2");
}

File open_tun(const std::string& device) {
  File tun{open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
  if (tun.fd() < 0) throw_errno("/dev/net/tun");
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(tun.fd(), TUNSETIFF, &request) < 0) throw_errno("cannot create the device " + device);
  // It receives only: no address of its own, nothing to ask of the routers behind it.
  write_sysctl("ipv6/conf/" + device + "/addr_gen_mode", "1");
  write_sysctl("ipv6/conf/" + device + "/accept_ra", "0");
  write_sysctl("ipv6/conf/" + device + "/router_solicitations", "0");
  relax_reverse_path_filter(device);

  const File control{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_NOARP;
  if (control.fd() < 0 || ioctl(control.fd(), SIOCSIFFLAGS, &request) < 0) {
    throw_errno("cannot set the device " + device + " up");
  }
  return tun;
}

uint8_t traffic_class_of(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_TCLASS) continue;
    int traffic_class = 0;
    std::memcpy(&traffic_class, CMSG_DATA(c), sizeof(traffic_class));
    return static_cast<uint8_t>(traffic_class);
  }
  return 0;
}

net::IpAddress peer_address(const sockaddr_in6& peer) {
  net::Ipv6Address address;
  std::memcpy(address.bytes.data(), &peer.sin6_addr, address.bytes.size());
  return address;
}

// ---- the program

class Decapsulator {
 public:
  explicit Decapsulator(Options options)
      : options_(std::move(options)), tun_(open_tun(options_.device)) {
    for (const int family : {AF_INET, AF_INET6}) {
      for (const int protocol : {IPPROTO_IPIP, IPPROTO_IPV6}) {
        if (auto source = open_source(family, protocol)) sources_.push_back(std::move(*source));
      }
    }
  }

  // Until the signals' descriptor is readable.
  void run(int signal_fd) {
    std::vector<pollfd> polled{{signal_fd, POLLIN, 0}};
    for (const Source& source : sources_)
      polled.push_back({source.socket.fd(), POLLIN, 0});
    for (;;) {
      if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) throw_errno("poll");
      if (polled[0].revents != 0) return;
      for (size_t i = 0; i < sources_.size(); ++i) {
        if (polled[i + 1].revents != 0) take_turn(sources_[i]);
      }
    }
  }

  void report() const {
    for (size_t i = 0; i < outcome_names.size(); ++i) {
      if (i == 0 || counts_[i] != 0) std::printf("%lu %s\n", counts_[i], outcome_names[i]);
    }
  }

 private:
  void take_turn(const Source& source) {
    for (int i = 0; i < max_packets_per_turn; ++i) {
      sockaddr_in6 peer{};  // large enough for both families
      alignas(cmsghdr) std::array<uint8_t, 64> ancillary;
      iovec into{buffer_.data(), buffer_.size()};
      msghdr message{};
      message.msg_name = &peer;
      message.msg_namelen = sizeof(peer);
      message.msg_iov = &into;
      message.msg_iovlen = 1;
      message.msg_control = ancillary.data();
      message.msg_controllen = ancillary.size();
      const ssize_t received = recvmsg(source.socket.fd(), &message, 0);
      if (received < 0) return;  // drained, or an error that an ICMP message left on the socket
      const Packet bytes{buffer_.data(), static_cast<size_t>(received)};
      const Outcome outcome =
          source.family == AF_INET
              ? strip_outer_ipv4(source, bytes)
              : deliver(source, {bytes, peer_address(peer), traffic_class_of(message)});
      ++counts_[static_cast<size_t>(outcome)];
    }
  }

  Outcome strip_outer_ipv4(const Source& source, Packet bytes) {
    if (bytes.size() < sizeof(net::Ipv4Header)) return Outcome::truncated;
    const auto outer = load<net::Ipv4Header>(bytes);
    const size_t header_bytes = outer.header_length();
    if (header_bytes < sizeof(outer) || header_bytes > bytes.size()) return Outcome::truncated;
    return deliver(source, {bytes.subspan(header_bytes), outer.source, outer.tos});
  }

  Outcome deliver(const Source& source, const Received& received) {
    const bool is_ipv4 = source.protocol == IPPROTO_IPIP;
    if (received.inner.empty()) return Outcome::truncated;
    if (received.inner[0] >> 4 != (is_ipv4 ? 4 : 6)) return Outcome::wrong_version;
    const auto inner =
        is_ipv4 ? parse_inner_ipv4(received.inner) : parse_inner_ipv6(received.inner);
    if (!inner) return Outcome::truncated;
    if (inner->protocol == IPPROTO_IPIP || inner->protocol == IPPROTO_IPV6) return Outcome::nested;
    if (!allows(options_.directors, received.outer_source)) return Outcome::not_a_director;
    if (!allows(options_.vips, inner->destination)) return Outcome::not_a_vip;
    if (!carry_congestion_mark(*inner, received.outer_tos)) return Outcome::congestion_lost;
    VirtioNetHeader header = offload_header(*inner);
    const std::array<iovec, 2> parts{
        {{&header, sizeof(header)}, {inner->packet.data(), inner->packet.size()}}};
    return writev(tun_.fd(), parts.data(), parts.size()) < 0 ? Outcome::refused
                                                             : Outcome::delivered;
  }

  static bool allows(const std::set<net::IpAddress>& list, const net::IpAddress& address) {
    return list.empty() || list.contains(address);
  }

  Options options_;
  File tun_;
  std::vector<Source> sources_;
  std::array<uint8_t, max_packet_bytes> buffer_{};
  std::array<uint64_t, outcome_names.size()> counts_{};
};

// SIGTERM and SIGINT become readable, so that no packet is cut in half by them.
File block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return File{signalfd(-1, &signals, SFD_CLOEXEC)};
}

// A device name that the kernel takes; the text is the complaint, empty for none.
std::string check_device(const std::string& name) {
  return name.empty() || name.size() >= IFNAMSIZ ? "a device name has 1 to 15 characters" : "";
}

std::string check_address(const std::string& text) {
  return net::parse_ip(text) ? "" : "'" + text + "' is not an IPv4 or IPv6 address";
}

int run(const Options& options) {
  try {
    const File signals = block_signals();
    Decapsulator decapsulator{options};
    std::printf("ready: %s\n", options.device.c_str());
    std::fflush(stdout);
    decapsulator.run(signals.fd());
    decapsulator.report();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ipip_decap: %s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace headgate::tools

int main(int argc, char** argv) {
  namespace tools = headgate::tools;
  CLI::App app{
      "Takes IP-in-IP packets apart on a real server and hands the inner ones to the kernel."};
  tools::Options options;
  std::vector<std::string> vips;
  std::vector<std::string> directors;
  app.add_option("--device", options.device, "name of the TUN device")
      ->capture_default_str()
      ->check(tools::check_device);
  app.add_option("--vip", vips, "take only packets for these addresses")
      ->check(tools::check_address);
  app.add_option("--director", directors, "take only tunnels from these addresses")
      ->check(tools::check_address);
  CLI11_PARSE(app, argc, argv);
  for (const auto& text : vips)
    options.vips.insert(*headgate::net::parse_ip(text));
  for (const auto& text : directors)
    options.directors.insert(*headgate::net::parse_ip(text));
  return tools::run(options);
}
