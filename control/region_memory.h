// The region's memory: one sealed memfd, mapped shared. On huge pages where they are wanted and
// free, else on plain pages, which the kernel commits as they are touched.
#pragma once

#include <cstdint>
#include <expected>

#include "control/error.h"
#include "dataplane/region.h"
#include "dataplane/region_layout.h"

namespace headgate::control {

enum class RegionPages : uint8_t {
  plain,
  huge_2m,
  huge_1g,
  automatic,  // 2 MB pages where enough are free, else plain
};

class RegionMemory {
 public:
  // A new region. When the wanted huge pages are not there it is an error, except for `automatic`.
  [[nodiscard]] static std::expected<RegionMemory, Error> create(
      const dataplane::RegionLimits& limits, RegionPages pages);
  // The region behind a descriptor that its owner handed over, read-only; `fd` stays the caller's.
  [[nodiscard]] static std::expected<RegionMemory, Error> attach(int fd);

  RegionMemory(RegionMemory&& other) noexcept;
  RegionMemory& operator=(RegionMemory&& other) noexcept;
  ~RegionMemory();

  [[nodiscard]] dataplane::RegionView view() const { return dataplane::RegionView(base_); }
  [[nodiscard]] dataplane::RegionHeader& header() const { return dataplane::header_of(view()); }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] uint64_t page_bytes() const { return page_bytes_; }

 private:
  RegionMemory() = default;
  [[nodiscard]] static std::expected<RegionMemory, Error> allocate(uint64_t bytes,
                                                                   RegionPages pages);

  int fd_ = -1;
  std::byte* base_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t page_bytes_ = 0;
};

// Arena bytes for these limits when the file does not say. Twice what the blocks need, with Maglev
// tables for 8192 services on plain pages, which cost nothing before they are touched, and for 256
// on huge pages, which are taken from others.
[[nodiscard]] uint64_t default_snapshot_bytes(uint32_t max_services, uint32_t max_backends,
                                              uint32_t maglev_table_size, RegionPages pages);

}  // namespace headgate::control
