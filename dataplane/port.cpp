#include "dataplane/port.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_config.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "dataplane/packet_socket.h"

namespace headgate::dataplane {
namespace {

constexpr uint16_t no_port = 0xffff;

// For devices without an address (rings): locally administered, by the port's number.
net::MacAddress local_mac(uint16_t id) {
  return {{0x02, 0x68, 0x67, 0, static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id)}};
}

constexpr uint16_t default_descriptors = 1024;
constexpr uint16_t af_xdp_descriptors = 2048;  // the driver fills so many whatever one asks for
constexpr uint16_t af_packet_max_queues = 16;
constexpr uint32_t frame_overhead = 18;    // Ethernet header and one VLAN tag
constexpr uint32_t xdp_headroom = 256;     // the kernel's, in front of a frame
constexpr uint32_t af_packet_header = 96;  // the kernel's in front of a frame in the ring, at most
constexpr uint64_t wanted_rss = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

// Of NICs only: what a software port offers of this its driver does on our core, and more of it
// than we need (TAP sums whole frames). Never those of TCP and UDP: a virtio host that hears of
// them hands over frames whose checksums are unfinished. docs/architecture.md says why nothing else
// is used.
constexpr uint64_t wanted_rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;

bool on_kernel_interface(PortKind kind) {
  return kind == PortKind::af_xdp || kind == PortKind::af_packet;
}

// An ioctl on a kernel interface by name.
bool interface_ioctl(const std::string& interface, unsigned long request, ifreq& argument) {
  if (interface.empty() || interface.size() >= IFNAMSIZ) return false;
  std::memcpy(argument.ifr_name, interface.c_str(), interface.size() + 1);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool done = ioctl(fd, request, &argument) == 0;
  ::close(fd);
  return done;
}

// Queues that an AF_XDP socket can be bound to; a device that does not say has one.
uint16_t combined_channels(const std::string& interface) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq argument{};
  argument.ifr_data = reinterpret_cast<char*>(&channels);
  if (!interface_ioctl(interface, SIOCETHTOOL, argument)) return 1;
  return static_cast<uint16_t>(std::clamp<uint32_t>(channels.combined_count, 1, 1024));
}

uint16_t interface_mtu(const std::string& interface) {
  ifreq argument{};
  if (!interface_ioctl(interface, SIOCGIFMTU, argument)) return 1500;
  return static_cast<uint16_t>(std::clamp(argument.ifr_mtu, 68, 65535));
}

// A frame of the AF_PACKET ring: a power of two up to a page, whole pages above.
uint32_t ring_frame_size(uint16_t mtu) {
  constexpr uint32_t page = 4096;
  const uint32_t needed = std::max<uint32_t>(mtu + frame_overhead + af_packet_header, 2048);
  return needed <= page ? std::bit_ceil(needed) : (needed + page - 1) / page * page;
}

uint16_t wanted_mtu(const PortOptions& options) {
  if (options.mtu) return *options.mtu;
  return on_kernel_interface(options.kind) ? interface_mtu(options.device) : uint16_t{1500};
}

uint32_t buffer_size_for(PortKind kind, uint16_t mtu) {
  const uint32_t frame = std::max<uint32_t>(mtu + frame_overhead, 1522);
  switch (kind) {
    // The driver insists on a buffer as large as the ring's frame.
    case PortKind::af_packet:
      return ring_frame_size(mtu);
    case PortKind::af_xdp:
      return std::max<uint32_t>(frame + xdp_headroom, 2048);
    // Drivers round the size down to whole kilobytes.
    default:
      return (frame + 1023) / 1024 * 1024;
  }
}

uint16_t descriptors(PortKind kind, uint16_t wanted) {
  if (kind != PortKind::af_xdp) return wanted != 0 ? wanted : default_descriptors;
  return wanted != 0 ? std::bit_ceil(std::min<uint16_t>(wanted, 16384)) : af_xdp_descriptors;
}

struct Vdev {
  std::string name;
  std::string arguments;
};

Vdev af_packet_vdev(const PortOptions& options, uint16_t mtu) {
  const uint32_t frame = ring_frame_size(mtu);
  const uint32_t block = std::max<uint32_t>(frame, 4096);
  const uint32_t frames =
      options.rx_descriptors != 0
          ? std::bit_ceil<uint32_t>(std::max<uint16_t>(options.rx_descriptors, 64))
          : default_descriptors;
  const uint16_t queues = std::clamp<uint16_t>(options.queues, 1, af_packet_max_queues);
  return {"net_af_packet_" + options.device,
          "iface=" + options.device + ",qpairs=" + std::to_string(queues) +
              ",framesz=" + std::to_string(frame) + ",blocksz=" + std::to_string(block) +
              ",framecnt=" + std::to_string(frames) + ",qdisc_bypass=1"};
}

