#include "dataplane/pool.h"

#include <gtest/gtest.h>
#include <rte_config.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "tests/unit/dataplane/eal_environment.h"

namespace headgate::dataplane {
namespace {

// What AF_XDP's driver tells the kernel about the pool's memory.
uint64_t registered_bytes(const rte_mempool* pool) {
  return static_cast<uint64_t>(pool->populated_size) *
         rte_mempool_calc_obj_size(pool->elt_size, pool->flags, nullptr);
}

struct Span {
  uintptr_t first = UINTPTR_MAX;
  uintptr_t end = 0;
};

Span span_of(rte_mempool* pool) {
  Span span;
  rte_mempool_obj_iter(
      pool,
      [](rte_mempool* of, void* argument, void* object, unsigned) {
        auto* all = static_cast<Span*>(argument);
        const auto begin = reinterpret_cast<uintptr_t>(object) - of->header_size;
        all->first = std::min(all->first, begin);
        all->end = std::max(all->end, begin + of->header_size + of->elt_size);
      },
      &span);
  return span;
}

TEST(Pool, LayoutFollowsThePorts) {
  const PortKind virtual_only[] = {PortKind::af_xdp, PortKind::af_packet, PortKind::vdev};
  const PortKind nics[] = {PortKind::pci, PortKind::af_packet};
  const PortKind mixed[] = {PortKind::pci, PortKind::af_xdp};
  EXPECT_EQ(choose_pool_layout(virtual_only), PoolLayout::dense);
  EXPECT_EQ(choose_pool_layout(nics), PoolLayout::dma);
  EXPECT_EQ(choose_pool_layout(mixed), PoolLayout::page);
}

TEST(Pool, LaysBuffersWithinWhatAfXdpRegistersWithTheKernel) {
  need_eal();
  for (const PoolLayout layout : {PoolLayout::dense, PoolLayout::page}) {
    auto pool = make_pool({.name = "layout", .mbufs = 4095, .layout = layout});
    ASSERT_TRUE(pool) << pool.error().text();
    EXPECT_EQ((*pool)->nb_mem_chunks, 1U);
    const Span span = span_of(pool->get());
    EXPECT_LE(span.end - span.first, registered_bytes(pool->get()));
  }
}

TEST(Pool, HasRoomForTheFrameInEveryLayout) {
  need_eal();
  for (const PoolLayout layout : {PoolLayout::dense, PoolLayout::dma, PoolLayout::page}) {
    auto pool = make_pool({.name = "room", .mbufs = 511, .layout = layout, .buffer_size = 3000});
    ASSERT_TRUE(pool) << pool.error().text();
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool->get());
    ASSERT_NE(mbuf, nullptr);
    EXPECT_GE(rte_pktmbuf_tailroom(mbuf), 3000);
    EXPECT_EQ(rte_pktmbuf_headroom(mbuf), RTE_PKTMBUF_HEADROOM);
    rte_pktmbuf_free(mbuf);
    EXPECT_EQ(rte_mempool_avail_count(pool->get()), 511U);
  }
}

TEST(Pool, RefusesFramesThatOnePageCannotHold) {
  need_eal();
  const auto pool =
      make_pool({.name = "jumbo", .mbufs = 63, .layout = PoolLayout::page, .buffer_size = 9216});
  ASSERT_FALSE(pool);
  EXPECT_NE(pool.error().text().find("9216"), std::string::npos);
}

TEST(Pool, RefusesFramesThatNoBufferCanHold) {
  need_eal();
  const auto pool = make_pool({.name = "giant", .mbufs = 63, .buffer_size = 65535});
  ASSERT_FALSE(pool);
  EXPECT_NE(pool.error().text().find("set a smaller mtu"), std::string::npos);
}

TEST(Pool, SaysSoWhenMemoryIsShort) {
  need_eal();
  const auto pool = make_pool({.name = "huge", .mbufs = 1U << 20});
  ASSERT_FALSE(pool);
  EXPECT_NE(pool.error().text().find("memory.memory_mb"), std::string::npos);
}

TEST(Pool, CountsWhatQueuesRingsAndCachesHold) {
  const PoolDemand nic{PortKind::pci, 2, 2, 1024, 1024};
  const PoolDemand xdp{PortKind::af_xdp, 1, 1, 2048, 2048};
  const uint32_t one_nic = mbufs_needed({&nic, 1}, 2);
  EXPECT_GE(one_nic, 4096U + 2 * 4 * 1024U);
  EXPECT_EQ((one_nic + 1) & one_nic, 0U);
  EXPECT_GE(mbufs_needed({&xdp, 1}, 1), 6144U + 4 * 1024U);
  const PoolDemand both[] = {nic, xdp};
  EXPECT_GT(mbufs_needed(both, 2), one_nic);
}

TEST(Pool, EstimatesAtLeastWhatThePoolTakes) {
  need_eal();
  auto pool = make_pool({.name = "estimate", .mbufs = 8191, .layout = PoolLayout::dense});
  ASSERT_TRUE(pool) << pool.error().text();
  const uint32_t estimate = estimate_memory_mb(8191, PoolLayout::dense, 2048);
  EXPECT_GE(static_cast<uint64_t>(estimate) << 20, registered_bytes(pool->get()));
  EXPECT_LE(estimate, 64U);
}

}  // namespace
}  // namespace headgate::dataplane
