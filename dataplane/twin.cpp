#include "dataplane/twin.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>
#include <utility>

#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace headgate::dataplane {
namespace {

Error tap_error(const TapOptions& options, const std::string& what, int code,
                std::string remedy = "") {
  return {"twin " + options.name + ": " + what + ": " + std::strerror(code), std::move(remedy)};
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  return request;
}

std::expected<void, Error> attach(int fd, const TapOptions& options) {
  ifreq request = request_for(options.name);
  // Exclusive: a TAP of that name which somebody else left there is not ours to take over.
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
  if (ioctl(fd, TUNSETIFF, &request) == 0) return {};
  if (errno == EBUSY || errno == EINVAL) {
    return std::unexpected(tap_error(options, "cannot be made", errno,
                                     "is there an interface of that name? `ip link show dev " +
                                         options.name + "`; twin.name chooses another"));
  }
  return std::unexpected(
      tap_error(options, "cannot be made", errno, "needs root, or CAP_NET_ADMIN"));
}

std::expected<void, Error> configure(int socket, const TapOptions& options) {
  ifreq request = request_for(options.name);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(request.ifr_hwaddr.sa_data, options.mac.bytes.data(), options.mac.bytes.size());
  if (ioctl(socket, SIOCSIFHWADDR, &request) != 0) {
    return std::unexpected(tap_error(options, "MAC " + net::to_string(options.mac), errno));
  }
  request = request_for(options.name);
  request.ifr_mtu = options.mtu;
  if (ioctl(socket, SIOCSIFMTU, &request) != 0) {
    return std::unexpected(tap_error(options, "MTU " + std::to_string(options.mtu), errno));
  }
  // Before it comes up, or the link-local address is tentative for a second. Without IPv6 in the
  // kernel there is no such file.
  std::ofstream("/proc/sys/net/ipv6/conf/" + options.name + "/accept_dad") << "0\n";
  request = request_for(options.name);
  if (ioctl(socket, SIOCGIFFLAGS, &request) == 0) {
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (ioctl(socket, SIOCSIFFLAGS, &request) == 0) return {};
  }
  return std::unexpected(tap_error(options, "does not come up", errno));
}

}  // namespace

std::expected<Tap, Error> Tap::create(const TapOptions& options) {
  if (options.name.empty() || options.name.size() >= IFNAMSIZ) {
    return std::unexpected(
        Error{"twin \"" + options.name + "\": no name for an interface", "1 to 15 characters"});
  }
  Tap tap;
  tap.name_ = options.name;
  tap.fd_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap.fd_ < 0) {
    return std::unexpected(tap_error(options, "/dev/net/tun", errno,
                                     "`modprobe tun`; in a container: --device /dev/net/tun"));
  }
  if (auto attached = attach(tap.fd_, options); !attached) {
    return std::unexpected(attached.error());
  }
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::unexpected(tap_error(options, "socket", errno));
  auto configured = configure(socket, options);
  close(socket);
  if (!configured) return std::unexpected(configured.error());
  tap.interface_index_ = static_cast<int>(if_nametoindex(options.name.c_str()));
  return tap;
}

Tap::Tap(Tap&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      interface_index_(other.interface_index_),
      name_(std::move(other.name_)) {}

Tap& Tap::operator=(Tap&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(interface_index_, other.interface_index_);
  std::swap(name_, other.name_);
  return *this;
}

Tap::~Tap() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace headgate::dataplane
