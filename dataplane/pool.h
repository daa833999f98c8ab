// Pools of packet buffers (mbufs), and how many of them a daemon needs.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "dataplane/error.h"

struct rte_mempool;

namespace headgate::dataplane {

enum class PortKind : uint8_t { pci, af_xdp, af_packet, vdev };

// How the buffers lie in memory.
//   dma: DPDK's own way: no object crosses a page, each knows its IO address. What a NIC needs.
//   dense: one after the other without gaps, and without IO addresses. What AF_XDP needs: its
//     driver registers (number × size) bytes with the kernel, so with gaps the last objects lie
//     outside: with 4 kB pages four in ten. Also kinder to caches with 4 kB pages.
//   page: one object per 4 kB. Fits both, and wastes memory and cache sets: only for a daemon that
//     has NICs and AF_XDP ports.
enum class PoolLayout : uint8_t { dma, dense, page };
[[nodiscard]] PoolLayout choose_pool_layout(std::span<const PortKind> kinds);

struct PoolOptions {
  std::string name = "mbufs";  // unique in the process, at most 25 characters
  uint32_t mbufs = 8191;
  int socket = -1;  // NUMA node; -1: any
  PoolLayout layout = PoolLayout::dense;
  uint32_t buffer_size = 2048;  // room for data behind the headroom: the largest of all ports
  // Threads share cores, so one may be preempted inside the pool's ring: take the ring in which the
  // others then do not wait for it. It costs a little; per-thread caches hide most of it.
  bool shared_cores = true;
};

struct PoolDeleter {
  void operator()(rte_mempool* pool) const noexcept;
};
// Outlives every port that was started with it, and every mbuf.
using Pool = std::unique_ptr<rte_mempool, PoolDeleter>;
[[nodiscard]] std::expected<Pool, Error> make_pool(const PoolOptions& options);

// Buffers that a port's queues may hold at once.
struct PoolDemand {
  PortKind kind = PortKind::af_packet;
  uint16_t rx_queues = 1;
  uint16_t tx_queues = 1;
  uint16_t rx_descriptors = 0;
  uint16_t tx_descriptors = 0;
};
// With the rings between threads, held packets and caches of so many workers.
[[nodiscard]] uint32_t mbufs_needed(std::span<const PoolDemand> ports, uint16_t workers);
// For EalOptions::memory_mb: that many buffers, and what drivers and rings take.
[[nodiscard]] uint32_t estimate_memory_mb(uint32_t mbufs, PoolLayout layout, uint32_t buffer_size);

}  // namespace headgate::dataplane
