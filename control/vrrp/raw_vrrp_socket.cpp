#include "control/vrrp/raw_vrrp_socket.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <unistd.h>
#include <utility>

#include <linux/pkt_sched.h>
#include <net/if.h>
#include <netinet/in.h>

#include "control/vrrp/frames.h"
#include "control/vrrp/socket_error.h"
#include "dataplane/net/headers.h"

namespace headgate::control {
namespace {

// Bursts of 255 virtual routers while the thread is held up for some seconds.
constexpr int receive_buffer_bytes = 4 << 20;
constexpr int send_buffer_bytes = 1 << 20;

template <typename T>
int set(int fd, int level, int option, const T& value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : errno;
}

// As much as asked for with CAP_NET_ADMIN, else what the system allows.
void set_buffer(int fd, int forced, int allowed, int bytes) {
  if (set(fd, SOL_SOCKET, forced, bytes) != 0)
    static_cast<void>(set(fd, SOL_SOCKET, allowed, bytes));
}

// The first error, 0 when there is none.
template <typename... Codes>
int first_of(Codes... codes) {
  int first = 0;
  ((first = first == 0 ? codes : first), ...);
  return first;
}

sockaddr_in address_of(const net::IpAddress& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  std::memcpy(&result.sin_addr, address.bytes.data(), sizeof(result.sin_addr));
  return result;
}

in6_addr in6_of(const net::IpAddress& address) {
  in6_addr result;
  std::memcpy(&result, address.bytes.data(), sizeof(result));
  return result;
}

int configure_ipv4(int fd, int index, const net::IpAddress& group) {
  const int code =
      first_of(set(fd, IPPROTO_IP, IP_HDRINCL, 1), set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0),
               set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0));
  if (code != 0 || !group.is_v4()) return code;
  ip_mreqn membership{};
  membership.imr_multiaddr = address_of(group).sin_addr;
  membership.imr_ifindex = index;
  return set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership);
}

int configure_ipv6(int fd, int index, const net::IpAddress& group) {
  const int code = first_of(
      set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0), set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0),
      set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1), set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1),
      set(fd, IPPROTO_IPV6, IPV6_TCLASS, int{advert_tos}), set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1));
  if (code != 0 || !group.is_v6()) return code;
  ipv6_mreq membership{};
  membership.ipv6mr_multiaddr = in6_of(group);
  membership.ipv6mr_interface = static_cast<unsigned>(index);
  return set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, membership);
}

// What the kernel says next to an IPv6 message: hop limit and destination. False: not both.
bool take_ipv6_control(msghdr& message, vrrp::Received& received) {
  bool has_hop_limit = false;
  bool has_destination = false;
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr;
       item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level != IPPROTO_IPV6) continue;
    if (item->cmsg_type == IPV6_HOPLIMIT) {
      int hop_limit = 0;
      std::memcpy(&hop_limit, CMSG_DATA(item), sizeof(hop_limit));
      received.ttl = static_cast<uint8_t>(hop_limit);
      has_hop_limit = true;
    } else if (item->cmsg_type == IPV6_PKTINFO) {
      net::Ipv6Address destination;
      std::memcpy(destination.bytes.data(), CMSG_DATA(item), destination.bytes.size());
      received.destination = destination;
      has_destination = true;
    }
  }
  return has_hop_limit && has_destination;
}

bool take_ipv6(std::span<const uint8_t> packet, msghdr& header, vrrp::Received& received) {
  if (!take_ipv6_control(header, received)) return false;
  sockaddr_in6 source{};
  std::memcpy(&source, header.msg_name, sizeof(source));
  net::Ipv6Address address;
  std::memcpy(address.bytes.data(), &source.sin6_addr, address.bytes.size());
  received.source = address;
  received.message = packet;
  return true;
}

void append_control(msghdr& message, size_t& used, int type, const void* data, size_t size) {
  auto* item = reinterpret_cast<cmsghdr*>(static_cast<uint8_t*>(message.msg_control) + used);
  item->cmsg_level = IPPROTO_IPV6;
  item->cmsg_type = type;
  item->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(item), data, size);
  used += CMSG_SPACE(size);
}

}  // namespace

bool take_ipv4_header(std::span<const uint8_t> packet, vrrp::Received& received) {
  net::Ipv4Header header;
  if (packet.size() < sizeof(header)) return false;
  std::memcpy(&header, packet.data(), sizeof(header));
  const size_t start = header.header_length();
  const size_t end = header.total_length.host();
  if (header.version_ihl >> 4 != 4 || start < sizeof(header) || end < start) return false;
  if (end > packet.size() || header.is_fragment()) return false;
  received.message = packet.subspan(start, end - start);
  received.source = header.source;
  received.destination = header.destination;
  received.ttl = header.ttl;
  return true;
}

RawVrrpSocket::RawVrrpSocket(int fd, int index, net::Family family)
    : fd_(fd), index_(index), family_(family), slots_(max_batch), messages_(max_batch) {}

