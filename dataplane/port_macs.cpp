// MACs that a port receives beside its own: those of virtual routers.
//
// A NIC has a few filters for them; one that has none, or no more, is made promiscuous, which the
// workers do not mind: they look at each frame's MAC anyway. Beneath AF_PACKET and AF_XDP ports the
// kernel's device filters, and a membership of a packet socket is the way to tell it: the kernel
// knows what the device can, and takes it back when the process ends, however it ends.
#include <cstring>
#include <unistd.h>

#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_config.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <sys/socket.h>

#include "dataplane/port.h"

namespace headgate::dataplane {
namespace {

rte_ether_addr ether_address(const net::MacAddress& mac) {
  rte_ether_addr address{};
  std::memcpy(address.addr_bytes, mac.bytes.data(), mac.bytes.size());
  return address;
}

}  // namespace

bool Port::change_kernel_filter(const net::MacAddress& mac, bool add) {
  // Protocol 0: a socket that receives nothing.
  if (filter_socket_ < 0) filter_socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  packet_mreq membership{};
  membership.mr_ifindex = static_cast<int>(if_nametoindex(options_.device.c_str()));
  membership.mr_type = PACKET_MR_UNICAST;
  membership.mr_alen = static_cast<unsigned short>(mac.bytes.size());
  std::memcpy(membership.mr_address, mac.bytes.data(), mac.bytes.size());
  return setsockopt(filter_socket_, SOL_PACKET,
                    add ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP, &membership,
                    sizeof(membership)) == 0;
}

std::expected<std::string, Error> Port::receive_all() {
  if (rte_eth_promiscuous_get(id_) != 1) {
    if (const int code = rte_eth_promiscuous_enable(id_); code != 0) {
      return std::unexpected(
          Error{"port " + name() + ": neither a filter for a virtual MAC nor promiscuous mode: " +
                    std::string(rte_strerror(-code)),
                "leave virtual_mac off for virtual routers on this port"});
    }
    promiscuous_for_macs_ = true;
  }
  return name() + ": virtual MACs are received by promiscuous mode";
}

std::expected<std::string, Error> Port::add_mac(const net::MacAddress& mac) {
  if (options_.kind == PortKind::af_packet || options_.kind == PortKind::af_xdp) {
    if (change_kernel_filter(mac, true)) {
      return name() + ": virtual MACs are received by the filter of " + options_.device;
    }
    return std::unexpected(Error{"port " + name() + ": " + options_.device +
                                     " takes no virtual MAC: " + std::strerror(errno),
                                 "set promiscuous: on for this port"});
  }
  rte_ether_addr address = ether_address(mac);
  if (rte_eth_dev_mac_addr_add(id_, &address, 0) == 0) {
    return name() + ": virtual MACs are received by the filters of " + options_.device;
  }
  auto received = receive_all();
  if (received) unfiltered_.push_back(mac);
  return received;
}

void Port::remove_mac(const net::MacAddress& mac) {
  if (options_.kind == PortKind::af_packet || options_.kind == PortKind::af_xdp) {
    (void)change_kernel_filter(mac, false);
    return;
  }
  if (std::erase(unfiltered_, mac) == 0) {
    rte_ether_addr address = ether_address(mac);
    (void)rte_eth_dev_mac_addr_remove(id_, &address);
  } else if (unfiltered_.empty() && promiscuous_for_macs_) {
    (void)rte_eth_promiscuous_disable(id_);
    promiscuous_for_macs_ = false;
  }
}

}  // namespace headgate::dataplane
