// Blocks of the snapshot: variable sizes, on cache-line boundaries, inside the region's snapshot
// area.
//
// The bookkeeping is kept beside the area, not in it as Boost.Interprocess's allocators do: free
// memory can then be poisoned whole for AddressSanitizer, a foreign process sees nothing but
// blocks, and a stray write cannot break the allocator. Best fit with merging, all in O(log n). Any
// thread may call (a snapshot is built beside the control thread that frees old ones).
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "control/error.h"
#include "dataplane/region.h"
#include "dataplane/region_layout.h"

namespace headgate::control {

struct Block {
  uint64_t offset = 0;  // 0: none
  uint64_t bytes = 0;   // as asked for

  bool operator==(const Block&) const = default;
  explicit operator bool() const { return offset != 0; }
};

class BlockArena {
 public:
  // What happens to the bytes of a freed block. AddressSanitizer builds poison it in either case.
  enum class Freed : uint8_t {
    keep,
    overwrite,  // with `freed_byte`: a reader that still holds the block reads nonsense, and
                // ThreadSanitizer sees the write
  };
  static constexpr uint8_t freed_byte = 0xdb;

  BlockArena(dataplane::RegionView region, const dataplane::RegionArea& area,
             Freed freed = Freed::keep);
  ~BlockArena();
  BlockArena(const BlockArena&) = delete;
  BlockArena& operator=(const BlockArena&) = delete;

  // The content of a new block is undefined. Zero bytes are taken as one.
  [[nodiscard]] std::expected<Block, Error> allocate(uint64_t bytes);
  // A block from allocate(), once.
  void free(const Block& block);

  struct Usage {
    uint64_t total_bytes;
    uint64_t used_bytes;
    uint64_t peak_bytes;
    uint64_t blocks;
    uint64_t largest_free_bytes;
  };
  [[nodiscard]] Usage usage() const;
  [[nodiscard]] dataplane::RegionView region() const { return region_; }

 private:
  [[nodiscard]] Error out_of_memory(uint64_t bytes) const;
  void add_free(uint64_t offset, uint64_t bytes);
  void remove_free(std::map<uint64_t, uint64_t>::iterator range);

  dataplane::RegionView region_;
  dataplane::RegionArea area_;
  Freed freed_;
  mutable std::mutex mutex_;
  std::map<uint64_t, uint64_t> free_by_offset_;           // offset, bytes
  std::set<std::pair<uint64_t, uint64_t>> free_by_size_;  // bytes, offset
  std::unordered_map<uint64_t, uint64_t> allocated_;      // offset, bytes
  uint64_t used_bytes_ = 0;
  uint64_t peak_bytes_ = 0;
};

}  // namespace headgate::control