RawVrrpSocket::RawVrrpSocket(RawVrrpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      index_(other.index_),
      family_(other.family_),
      slots_(std::move(other.slots_)),
      messages_(std::move(other.messages_)) {}

RawVrrpSocket::~RawVrrpSocket() {
  if (fd_ >= 0) close(fd_);
}

int RawVrrpSocket::configure(const std::string& interface, const net::IpAddress& group) const {
  if (setsockopt(fd_, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                 static_cast<socklen_t>(interface.size() + 1)) != 0) {
    return errno;
  }
  set_buffer(fd_, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer_bytes);
  set_buffer(fd_, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer_bytes);
  const int code = family_ == net::Family::ipv4 ? configure_ipv4(fd_, index_, group)
                                                : configure_ipv6(fd_, index_, group);
  // After IP_TOS, which sets the priority too.
  return first_of(code, set(fd_, SOL_SOCKET, SO_PRIORITY, int{TC_PRIO_CONTROL}));
}

std::expected<RawVrrpSocket, Error> RawVrrpSocket::open(const std::string& interface,
                                                        net::Family family,
                                                        const net::IpAddress& group) {
  const auto index = static_cast<int>(if_nametoindex(interface.c_str()));
  if (index == 0) return std::unexpected(socket_error(interface, "no such interface", errno));
  const int domain = family == net::Family::ipv4 ? AF_INET : AF_INET6;
  const int fd = socket(domain, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, vrrp::protocol_number);
  if (fd < 0) return std::unexpected(socket_error(interface, "VRRP socket", errno));
  RawVrrpSocket opened(fd, index, family);
  const int code = opened.configure(interface, group);
  if (code != 0) return std::unexpected(socket_error(interface, "VRRP socket", code));
  return opened;
}

RawVrrpSocket::Batch RawVrrpSocket::receive(
    const std::function<bool(const vrrp::Received&)>& take) {
  for (size_t i = 0; i < max_batch; ++i) {
    Slot& slot = slots_[i];
    slot.part = {slot.packet.data(), slot.packet.size()};
    messages_[i].msg_hdr = {.msg_name = &slot.source,
                            .msg_namelen = sizeof(slot.source),
                            .msg_iov = &slot.part,
                            .msg_iovlen = 1,
                            .msg_control = slot.control.data(),
                            .msg_controllen = slot.control.size(),
                            .msg_flags = 0};
  }
  const int count = recvmmsg(fd_, messages_.data(), max_batch, MSG_DONTWAIT, nullptr);
  Batch batch;
  if (count <= 0) return batch;
  batch.packets = static_cast<size_t>(count);
  for (size_t i = 0; i < batch.packets; ++i) {
    msghdr& header = messages_[i].msg_hdr;
    const std::span<const uint8_t> packet(slots_[i].packet.data(), messages_[i].msg_len);
    vrrp::Received received;
    const bool whole = (header.msg_flags & MSG_TRUNC) == 0;
    if (whole && (family_ == net::Family::ipv4 ? take_ipv4_header(packet, received)
                                               : take_ipv6(packet, header, received))) {
      if (!take(received)) return batch;
    } else {
      ++batch.malformed;
    }
  }
  return batch;
}

int RawVrrpSocket::send(std::span<const uint8_t> message, const net::IpAddress& source,
                        const net::IpAddress& destination, uint8_t ttl) const {
  if (source.family != family_ || destination.family != family_) return EAFNOSUPPORT;
  if (family_ == net::Family::ipv6) return send_ipv6(message, source, destination, ttl);
  // An id of 0 is one for the kernel to choose.
  const auto packet = advert_ipv4_packet(message, source, destination, ttl, 0);
  const sockaddr_in to = address_of(destination);
  const ssize_t sent = sendto(fd_, packet.data(), packet.size(), MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  return sent < 0 ? errno : 0;
}

int RawVrrpSocket::send_ipv6(std::span<const uint8_t> message, const net::IpAddress& source,
                             const net::IpAddress& destination, uint8_t ttl) const {
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_addr = in6_of(destination);
  to.sin6_scope_id = static_cast<uint32_t>(index_);
  iovec part{const_cast<uint8_t*>(message.data()), message.size()};
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int))>
      control{};
  msghdr header{};
  header.msg_name = &to;
  header.msg_namelen = sizeof(to);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  size_t used = 0;
  in6_pktinfo from{};
  from.ipi6_addr = in6_of(source);
  from.ipi6_ifindex = static_cast<unsigned>(index_);
  append_control(header, used, IPV6_PKTINFO, &from, sizeof(from));
  const int hop_limit = ttl;
  append_control(header, used, IPV6_HOPLIMIT, &hop_limit, sizeof(hop_limit));
  return sendmsg(fd_, &header, MSG_DONTWAIT) < 0 ? errno : 0;
}

}  // namespace headgate::control
