// What lies where in the region. All sizes follow from a few limits that are fixed at start:
//
//   RegionHeader | snapshot arena | connection table | counters
//                                                      ├─ ServiceShared, one a service
//                                                      └─ for each worker: WorkerCounters,
//                                                         service rows, backend rows, and
//                                                         unanswered connections by backend
//
// A process that maps the region checks the header before it believes anything else: magic,
// version, the sizes of the structures it was built with, and that every area lies inside the
// mapping.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "dataplane/counters.h"
#include "dataplane/region.h"
#include "dataplane/snapshot_cell.h"

namespace headgate::dataplane {

struct RegionLimits {
  uint32_t workers = 1;
  uint32_t max_services = 0;
  uint32_t max_backends = 0;
  uint32_t reserved = 0;
  uint64_t snapshot_bytes = 0;
  uint64_t connection_bytes = 0;  // as the connection table asks for

  bool operator==(const RegionLimits&) const noexcept = default;
};

struct RegionArea {
  uint64_t offset = 0;
  uint64_t bytes = 0;

  bool operator==(const RegionArea&) const noexcept = default;
};

inline constexpr uint64_t region_magic = 0x31657461'67646168;  // "hadgate1", little endian
// Grows with every change of the layout that the structures' sizes do not show.
inline constexpr uint32_t region_version = 3;

struct RegionHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t region_bytes;
  RegionLimits limits;
  RegionArea snapshot;
  RegionArea connections;
  RegionArea counters;
  uint64_t service_shared;       // offset of ServiceShared[max_services]
  uint64_t worker_rows;          // offset of the first worker's rows
  uint64_t worker_stride_bytes;  // from one worker's rows to the next one's
  std::array<uint32_t, 16> structure_bytes;
  alignas(64) SnapshotCell published;  // written by control, read by every worker
};

// Fills everything but `published`. Empty when done, else what is wrong with the limits.
[[nodiscard]] std::string_view lay_out_region(RegionHeader& header, const RegionLimits& limits);

// Empty when this binary may use a region of `mapped_bytes` that begins with `header`, else why
// not.
[[nodiscard]] std::string_view check_region(const RegionHeader& header, uint64_t mapped_bytes);

[[nodiscard]] inline RegionHeader& header_of(RegionView region) noexcept {
  return *region.at(Offset<RegionHeader>{0});
}
[[nodiscard]] CounterRows counter_rows(RegionView region, uint32_t worker) noexcept;
[[nodiscard]] std::span<ServiceShared> service_shared(RegionView region) noexcept;

}  // namespace headgate::dataplane
