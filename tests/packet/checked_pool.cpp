#include "tests/packet/checked_pool.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <new>
#include <unordered_set>

#include <rte_mempool.h>

#ifdef HEADGATE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace headgate::tests {
namespace {

constexpr const char* ops_name = "headgate_checked";

struct Free {
  std::deque<void*> in_order;
  std::unordered_set<void*> all;
};

Free& free_of(const rte_mempool* pool) {
  return *static_cast<Free*>(pool->pool_data);
}

// The mbuf itself stays readable: DPDK looks at free ones.
void poison([[maybe_unused]] void* mbuf) {
#ifdef HEADGATE_ASAN
  __asan_poison_memory_region(static_cast<uint8_t*>(mbuf) + sizeof(rte_mbuf),
                              RTE_MBUF_DEFAULT_BUF_SIZE);
#endif
}
void unpoison([[maybe_unused]] void* mbuf) {
#ifdef HEADGATE_ASAN
  __asan_unpoison_memory_region(static_cast<uint8_t*>(mbuf) + sizeof(rte_mbuf),
                                RTE_MBUF_DEFAULT_BUF_SIZE);
#endif
}

int allocate_list(rte_mempool* pool) {
  pool->pool_data = new (std::nothrow) Free;
  return pool->pool_data == nullptr ? -ENOMEM : 0;
}

void free_list(rte_mempool* pool) {
  delete &free_of(pool);
}

int enqueue(rte_mempool* pool, void* const* mbufs, unsigned count) {
  Free& free = free_of(pool);
  for (unsigned i = 0; i < count; ++i) {
    if (!free.all.insert(mbufs[i]).second) {
      std::fprintf(stderr, "rig: a buffer is freed twice\n");
      std::abort();
    }
    free.in_order.push_back(mbufs[i]);
    poison(mbufs[i]);
  }
  return 0;
}

int dequeue(rte_mempool* pool, void** mbufs, unsigned count) {
  Free& free = free_of(pool);
  if (free.in_order.size() < count) return -ENOBUFS;
  for (unsigned i = 0; i < count; ++i) {
    mbufs[i] = free.in_order.front();
    free.in_order.pop_front();
    free.all.erase(mbufs[i]);
    unpoison(mbufs[i]);
  }
  return 0;
}

unsigned count_of(const rte_mempool* pool) {
  return static_cast<unsigned>(free_of(pool).in_order.size());
}

bool register_ops() {
  rte_mempool_ops ops{};
  std::snprintf(ops.name, sizeof(ops.name), "%s", ops_name);
  ops.alloc = allocate_list;
  ops.free = free_list;
  ops.enqueue = enqueue;
  ops.dequeue = dequeue;
  ops.get_count = count_of;
  return rte_mempool_register_ops(&ops) >= 0;
}

}  // namespace

rte_mempool* make_checked_pool(const std::string& name, unsigned mbufs) {
  static const bool registered = register_ops();
  if (!registered) return nullptr;
  // Without a cache: every buffer passes the functions above.
  return rte_pktmbuf_pool_create_by_ops(name.c_str(), mbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0,
                                        ops_name);
}

uint32_t free_checked_pool(rte_mempool* pool) {
  const uint32_t lost = rte_mempool_in_use_count(pool);
  // Of lost ones as well: the memory is used for something else from now on.
  rte_mempool_obj_iter(
      pool, [](rte_mempool*, void*, void* mbuf, unsigned) { unpoison(mbuf); }, nullptr);
  rte_mempool_free(pool);
  return lost;
}

void close_buffer([[maybe_unused]] rte_mbuf* mbuf, [[maybe_unused]] uint32_t growth) {
#ifdef HEADGATE_ASAN
  auto* buffer = static_cast<uint8_t*>(mbuf->buf_addr);
  if (mbuf->data_off > most_prepended) {
    __asan_poison_memory_region(buffer, mbuf->data_off - most_prepended);
  }
  const uint32_t used = mbuf->data_off + mbuf->data_len + growth;
  if (used < mbuf->buf_len) __asan_poison_memory_region(buffer + used, mbuf->buf_len - used);
#endif
}

}  // namespace headgate::tests