Vdev af_xdp_vdev(const PortOptions& options) {
  const uint16_t queues =
      std::clamp<uint16_t>(options.queues, 1, combined_channels(options.device));
  std::string arguments =
      "iface=" + options.device + ",start_queue=0,queue_count=" + std::to_string(queues);
  // Zero-copy drivers need buffers that are contiguous for the device, which 4 kB pages are not.
  if (rte_eal_has_hugepages() == 0) arguments += ",force_copy=1";
  return {"net_af_xdp_" + options.device, arguments};
}

Vdev raw_vdev(const PortOptions& options) {
  const size_t comma = options.device.find(',');
  if (comma == std::string::npos) return {options.device, ""};
  return {options.device.substr(0, comma), options.device.substr(comma + 1)};
}

Vdev vdev_of(const PortOptions& options, uint16_t mtu) {
  switch (options.kind) {
    case PortKind::af_packet:
      return af_packet_vdev(options, mtu);
    case PortKind::af_xdp:
      return af_xdp_vdev(options);
    default:
      return raw_vdev(options);
  }
}

// 3b:00.0 is short for 0000:3b:00.0.
std::string canonical_pci(const std::string& address) {
  return std::ranges::count(address, ':') == 1 ? "0000:" + address : address;
}

Error port_error(const PortOptions& options, const std::string& what, int code,
                 std::string remedy = "DPDK's lines above say why") {
  const std::string reason = code == 0 ? "" : std::string(": ") + rte_strerror(std::abs(code));
  return {"port " + options.name + " (" + options.device + "): " + what + reason,
          std::move(remedy)};
}

std::expected<void, Error> check_kernel_interface(const PortOptions& options, uint16_t mtu) {
  if (if_nametoindex(options.device.c_str()) == 0) {
    return std::unexpected(port_error(options, "there is no such interface", 0,
                                      "`ip link` lists those of this network namespace"));
  }
  constexpr uint32_t af_xdp_max_mtu = 4096 - 64 - 128 - 128 - xdp_headroom - frame_overhead;
  if (options.kind == PortKind::af_xdp && mtu > af_xdp_max_mtu) {
    return std::unexpected(port_error(options,
                                      "AF_XDP takes no MTU above " + std::to_string(af_xdp_max_mtu),
                                      0, "set a smaller mtu, or driver: af_packet"));
  }
  return {};
}

std::string open_remedy(PortKind kind) {
  switch (kind) {
    case PortKind::pci:
      return "bind it: dpdk-devbind.py --bind=vfio-pci ADDRESS (not for Mellanox cards)";
    case PortKind::af_xdp:
      return "DPDK's lines above say why; driver: af_packet may work";
    default:
      return "DPDK's lines above say why";
  }
}

}  // namespace

Port::Port(PortOptions options) : options_(std::move(options)) {}

std::expected<std::unique_ptr<Port>, Error> Port::open(const PortOptions& options) {
  std::unique_ptr<Port> port(new Port(options));
  if (auto attached = port->attach(); !attached) return std::unexpected(attached.error());
  if (auto read = port->read_capabilities(); !read) return std::unexpected(read.error());
  return port;
}

std::expected<void, Error> Port::attach() {
  const PortKind kind = options_.kind;
  mtu_ = wanted_mtu(options_);
  if (on_kernel_interface(kind)) {
    if (auto checked = check_kernel_interface(options_, mtu_); !checked) return checked;
  }
  if (kind == PortKind::pci) {
    dpdk_name_ = canonical_pci(options_.device);
  } else {
    const Vdev vdev = vdev_of(options_, mtu_);
    errno = 0;  // the AF_XDP driver of DPDK 22.11 takes an old EOPNOTSUPP for its own
    const int code = rte_eal_hotplug_add("vdev", vdev.name.c_str(), vdev.arguments.c_str());
    if (code != 0) {
      return std::unexpected(port_error(options_, "cannot be opened", code, open_remedy(kind)));
    }
    dpdk_name_ = vdev.name;
  }
  if (rte_eth_dev_get_port_by_name(dpdk_name_.c_str(), &id_) == 0) return {};
  id_ = no_port;
  return std::unexpected(port_error(options_, "DPDK drives no such device", 0, open_remedy(kind)));
}

