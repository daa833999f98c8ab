// Frames on an interface as they are, for tests.
#pragma once

#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <string>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "tests/e2e/namespaces.h"

namespace headgate::test {

using Frame = std::string;

class RawSocket {
 public:
  RawSocket(const NetNamespace& space, const std::string& interface) {
    const Inside inside(space.fd());
    fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) abort();
    const int on = 1;
    setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
    const int size = 8 * 1024 * 1024;
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
  }
  ~RawSocket() { close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  void send(const Frame& frame) const {
    const ssize_t sent = ::send(fd_, frame.data(), frame.size(), 0);
    EXPECT_EQ(sent, static_cast<ssize_t>(frame.size())) << strerror(errno);
  }

  // The next frame that came in, its VLAN tag put back; empty when none comes in time.
  [[nodiscard]] Frame receive(int patience_ms = 1000) const {
    while (true) {
      pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
      if (poll(&readable, 1, patience_ms) <= 0) return {};
      Frame frame(65536, '\0');
      sockaddr_ll from{};
      iovec part{frame.data(), frame.size()};
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof(from);
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      const ssize_t length = recvmsg(fd_, &message, 0);
      if (length <= 0) return {};
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<size_t>(length));
      const cmsghdr* header = CMSG_FIRSTHDR(&message);
      if (header != nullptr && header->cmsg_type == PACKET_AUXDATA) {
        tpacket_auxdata extra;
        memcpy(&extra, CMSG_DATA(header), sizeof(extra));
        if ((extra.tp_status & TP_STATUS_VLAN_VALID) != 0) {
          const char tag[4] = {'\x81', '\0', static_cast<char>(extra.tp_vlan_tci >> 8),
                               static_cast<char>(extra.tp_vlan_tci)};
          frame.insert(12, tag, 4);
        }
      }
      return frame;
    }
  }

 private:
  int fd_;
};

}  // namespace headgate::test
