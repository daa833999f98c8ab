#include "control/device_beneath.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ifaddrs.h>
#include <iterator>
#include <string_view>
#include <utility>

#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <sys/socket.h>

#include "control/beneath_state.h"
#include "control/ethtool.h"
#include "control/ingress_drop.h"
#include "control/rtnl.h"
#include "dataplane/net/address.h"

namespace headgate::control {
namespace {

constexpr std::string_view file_prefix = "beneath-";

// What makes the kernel join frames, or take tags off them, before a port sees them.
constexpr std::array<std::string_view, 6> unwanted_features{
    "rx-gro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding", "rx-lro", "rx-vlan-hw-parse"};

std::string state_path(const std::string& directory, const std::string& interface) {
  return directory + "/" + std::string(file_prefix) + interface;
}

std::string ipv6_switch(const std::string& interface) {
  return "/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6";
}

// The first character of a sysctl; 0 when there is none.
char read_switch(const std::string& path) {
  std::ifstream file(path);
  char value = 0;
  file >> value;
  return value;
}

net::IpAddress address_of(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return net::Ipv4Address::from_raw(
        reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
  }
  net::Ipv6Address v6;
  std::memcpy(v6.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr,
              v6.bytes.size());
  return v6;
}

uint8_t prefix_length(const sockaddr* mask) {
  const net::IpAddress bits = address_of(mask);
  uint8_t length = 0;
  for (const uint8_t byte : bits.bytes) {
    length = static_cast<uint8_t>(length + std::popcount(byte));
  }
  return length;
}

bool is_link_local(const net::IpAddress& address) {
  return address.is_v6() && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

// Addresses on the device, but for link-local ones, which go with IPv6 and come back with it.
std::vector<net::Prefix> addresses_of(const std::string& interface) {
  std::vector<net::Prefix> addresses;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return addresses;
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_netmask == nullptr) continue;
    const auto family = entry->ifa_addr->sa_family;
    if (interface != entry->ifa_name || (family != AF_INET && family != AF_INET6)) continue;
    const net::IpAddress address = address_of(entry->ifa_addr);
    if (is_link_local(address)) continue;
    sockaddr_storage mask{};
    std::memcpy(&mask, entry->ifa_netmask,
                family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    mask.ss_family = family;  // the kernel leaves it out
    addresses.push_back({address, prefix_length(reinterpret_cast<const sockaddr*>(&mask))});
  }
  freeifaddrs(all);
  return addresses;
}

// Index of the bridge or bond that the device belongs to; 0: none.
int master_of(RtnlSocket& socket, int index) {
  rtnl_link* link = nullptr;
  if (rtnl_link_get_kernel(socket.get(), index, nullptr, &link) < 0) return 0;
  const int master = rtnl_link_get_master(link);
  rtnl_link_put(link);
  return master;
}

std::expected<void, Error> check_free(RtnlSocket& socket, const std::string& interface, int index) {
  const std::vector<net::Prefix> addresses = addresses_of(interface);
  if (!addresses.empty()) {
    const std::string address = net::to_string(addresses.front());
    return std::unexpected(Error{interface + ": holds " + address +
                                 ", so the kernel would answer next to the port: `ip address del " +
                                 address + " dev " + interface +
                                 "`, and put the address under the port's twin.addresses"});
  }
  if (const int master = master_of(socket, index); master != 0) {
    std::array<char, IF_NAMESIZE> name{};
    if_indextoname(static_cast<unsigned>(master), name.data());
    return std::unexpected(Error{interface + ": belongs to " + name.data() + ": `ip link set " +
                                 interface + " nomaster`"});
  }
  return {};
}

// The device as it is, and what protect() will change.
BeneathState plan(const BeneathOptions& options, const KernelDevice& device, RtnlSocket& socket,
                  int index) {
  BeneathState state;
  state.interface = options.interface;
  state.index = index;
  state.xdp = options.af_xdp_queues.has_value();
  state.made_clsact = !has_ingress_qdisc(socket, index);
  state.enabled_ipv6 = read_switch(ipv6_switch(options.interface)) == '0';
  const uint16_t wanted =
      static_cast<uint16_t>(IFF_UP | (options.promiscuous ? IFF_PROMISC : IFF_ALLMULTI));
  state.added_flags = static_cast<uint16_t>(wanted & ~device.flags().value_or(wanted));
  if (options.mtu && device.mtu() && device.mtu() != options.mtu) state.mtu = device.mtu();
  for (const KernelDevice::Feature& feature : device.features()) {
    if (feature.active && feature.changeable &&
        std::ranges::find(unwanted_features, feature.name) != unwanted_features.end()) {
      state.features.push_back(feature.name);
    }
  }
  const auto channels = device.channels();
  if (options.af_xdp_queues && channels &&
      (channels->combined > *options.af_xdp_queues || channels->rx > 1)) {
    state.channels = channels;
  }
  return state;
}

// Frames on channels without a socket would be lost.
void set_channels(const BeneathOptions& options, const KernelDevice& device,
                  const KernelDevice::Channels& before, std::vector<std::string>& notes) {
  KernelDevice::Channels wanted = before;
  wanted.combined = std::min<uint32_t>(wanted.combined, *options.af_xdp_queues);
  if (wanted.combined == 0) wanted.rx = 1;  // such a device gives AF_XDP one queue
  if (device.set_channels(wanted)) return;
  notes.push_back(options.interface + ": spreads traffic over " +
                  std::to_string(before.combined + before.rx) +
                  " queues, and the port serves fewer: what comes on the others is lost; `ethtool "
                  "--set-channels " +
                  options.interface + "` may help");
}

void detach_xdp(RtnlSocket& socket, int index) {
  NlMessage message(nlmsg_alloc_simple(RTM_SETLINK, 0));
  ifinfomsg header{};
  header.ifi_index = index;
  nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO);
  nlattr* xdp = nla_nest_start(message.get(), IFLA_XDP | NLA_F_NESTED);
  nla_put_s32(message.get(), IFLA_XDP_FD, -1);
  nla_nest_end(message.get(), xdp);
  static_cast<void>(socket.request(std::move(message)));
}

// The opposite of apply(), in the opposite order. A device that is gone has nothing to restore.
void restore(RtnlSocket& socket, const BeneathState& state) {
  if (if_nametoindex(state.interface.c_str()) != static_cast<unsigned>(state.index)) return;
  const KernelDevice device(state.interface);
  if (state.channels) device.set_channels(*state.channels);
  for (const std::string& feature : state.features) {
    device.set_feature(feature, true);
  }
  if (state.mtu) device.set_mtu(*state.mtu);
  device.set_flags(0, state.added_flags);
  allow_ingress(socket, state.index, state.made_clsact);
  if (state.enabled_ipv6) std::ofstream(ipv6_switch(state.interface)) << "0\n";
}

}  // namespace