std::expected<void, Error> Port::read_capabilities() {
  rte_eth_dev_info info{};
  rte_ether_addr mac{};
  int code = rte_eth_dev_info_get(id_, &info);
  if (code == 0) code = rte_eth_macaddr_get(id_, &mac);
  if (code != 0) return std::unexpected(port_error(options_, "does not describe itself", code));
  std::memcpy(mac_.bytes.data(), mac.addr_bytes, mac_.bytes.size());
  if (mac_.is_zero()) mac_ = local_mac(id_);
  socket_ = std::max(rte_eth_dev_socket_id(id_), 0);
  max_rx_queues_ = std::max<uint16_t>(info.max_rx_queues, 1);
  max_tx_queues_ = std::max<uint16_t>(info.max_tx_queues, 1);
  uint16_t mtu = 0;
  if (options_.kind == PortKind::pci && !options_.mtu && rte_eth_dev_get_mtu(id_, &mtu) == 0) {
    mtu_ = mtu;
  }
  if (options_.kind == PortKind::af_packet) {
    packet_sockets_ = packet_sockets(static_cast<int>(if_nametoindex(options_.device.c_str())));
    if (std::ranges::any_of(packet_sockets_, reassembles_fragments)) {
      notes_.push_back(name() + ": the kernel reassembles fragments before this port sees them");
    }
  }
  return {};
}

PortLimits Port::limits() const {
  return {options_.name, std::min(max_rx_queues_, std::max<uint16_t>(options_.queues, 1)),
          std::min(max_tx_queues_, std::max<uint16_t>(options_.queues, 1))};
}

uint32_t Port::buffer_size() const {
  return buffer_size_for(options_.kind, mtu_);
}

PoolDemand Port::demand(const PortQueues& queues) const {
  return {options_.kind, queues.rx_queues, queues.tx_queues,
          descriptors(options_.kind, options_.rx_descriptors),
          descriptors(options_.kind, options_.tx_descriptors)};
}

PortNeeds expected_needs(const PortOptions& options) {
  return {{options.kind, options.queues, options.queues,
           descriptors(options.kind, options.rx_descriptors),
           descriptors(options.kind, options.tx_descriptors)},
          buffer_size_for(options.kind, wanted_mtu(options))};
}

std::expected<void, Error> Port::start(const PortQueues& queues, rte_mempool* pool) {
  rte_eth_dev_info info{};
  int code = rte_eth_dev_info_get(id_, &info);
  if (code != 0) return std::unexpected(port_error(options_, "does not describe itself", code));
  if (auto configured = configure(queues, info); !configured) return configured;
  if (auto set_up = set_up_queues(queues, info, pool); !set_up) return set_up;
  code = rte_eth_dev_start(id_);
  if (code != 0) return std::unexpected(port_error(options_, "does not start", code));
  started_ = true;
  ever_started_ = true;
  set_filters();
  read_rss(queues.rx_queues, info);
  return {};
}

std::expected<void, Error> Port::configure(const PortQueues& queues, const rte_eth_dev_info& info) {
  rte_eth_conf conf{};
  rx_offloads_ = options_.kind == PortKind::pci ? info.rx_offload_capa & wanted_rx_offloads : 0;
  conf.rxmode.offloads = rx_offloads_;
  const uint64_t rss = info.flow_type_rss_offloads & wanted_rss;
  if (queues.rx_queues > 1 && rss != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = rss;
    if (options_.rss_key.size() == info.hash_key_size) {
      conf.rx_adv_conf.rss_conf.rss_key = options_.rss_key.data();
      conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
    } else if (!options_.rss_key.empty()) {
      notes_.push_back(name() + ": rss_key: the device wants " +
                       std::to_string(info.hash_key_size) + " bytes; its own key is used");
    }
  }
  // The AF_PACKET driver believes in 1500 whatever its frames hold.
  if (options_.kind == PortKind::pci || options_.kind == PortKind::af_xdp) conf.rxmode.mtu = mtu_;
  const int code = rte_eth_dev_configure(id_, queues.rx_queues, queues.tx_queues, &conf);
  if (code == 0) return {};
  return std::unexpected(port_error(options_,
                                    "does not take " + std::to_string(queues.rx_queues) +
                                        " receive and " + std::to_string(queues.tx_queues) +
                                        " transmit queues with an MTU of " + std::to_string(mtu_),
                                    code));
}

std::expected<void, Error> Port::set_up_queues(const PortQueues& queues,
                                               const rte_eth_dev_info& info, rte_mempool* pool) {
  uint16_t rx = descriptors(options_.kind, options_.rx_descriptors);
  uint16_t tx = descriptors(options_.kind, options_.tx_descriptors);
  if (options_.kind == PortKind::pci) rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  const auto socket = static_cast<unsigned>(socket_);
  rte_eth_txconf tx_conf = info.default_txconf;
  tx_conf.offloads = 0;
  for (uint16_t queue = 0; queue < queues.tx_queues; ++queue) {
    const int code = rte_eth_tx_queue_setup(id_, queue, tx, socket, &tx_conf);
    if (code != 0) return std::unexpected(port_error(options_, "transmit queue", code));
  }
  if (options_.kind == PortKind::af_xdp && pool->nb_mem_chunks != 1) {
    return std::unexpected(port_error(options_, "the buffers are not one piece of memory", 0,
                                      "raise memory.memory_mb"));
  }
  for (uint16_t queue = 0; queue < queues.rx_queues; ++queue) {
    errno = 0;
    const int code = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pool);
    if (code != 0) {
      beyond_repair_ = options_.kind == PortKind::af_xdp;
      return std::unexpected(
          port_error(options_, "receive queue", code,
                     options_.kind == PortKind::af_xdp
                         ? "DPDK's lines above say why; is another XDP program on it (`ip link`)?"
                         : "DPDK's lines above say why"));
    }
  }
  return {};
}

