// Ports: what DPDK drives. A NIC by PCI address, a kernel interface through AF_XDP or AF_PACKET, or
// a vdev by its DPDK arguments (net_ring0, net_null0, net_pcap0,…, net_memif0,…,
// net_virtio_user0,…).
//
//   open every port -> plan_queues(limits of all) -> make_pools -> configure and start each
//
// A port is opened, used and closed by the control thread; workers call only rte_eth_rx_burst and
// rte_eth_tx_burst on their own queues while it is started.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/error.h"
#include "dataplane/net/address.h"
#include "dataplane/pool.h"
#include "dataplane/queue_plan.h"

struct rte_eth_dev_info;

namespace headgate::dataplane {

struct PortOptions {
  std::string name{};  // of the configuration, for messages
  PortKind kind = PortKind::af_packet;
  std::string device{};           // PCI address, kernel interface, or vdev arguments
  uint16_t queues = 1;            // wanted of each direction: the number of workers as a rule
  uint16_t rx_descriptors = 0;    // 0: 1024, or the driver's liking
  uint16_t tx_descriptors = 0;    // 0: likewise
  std::optional<uint16_t> mtu{};  // of layer 3; empty: the device's
  bool promiscuous = false;
  std::vector<uint8_t> rss_key{};  // empty: the driver's
};

// Receive side scaling as the port really does it, for FULLNAT's choice of source ports. Toeplitz
// over addresses and TCP/UDP ports; a packet goes to queue reta[hash % reta.size()].
struct RssInfo {
  bool valid = false;  // false: unknown, or the port does not do it
  // Ports are part of the hash for these; else only the addresses are.
  bool tcp4_ports = false;
  bool udp4_ports = false;
  bool tcp6_ports = false;
  bool udp6_ports = false;
  std::vector<uint8_t> key;
  std::vector<uint16_t> reta;
};

struct PortStats {  // since start
  uint64_t rx_packets = 0;
  uint64_t tx_packets = 0;
  uint64_t rx_bytes = 0;
  uint64_t tx_bytes = 0;
  uint64_t rx_missed = 0;  // the NIC or the kernel had no room left
  uint64_t rx_errors = 0;
  uint64_t tx_errors = 0;
  uint64_t rx_no_mbuf = 0;
};

struct LinkStatus {
  bool up = false;
  uint32_t speed_mbps = 0;  // 0: unknown
};

// What a port will need of the pool, before DPDK is started and the port is there to ask: its
// queues may turn out to be fewer.
struct PortNeeds {
  PoolDemand demand;
  uint32_t buffer_size = 0;
};
[[nodiscard]] PortNeeds expected_needs(const PortOptions& options);

class Port {
 public:
  // Attaches the device. For AF_XDP and AF_PACKET call DeviceBeneath::protect() of control before.
  [[nodiscard]] static std::expected<std::unique_ptr<Port>, Error> open(const PortOptions& options);
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port();  // stops and closes; the pools must still be there

  [[nodiscard]] const std::string& name() const { return options_.name; }
  [[nodiscard]] PortKind kind() const { return options_.kind; }
  [[nodiscard]] uint16_t id() const { return id_; }     // DPDK's
  [[nodiscard]] int socket() const { return socket_; }  // NUMA; 0 when unknown
  [[nodiscard]] PortLimits limits() const;
  [[nodiscard]] net::MacAddress mac() const { return mac_; }
  [[nodiscard]] uint16_t mtu() const { return mtu_; }
  // What a buffer must have room for behind the usual headroom: PoolOptions::buffer_size.
  [[nodiscard]] uint32_t buffer_size() const;
  [[nodiscard]] PoolDemand demand(const PortQueues& queues) const;

  // Sets up the queues, MTU, RSS and filters, and starts. Lines in `notes()` say what the device
  // would not do.
  [[nodiscard]] std::expected<void, Error> start(const PortQueues& queues, rte_mempool* pool);
  void stop();  // nothing may poll the queues any more

  // Frames to this unicast MAC are received as well, until remove_mac() or the end: by the device's
  // filter, on a kernel interface by the kernel's, and where there is no room in it by promiscuous
  // mode. Says which, for the log; an error where frames to it may not come.
  [[nodiscard]] std::expected<std::string, Error> add_mac(const net::MacAddress& mac);
  void remove_mac(const net::MacAddress& mac);

  [[nodiscard]] const RssInfo& rss() const { return rss_; }
  // RTE_ETH_RX_OFFLOAD_*, as configured. Of transmit offloads none is used: see port.cpp.
  [[nodiscard]] uint64_t rx_offloads() const { return rx_offloads_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] LinkStatus link() const;
  [[nodiscard]] PortStats stats() const;

 private:
  explicit Port(PortOptions options);
  [[nodiscard]] std::expected<void, Error> attach();
  [[nodiscard]] std::expected<void, Error> read_capabilities();
  [[nodiscard]] std::expected<void, Error> configure(const PortQueues& queues,
                                                     const rte_eth_dev_info& info);
  [[nodiscard]] std::expected<void, Error> set_up_queues(const PortQueues& queues,
                                                         const rte_eth_dev_info& info,
                                                         rte_mempool* pool);
  void set_filters();
  void read_rss(uint16_t rx_queues, const rte_eth_dev_info& info);
  [[nodiscard]] bool change_kernel_filter(const net::MacAddress& mac, bool add);
  [[nodiscard]] std::expected<std::string, Error> receive_all();
  PortOptions options_;
  std::string dpdk_name_;
  uint16_t id_ = 0xffff;  // 0xffff: not attached
  int socket_ = 0;
  bool started_ = false;
  bool ever_started_ = false;
  bool beyond_repair_ = false;               // not to be closed: the process ends anyway
  std::vector<int> packet_sockets_;          // AF_PACKET: the driver's, one per queue
  int filter_socket_ = -1;                   // on a kernel interface: holds the MACs of add_mac()
  std::vector<net::MacAddress> unfiltered_;  // MACs for which the port is promiscuous
  bool promiscuous_for_macs_ = false;        // by us alone
  mutable uint64_t packet_drops_ = 0;
  net::MacAddress mac_;
  uint16_t mtu_ = 1500;
  uint16_t max_rx_queues_ = 1;
  uint16_t max_tx_queues_ = 1;
  RssInfo rss_;
  uint64_t rx_offloads_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace headgate::dataplane
