#include "control/region_memory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <utility>

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dataplane/snapshot.h"

#ifdef HEADGATE_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace headgate::control {
namespace {

struct PageChoice {
  uint64_t bytes;
  unsigned memfd_flags;
};

PageChoice choice_of(RegionPages pages) {
  switch (pages) {
    case RegionPages::huge_1g:
      return {1U << 30, MFD_HUGETLB | MFD_HUGE_1GB};
    case RegionPages::huge_2m:
    case RegionPages::automatic:
      return {2U << 20, MFD_HUGETLB | MFD_HUGE_2MB};
    case RegionPages::plain:
      break;
  }
  return {4096, 0};
}

std::string reason(int error) {
  return std::error_code(error, std::generic_category()).message();
}

std::string size_text(uint64_t bytes) {
  return std::to_string((bytes + (1U << 20) - 1) >> 20) + " MB";
}

Error no_memory(uint64_t bytes, const PageChoice& choice, int error) {
  std::string text = "region: no " + size_text(bytes) + " of shared memory";
  if (choice.memfd_flags != 0) {
    text += " on huge pages of " + size_text(choice.bytes);
  }
  text += " (" + reason(error) + "): ";
  text += choice.memfd_flags != 0
              ? "reserve more huge pages (vm.nr_hugepages), or set memory.huge_pages: none"
              : "lower the limits under memory and connections";
  return {std::move(text)};
}

}  // namespace

std::expected<RegionMemory, Error> RegionMemory::allocate(uint64_t bytes, RegionPages pages) {
  const PageChoice choice = choice_of(pages);
  RegionMemory memory;
  memory.page_bytes_ = choice.bytes;
  memory.bytes_ = (bytes + choice.bytes - 1) / choice.bytes * choice.bytes;
  memory.fd_ = memfd_create("headgate", MFD_CLOEXEC | MFD_ALLOW_SEALING | choice.memfd_flags);
  if (memory.fd_ < 0 || ftruncate(memory.fd_, static_cast<off_t>(memory.bytes_)) != 0) {
    return std::unexpected(no_memory(memory.bytes_, choice, errno));
  }
  // Whoever maps it may rely on its size: without the seals a shrunk file would be a SIGBUS.
  if (fcntl(memory.fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return std::unexpected(no_memory(memory.bytes_, choice, errno));
  }
  // Huge pages are reserved here: too few of them fail now, not at a touch later.
  void* const base =
      mmap(nullptr, memory.bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd_, 0);
  if (base == MAP_FAILED) return std::unexpected(no_memory(memory.bytes_, choice, errno));
  memory.base_ = static_cast<std::byte*>(base);
  if (choice.memfd_flags == 0) {
    // Where the administrator allows it the kernel gives large pages as they are touched.
    (void)madvise(base, memory.bytes_, MADV_HUGEPAGE);
  }
  return memory;
}

std::expected<RegionMemory, Error> RegionMemory::create(const dataplane::RegionLimits& limits,
                                                        RegionPages pages) {
  dataplane::RegionHeader layout{};
  if (const std::string_view fault = dataplane::lay_out_region(layout, limits); !fault.empty()) {
    return std::unexpected(Error{"region: " + std::string(fault)});
  }
  auto memory = allocate(layout.region_bytes, pages);
  if (!memory && pages == RegionPages::automatic) {
    memory = allocate(layout.region_bytes, RegionPages::plain);
  }
  if (!memory) return memory;
  (void)dataplane::lay_out_region(memory->header(), limits);
  return memory;
}

std::expected<RegionMemory, Error> RegionMemory::attach(int fd) {
  struct stat status{};
  if (fstat(fd, &status) != 0) {
    return std::unexpected(Error{"region: no such descriptor (" + reason(errno) + ")"});
  }
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return std::unexpected(Error{"region: the descriptor is not a sealed region of headgate"});
  }
  const auto bytes = static_cast<uint64_t>(status.st_size);
  if (bytes < sizeof(dataplane::RegionHeader)) {
    return std::unexpected(Error{"region: too small for a header"});
  }
  RegionMemory memory;
  memory.bytes_ = bytes;
  memory.page_bytes_ = static_cast<uint64_t>(status.st_blksize);
  void* const base = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    return std::unexpected(Error{"region: cannot map it (" + reason(errno) + ")"});
  }
  memory.base_ = static_cast<std::byte*>(base);
  const std::string_view fault = dataplane::check_region(memory.header(), bytes);
  if (!fault.empty()) {
    return std::unexpected(
        Error{"region: " + std::string(fault) + "; use the tools of the running daemon's version"});
  }
  return memory;
}

RegionMemory::RegionMemory(RegionMemory&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      base_(std::exchange(other.base_, nullptr)),
      bytes_(other.bytes_),
      page_bytes_(other.page_bytes_) {}

RegionMemory& RegionMemory::operator=(RegionMemory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  std::swap(page_bytes_, other.page_bytes_);
  return *this;
}

RegionMemory::~RegionMemory() {
  if (base_ != nullptr) {
    // Free entries and blocks are poisoned; the next mapping at this address is not theirs.
    ASAN_UNPOISON_MEMORY_REGION(base_, bytes_);
    munmap(base_, bytes_);
  }
  if (fd_ >= 0) close(fd_);
}

uint64_t default_snapshot_bytes(uint32_t max_services, uint32_t max_backends,
                                uint32_t maglev_table_size, RegionPages pages) {
  // Twice, since a change of everything has the old and the new at once.
  const uint64_t per_service = sizeof(dataplane::ServiceBlock) +
                               6 * sizeof(dataplane::ServiceSlot) +
                               4 * sizeof(dataplane::AddressSlot) + 512;
  const uint64_t per_backend = sizeof(dataplane::BackendRow) + sizeof(dataplane::NextHop) +
                               4 * sizeof(dataplane::NeighbourSlot) +
                               sizeof(dataplane::ServiceBackend) + 64;
  const uint64_t base = max_services * per_service + max_backends * per_backend + (8U << 20);
  // Plain pages cost nothing until a table is in them.
  const uint64_t tables =
      std::min<uint64_t>(max_services, pages == RegionPages::plain ? 8192 : 256);
  return 2 * (base + tables * maglev_table_size * sizeof(uint16_t));
}

}  // namespace headgate::control
