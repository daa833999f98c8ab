// A pool of mbufs for tests that watches its buffers. Free ones are poisoned for AddressSanitizer,
// come back in the order in which they were freed, so as late as can be, and none is freed twice.
#pragma once

#include <cstdint>
#include <string>

#include <rte_mbuf.h>

namespace headgate::tests {

// Bytes that a worker may put in front of a frame: an outer IPv6 header and a VLAN tag.
inline constexpr uint32_t most_prepended = 44;

// Buffers of the default size, or null.
[[nodiscard]] rte_mempool* make_checked_pool(const std::string& name, unsigned mbufs);
// The end of it. Returns how many buffers did not come back.
[[nodiscard]] uint32_t free_checked_pool(rte_mempool* pool);

// Closes a buffer around the `length` bytes of its segment: what lies before them, but for
// `most_prepended` bytes, and behind them, but for `growth` bytes, is poisoned until it is freed.
void close_buffer(rte_mbuf* mbuf, uint32_t growth);

}  // namespace headgate::tests