// ARP, ND and VRRP come to multicast addresses. On kernel interfaces DeviceBeneath does this.
void Port::set_filters() {
  if (on_kernel_interface(options_.kind)) return;
  if (options_.promiscuous && rte_eth_promiscuous_enable(id_) != 0) {
    notes_.push_back(name() + ": promiscuous mode is not supported");
  }
  if (options_.promiscuous || rte_eth_allmulticast_enable(id_) == 0) return;
  if (rte_eth_promiscuous_enable(id_) != 0 && options_.kind == PortKind::pci) {
    notes_.push_back(name() + ": no all-multicast and no promiscuous mode: " +
                     "ND and VRRP may not reach the twin");
  }
}

void Port::read_rss(uint16_t rx_queues, const rte_eth_dev_info& info) {
  rss_ = {};
  if (rx_queues < 2 || info.hash_key_size == 0 || info.reta_size == 0) return;
  rss_.key.resize(info.hash_key_size);
  rte_eth_rss_conf conf{};
  conf.rss_key = rss_.key.data();
  conf.rss_key_len = info.hash_key_size;
  if (rte_eth_dev_rss_hash_conf_get(id_, &conf) != 0) return;
  std::vector<rte_eth_rss_reta_entry64> table((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1U) /
                                              RTE_ETH_RETA_GROUP_SIZE);
  for (rte_eth_rss_reta_entry64& group : table) {
    group.mask = ~uint64_t{0};
  }
  if (rte_eth_dev_rss_reta_query(id_, table.data(), info.reta_size) != 0) return;
  for (uint16_t i = 0; i < info.reta_size; ++i) {
    rss_.reta.push_back(table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE]);
  }
  rss_.tcp4_ports = (conf.rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0;
  rss_.udp4_ports = (conf.rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_UDP) != 0;
  rss_.tcp6_ports = (conf.rss_hf & RTE_ETH_RSS_NONFRAG_IPV6_TCP) != 0;
  rss_.udp6_ports = (conf.rss_hf & RTE_ETH_RSS_NONFRAG_IPV6_UDP) != 0;
  rss_.valid = true;
}

void Port::stop() {
  if (!started_) return;
  rte_eth_dev_stop(id_);
  started_ = false;
}

LinkStatus Port::link() const {
  if (id_ == no_port) return {};
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(id_, &link) != 0) return {};
  LinkStatus status{link.link_status == RTE_ETH_LINK_UP,
                    link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed};
  if (on_kernel_interface(options_.kind)) {  // these drivers always say "up"
    ifreq argument{};
    status.up = status.up && interface_ioctl(options_.device, SIOCGIFFLAGS, argument) &&
                (argument.ifr_flags & IFF_RUNNING) != 0;
  }
  return status;
}

PortStats Port::stats() const {
  if (id_ == no_port) return {};
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) != 0) return {};
  if (started_) {  // the AF_PACKET driver of DPDK 22.11 does not ask for these
    for (const int socket : packet_sockets_) {
      packet_drops_ += take_packet_drops(socket);
    }
  }
  return {.rx_packets = stats.ipackets,
          .tx_packets = stats.opackets,
          .rx_bytes = stats.ibytes,
          .tx_bytes = stats.obytes,
          .rx_missed = stats.imissed + packet_drops_,
          .rx_errors = stats.ierrors,
          .tx_errors = stats.oerrors,
          .rx_no_mbuf = stats.rx_nombuf};
}

Port::~Port() {
  if (filter_socket_ >= 0) ::close(filter_socket_);
  // After a failed queue the AF_XDP driver of DPDK 22.11 would free it again.
  if (id_ == no_port || beyond_repair_) return;
  stop();
  rte_eth_dev_close(id_);
  if (options_.kind != PortKind::pci) rte_eal_hotplug_remove("vdev", dpdk_name_.c_str());
  // The AF_PACKET driver closes its sockets when it is stopped, which takes a start before.
  if (ever_started_) return;
  for (const int socket : packet_sockets_) {
    ::close(socket);
  }
}

}  // namespace headgate::dataplane
