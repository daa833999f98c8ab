#include "control/vrrp/packet_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include <linux/if_packet.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "control/vrrp/socket_error.h"

namespace headgate::control {
namespace {

bool is_ethernet(int fd, const std::string& interface) {
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  return ioctl(fd, SIOCGIFHWADDR, &request) == 0 && request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

void close_elsewhere(int fd) {
  try {
    std::thread([fd] { close(fd); }).detach();
  } catch (const std::system_error&) {  // no thread to be had
    close(fd);
  }
}

// To be tried again later.
bool is_full(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

}  // namespace

std::expected<PacketSocket, Error> PacketSocket::open(const std::string& interface) {
  const auto index = static_cast<int>(if_nametoindex(interface.c_str()));
  if (index == 0) return std::unexpected(socket_error(interface, "no such interface", errno));
  // Protocol 0: nothing is received.
  PacketSocket socket(interface, index,
                      ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.fd_ < 0) return std::unexpected(socket_error(interface, "packet socket", errno));
  if (!is_ethernet(socket.fd_, interface)) {
    return std::unexpected(Error{interface + ": not an Ethernet interface"});
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = index;
  if (bind(socket.fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return std::unexpected(socket_error(interface, "packet socket", errno));
  }
  const int send_buffer_bytes = 1 << 20;
  setsockopt(socket.fd_, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer_bytes, sizeof(send_buffer_bytes));
  const int priority = TC_PRIO_CONTROL;
  setsockopt(socket.fd_, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority));
  return socket;
}

PacketSocket::PacketSocket(PacketSocket&& other) noexcept
    : interface_(std::move(other.interface_)),
      index_(other.index_),
      fd_(std::exchange(other.fd_, -1)) {}

PacketSocket& PacketSocket::operator=(PacketSocket&& other) noexcept {
  std::swap(interface_, other.interface_);
  std::swap(index_, other.index_);
  std::swap(fd_, other.fd_);
  return *this;
}

PacketSocket::~PacketSocket() {
  if (fd_ >= 0) close_elsewhere(fd_);
}

std::expected<void, Error> PacketSocket::send(std::span<const uint8_t> frame) const {
  if (::send(fd_, frame.data(), frame.size(), MSG_DONTWAIT) >= 0) return {};
  return std::unexpected(socket_error(interface_, "cannot send", errno));
}

std::expected<size_t, Error> PacketSocket::send(std::span<const EthernetFrame> frames) const {
  std::array<iovec, max_batch> parts{};
  std::array<mmsghdr, max_batch> messages{};
  const size_t count = std::min(frames.size(), max_batch);
  for (size_t i = 0; i < count; ++i) {
    parts[i] = {const_cast<uint8_t*>(frames[i].data()), frames[i].size()};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int sent = sendmmsg(fd_, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (is_full(errno)) return 0;
  return std::unexpected(socket_error(interface_, "cannot send", errno));
}

}  // namespace headgate::control
