#include "dataplane/packet_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <memory>
#include <unistd.h>

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000  // Linux 6.0
#endif

namespace headgate::dataplane {
namespace {

long raw_setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  return syscall(SYS_setsockopt, fd, level, name, value, length);
}

// The argument holds the group in its low half and type and flags above.
long set_fanout(int fd, uint32_t wanted) {
  constexpr uint32_t defrag = static_cast<uint32_t>(PACKET_FANOUT_FLAG_DEFRAG) << 16;
  constexpr uint32_t ignore_outgoing = static_cast<uint32_t>(PACKET_FANOUT_FLAG_IGNORE_OUTGOING)
                                       << 16;
  const uint32_t whole = wanted & ~defrag;
  const uint32_t incoming = whole | ignore_outgoing;
  const long result = raw_setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &incoming, sizeof(incoming));
  if (result == 0 || errno != EINVAL) return result;
  return raw_setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &whole, sizeof(whole));
}

bool is_bound_to(int fd, int interface_index) {
  int domain = 0;
  socklen_t length = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_PACKET) {
    return false;
  }
  sockaddr_ll address{};
  length = sizeof(address);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
         address.sll_ifindex == interface_index;
}

}  // namespace

std::vector<int> packet_sockets(int interface_index) {
  std::vector<int> sockets;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fd"), closedir);
  if (!directory) return sockets;
  while (const dirent* entry = readdir(directory.get())) {
    char* end = nullptr;
    const long fd = std::strtol(entry->d_name, &end, 10);
    if (end == entry->d_name) continue;
    if (is_bound_to(static_cast<int>(fd), interface_index)) sockets.push_back(static_cast<int>(fd));
  }
  std::ranges::sort(sockets);
  return sockets;
}

bool reassembles_fragments(int packet_socket) {
  uint32_t value = 0;  // group, type in bits 16 to 23, flags / 256 above
  socklen_t length = sizeof(value);
  if (getsockopt(packet_socket, SOL_PACKET, PACKET_FANOUT, &value, &length) != 0) return false;
  return (value >> 24 & PACKET_FANOUT_FLAG_DEFRAG >> 8) != 0;
}

uint64_t take_packet_drops(int packet_socket) {
  tpacket_stats stats{};
  socklen_t length = sizeof(stats);
  if (getsockopt(packet_socket, SOL_PACKET, PACKET_STATISTICS, &stats, &length) != 0) return 0;
  return stats.tp_drops;
}

}  // namespace headgate::dataplane

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
extern "C" __attribute__((visibility("default"))) int setsockopt(int fd, int level, int name,
                                                                 const void* value,
                                                                 socklen_t length) noexcept {
  if (level == SOL_PACKET && name == PACKET_FANOUT && length == sizeof(uint32_t)) {
    uint32_t wanted = 0;
    std::memcpy(&wanted, value, sizeof(wanted));
    return static_cast<int>(headgate::dataplane::set_fanout(fd, wanted));
  }
  return static_cast<int>(headgate::dataplane::raw_setsockopt(fd, level, name, value, length));
}
