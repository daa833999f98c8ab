#include "dataplane/pool.h"

#include <algorithm>
#include <bit>

#include <rte_config.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dataplane/exception.h"
#include "dataplane/limits.h"

namespace headgate::dataplane {
namespace {

constexpr uint32_t cache_size = 256;
constexpr uint32_t page_size = 4096;
// What AF_XDP's driver puts into the fill queue of each queue, whatever one asks for.
constexpr uint32_t af_xdp_fill = 2048;

// Bytes of an object before the data: mempool's header and the mbuf's.
constexpr uint32_t object_overhead =
    RTE_CACHE_LINE_ROUNDUP(sizeof(rte_mempool_objhdr)) + sizeof(rte_mbuf);

uint32_t data_room(const PoolOptions& options) {
  if (options.layout == PoolLayout::page) return page_size - object_overhead;
  return RTE_PKTMBUF_HEADROOM + options.buffer_size;
}

unsigned pool_flags(PoolLayout layout) {
  switch (layout) {
    case PoolLayout::dma:
      return 0;
    case PoolLayout::dense:
      return RTE_MEMPOOL_F_NO_IOVA_CONTIG;
    case PoolLayout::page:
      return RTE_MEMPOOL_F_NO_SPREAD;
  }
  return 0;
}

Error no_memory(const PoolOptions& options, int code) {
  return {
      "no memory for " + std::to_string(options.mbufs) + " packet buffers: " + rte_strerror(code),
      "raise memory.memory_mb or lower memory.mbufs_per_port"};
}

}  // namespace

PoolLayout choose_pool_layout(std::span<const PortKind> kinds) {
  const bool has_nic = std::ranges::count(kinds, PortKind::pci) > 0;
  const bool has_xdp = std::ranges::count(kinds, PortKind::af_xdp) > 0;
  if (!has_nic) return PoolLayout::dense;
  return has_xdp ? PoolLayout::page : PoolLayout::dma;
}

void PoolDeleter::operator()(rte_mempool* pool) const noexcept {
  rte_mempool_free(pool);
}

std::expected<Pool, Error> make_pool(const PoolOptions& options) {
  if (options.layout == PoolLayout::page &&
      options.buffer_size + RTE_PKTMBUF_HEADROOM > data_room(options)) {
    return std::unexpected(
        Error{"frames of " + std::to_string(options.buffer_size) +
                  " bytes do not fit the buffers that NICs and AF_XDP ports can share",
              "set an MTU up to 3500 on every port, or use one kind of port"});
  }
  const uint32_t room = data_room(options);
  if (room > UINT16_MAX) {
    return std::unexpected(Error{
        "frames of " + std::to_string(options.buffer_size) + " bytes do not fit a packet buffer",
        "set a smaller mtu on the port"});
  }
  Pool pool(rte_mempool_create_empty(
      options.name.c_str(), options.mbufs, static_cast<unsigned>(sizeof(rte_mbuf)) + room,
      cache_size, sizeof(rte_pktmbuf_pool_private), options.socket, pool_flags(options.layout)));
  if (!pool) return std::unexpected(no_memory(options, rte_errno));
  const char* ring = options.shared_cores ? "ring_mt_rts" : "ring_mp_mc";
  if (rte_mempool_set_ops_byname(pool.get(), ring, nullptr) != 0) {
    return std::unexpected(Error{std::string("DPDK has no mempool driver ") + ring,
                                 "install DPDK's drivers (librte-mempool-ring)"});
  }
  rte_pktmbuf_pool_private sizes{};
  sizes.mbuf_data_room_size = static_cast<uint16_t>(room);
  rte_pktmbuf_pool_init(pool.get(), &sizes);
  const int populated = rte_mempool_populate_default(pool.get());
  if (populated < 0) return std::unexpected(no_memory(options, -populated));
  rte_mempool_obj_iter(pool.get(), rte_pktmbuf_init, nullptr);
  return pool;
}

uint32_t mbufs_needed(std::span<const PoolDemand> ports, uint16_t workers) {
  uint32_t count = 0;
  for (const PoolDemand& port : ports) {
    const uint32_t rx = port.rx_queues;
    const uint32_t tx = port.tx_queues;
    switch (port.kind) {
      case PortKind::pci:
      case PortKind::vdev:
        count += rx * port.rx_descriptors + tx * port.tx_descriptors;
        break;
      // Transmitted buffers come back through a completion queue as long as the ring itself.
      case PortKind::af_xdp:
        count += rx * af_xdp_fill + tx * 2 * port.tx_descriptors;
        break;
      case PortKind::af_packet:
        break;  // copies, both ways
    }
    count += workers * (tx_buffer_frames + burst_frames);
  }
  // A thread's cache holds up to half as much again; the exception thread and control have one too.
  count += (workers + 2U) * (cache_size + cache_size / 2);
  // Those to the twins but for the probes', and the one from there.
  count += workers * (twin_class_count * exception_ring_size + probe_ring_size + held_packets);
  // The pool's ring has a power of two less one.
  return std::bit_ceil(count + 1) - 1;
}

uint32_t estimate_memory_mb(uint32_t mbufs, PoolLayout layout, uint32_t buffer_size) {
  constexpr uint64_t mb = 1U << 20;
  constexpr uint64_t spread = uint64_t{3} * RTE_CACHE_LINE_SIZE;
  constexpr uint64_t rings_and_drivers_mb = 32;
  uint64_t object = object_overhead + RTE_PKTMBUF_HEADROOM + buffer_size + spread;
  if (layout != PoolLayout::dense) object = (object + page_size - 1) / page_size * page_size;
  const uint64_t pool_mb = (mbufs * (object + sizeof(void*)) + mb - 1) / mb;
  return static_cast<uint32_t>(pool_mb + rings_and_drivers_mb);
}

}  // namespace headgate::dataplane
