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
#include <span>
#include <string>
#include <vector>

#include "dataplane/error.h"
#include "dataplane/net/address.h"
#include "dataplane/queue_plan.h"

struct rte_mempool;

namespace headgate::dataplane {

enum class PortKind : uint8_t { pci, af_xdp, af_packet, vdev };

struct PortOptions {
  std::string name;  // of the configuration, for messages
  PortKind kind = PortKind::af_packet;
  std::string device;           // PCI address, kernel interface, or vdev arguments
  uint16_t queues = 1;          // wanted of each direction: the number of workers as a rule
  uint16_t rx_descriptors = 0;  // 0: 1024, or the driver's liking
  uint16_t tx_descriptors = 0;  // 0: likewise
  std::optional<uint16_t> mtu;  // of layer 3; empty: the device's
  bool promiscuous = false;
  std::vector<uint8_t> rss_key;  // empty: the driver's
};

// Receive side scaling as the port really does it, for FULLNAT's choice of source ports. Toeplitz
// over addresses and TCP/UDP ports; a packet goes to queue reta[hash % reta.size()].
struct RssInfo {
  bool valid = false;  // false: unknown, or the port does not do it
  std::vector<uint8_t> key;
  std::vector<uint16_t> reta;
};

// For offloads that a later version uses; today frames go as they are, checksums complete.
struct PortOffloads {
  uint64_t rx = 0;
  uint64_t tx = 0;
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

// How packet buffers lie in memory.
//   dma: DPDK's way, objects never cross a page: what a NIC needs.
//   dense: one after the other, without gaps and without IO addresses: AF_XDP's driver registers
//     objects × size bytes with the kernel, and with gaps the last ones lie outside (with 4 kB
//     pages 40 % of them).
//   page: one object per 4 kB: fits both, for daemons with NICs and AF_XDP ports.
enum class PoolLayout : uint8_t { dma, dense, page };
[[nodiscard]] PoolLayout choose_pool_layout(std::span<const PortKind> kinds);

struct PoolOptions {
  std::string name;
  uint32_t mbufs = 8192;
  int socket = -1;  // NUMA socket; -1: any
  PoolLayout layout = PoolLayout::dense;
  uint16_t frame_size = 1518;  // the largest frame that must fit into one buffer
  // Threads may be preempted while they hold the pool's lock-free ring: take the slower ring that
  // does not make the others wait (adaptive workers that share cores).
  bool shared_cores = true;
};
struct PoolDeleter {
  void operator()(rte_mempool* pool) const noexcept;
};
using Pool = std::unique_ptr<rte_mempool, PoolDeleter>;
[[nodiscard]] std::expected<Pool, Error> make_pool(const PoolOptions& options);

// Buffers that ports, rings and caches may hold at once. Pure.
struct PoolDemand {
  PortKind kind;
  uint16_t queues;
  uint16_t rx_descriptors;
  uint16_t tx_descriptors;
};
[[nodiscard]] uint32_t mbufs_needed(std::span<const PoolDemand> ports, uint16_t workers);
// Memory for that many buffers plus drivers and rings, for EalOptions::memory_mb. Pure.
[[nodiscard]] uint32_t estimate_memory_mb(uint32_t mbufs, PoolLayout layout, uint16_t frame_size);

class Port {
 public:
  // Attaches the device. For AF_XDP and AF_PACKET call DeviceBeneath::protect() of control before.
  [[nodiscard]] static std::expected<Port, Error> open(const PortOptions& options);
  Port(Port&& other) noexcept;
  Port& operator=(Port&& other) noexcept;
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
  // The largest frame that may arrive: Ethernet header, one VLAN tag and the MTU.
  [[nodiscard]] uint16_t frame_size() const;
  [[nodiscard]] PoolDemand demand(const PortQueues& queues) const;

  // Sets up the queues, MTU, RSS and filters, and starts. Lines in `notes()` say what the device
  // would not do.
  [[nodiscard]] std::expected<void, Error> start(const PortQueues& queues, rte_mempool* pool);
  void stop();  // nothing may poll the queues any more

  [[nodiscard]] const RssInfo& rss() const { return rss_; }
  [[nodiscard]] const PortOffloads& offloads() const { return offloads_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] LinkStatus link() const;
  [[nodiscard]] PortStats stats() const;

 private:
  Port() = default;
  void close() noexcept;

  PortOptions options_;
  uint16_t id_ = 0xffff;  // 0xffff: closed
  int socket_ = 0;
  bool started_ = false;
  std::string dpdk_name_;
  net::MacAddress mac_;
  uint16_t mtu_ = 1500;
  uint16_t max_rx_queues_ = 1;
  uint16_t max_tx_queues_ = 1;
  RssInfo rss_;
  PortOffloads offloads_;
  std::vector<std::string> notes_;
};

}  // namespace headgate::dataplane