struct DeviceBeneath::Impl {
  Impl(RtnlSocket given, BeneathState changed, std::string file)
      : socket(std::move(given)), state(std::move(changed)), path(std::move(file)) {}

  std::expected<void, Error> apply(const BeneathOptions& options);

  RtnlSocket socket;
  BeneathState state;
  std::string path;
  std::vector<std::string> notes;
  bool released = false;
};

std::expected<void, Error> DeviceBeneath::Impl::apply(const BeneathOptions& options) {
  const KernelDevice device(options.interface);
  if (state.enabled_ipv6) std::ofstream(ipv6_switch(options.interface)) << "1\n";
  bool made_clsact = false;  // planned already
  if (auto dropped = drop_ingress(socket, state.index, options.interface, made_clsact); !dropped) {
    return dropped;
  }
  for (const std::string& feature : state.features) {
    if (!device.set_feature(feature, false)) {
      notes.push_back(options.interface + ": " + feature + " cannot be switched off");
    }
  }
  if (state.mtu && !device.set_mtu(*options.mtu)) {
    return std::unexpected(Error{options.interface + ": does not take an MTU of " +
                                 std::to_string(*options.mtu) + ": " + std::strerror(errno)});
  }
  if (state.channels) set_channels(options, device, *state.channels, notes);
  if (!device.set_flags(state.added_flags, 0)) {
    return std::unexpected(
        Error{options.interface + ": does not come up: " + std::strerror(errno)});
  }
  if (device.driver() == "veth") {
    notes.push_back(options.interface +
                    ": a veth device: at its other end `ethtool -K DEVICE tx off tso off gso off` "
                    "is needed, as checksums are left unfinished there");
  }
  return {};
}

std::expected<DeviceBeneath, Error> DeviceBeneath::protect(const BeneathOptions& options) {
  const auto index = static_cast<int>(if_nametoindex(options.interface.c_str()));
  if (index == 0) {
    return std::unexpected(
        Error{options.interface + ": there is no such interface: `ip link` lists them"});
  }
  auto socket = RtnlSocket::open();
  if (!socket) return std::unexpected(socket.error());
  if (auto checked = check_free(*socket, options.interface, index); !checked) {
    return std::unexpected(checked.error());
  }
  const KernelDevice device(options.interface);
  BeneathState state = plan(options, device, *socket, index);
  const std::string path = state_path(options.state_dir, options.interface);
  std::ofstream file(path, std::ios::trunc);
  file << to_text(state);
  file.close();
  if (!file) {
    return std::unexpected(Error{path + ": cannot be written: " + std::strerror(errno) +
                                 ": daemon.run_dir must exist and be writable"});
  }
  auto impl = std::make_unique<Impl>(std::move(*socket), std::move(state), path);
  const auto applied = impl->apply(options);
  DeviceBeneath beneath(std::move(impl));  // restores when it did not work
  if (!applied) return std::unexpected(applied.error());
  return beneath;
}

DeviceBeneath::DeviceBeneath(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DeviceBeneath::DeviceBeneath(DeviceBeneath&&) noexcept = default;
DeviceBeneath& DeviceBeneath::operator=(DeviceBeneath&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
DeviceBeneath::~DeviceBeneath() {
  release();
}

void DeviceBeneath::release() {
  if (!impl_ || std::exchange(impl_->released, true)) return;
  restore(impl_->socket, impl_->state);
  std::error_code ignored;
  std::filesystem::remove(impl_->path, ignored);
}

const std::vector<std::string>& DeviceBeneath::notes() const {
  return impl_->notes;
}

std::vector<std::string> recover_devices(const std::string& state_dir) {
  std::vector<std::string> lines;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(state_dir, ignored)) {
    if (!entry.path().filename().string().starts_with(file_prefix)) continue;
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    if (const auto state = parse_beneath_state(text)) {
      if (auto socket = RtnlSocket::open()) {
        if (state->xdp) detach_xdp(*socket, state->index);
        restore(*socket, *state);
        lines.push_back(state->interface + ": restored, as an earlier daemon was killed");
      }
    }
    std::filesystem::remove(entry.path(), ignored);
  }
  return lines;
}

}  // namespace headgate::control
