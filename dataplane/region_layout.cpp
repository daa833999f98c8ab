#include "dataplane/region_layout.h"

#include "dataplane/limits.h"
#include "dataplane/snapshot.h"

namespace headgate::dataplane {
namespace {

// Areas begin on page boundaries, the connection table on one of a 2 MB page.
constexpr uint64_t page_bytes = 4096;
constexpr uint64_t large_page_bytes = 2U << 20;

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

constexpr std::array<uint32_t, 16> our_structure_bytes{
    sizeof(SnapshotRoot),   sizeof(ServiceBlock), sizeof(ServiceSlot),   sizeof(ServiceBackend),
    sizeof(BackendChunk),   sizeof(Interface),    sizeof(NextHop),       sizeof(NeighbourSlot),
    sizeof(Route),          sizeof(AddressSlot),  sizeof(Settings),      sizeof(PortEntry),
    sizeof(WorkerCounters), sizeof(TrafficRow),   sizeof(ServiceShared), verdict_count};

// Takes `bytes` at the next boundary and moves `end` behind them.
RegionArea take(uint64_t& end, uint64_t bytes, uint64_t boundary) {
  const RegionArea area{round_up(end, boundary), bytes};
  end = area.offset + bytes;
  return area;
}

bool inside(const RegionArea& area, uint64_t mapped_bytes) {
  return area.offset <= mapped_bytes && area.bytes <= mapped_bytes - area.offset;
}

uint64_t worker_stride(const RegionLimits& limits) {
  const uint64_t rows = uint64_t{limits.max_services} + limits.max_backends;
  return round_up(sizeof(WorkerCounters) + rows * sizeof(TrafficRow) +
                      uint64_t{limits.max_backends} * sizeof(Counter),
                  page_bytes);
}

}  // namespace

std::string_view lay_out_region(RegionHeader& header, const RegionLimits& limits) {
  // None: VRRP alone.
  if (limits.workers > max_workers) return "the number of workers is impossible";
  if (limits.max_backends >= 1U << backend_index_bits) return "max_backends is above 16777215";
  if (limits.max_services >= 1U << backend_index_bits) return "max_services is above 16777215";
  header.magic = region_magic;
  header.version = region_version;
  header.header_bytes = sizeof(RegionHeader);
  header.limits = limits;
  header.structure_bytes = our_structure_bytes;

  uint64_t end = sizeof(RegionHeader);
  header.snapshot = take(end, limits.snapshot_bytes, page_bytes);
  if (end > SnapshotCell::reach_bytes) return "the snapshot's area is above 256 GB";
  header.connections = take(end, limits.connection_bytes, large_page_bytes);
  header.worker_stride_bytes = worker_stride(limits);
  const uint64_t shared_bytes = round_up(limits.max_services * sizeof(ServiceShared), page_bytes);
  header.counters =
      take(end, shared_bytes + limits.workers * header.worker_stride_bytes, page_bytes);
  header.service_shared = header.counters.offset;
  header.worker_rows = header.counters.offset + shared_bytes;
  header.region_bytes = round_up(end, page_bytes);
  return {};
}

std::string_view check_region(const RegionHeader& header, uint64_t mapped_bytes) {
  if (mapped_bytes < sizeof(RegionHeader)) return "too small for a header";
  if (header.magic != region_magic) return "not a region of headgate";
  if (header.version != region_version || header.header_bytes != sizeof(RegionHeader) ||
      header.structure_bytes != our_structure_bytes) {
    return "made by another version of headgate";
  }
  if (header.region_bytes > mapped_bytes) return "shorter than its header says";
  RegionHeader expected{};
  if (!lay_out_region(expected, header.limits).empty() ||
      expected.region_bytes > header.region_bytes || expected.snapshot != header.snapshot ||
      expected.connections != header.connections || expected.counters != header.counters ||
      expected.service_shared != header.service_shared ||
      expected.worker_rows != header.worker_rows ||
      expected.worker_stride_bytes != header.worker_stride_bytes) {
    return "areas that do not follow from its limits";
  }
  if (!inside(header.snapshot, mapped_bytes) || !inside(header.connections, mapped_bytes) ||
      !inside(header.counters, mapped_bytes)) {
    return "an area outside of the mapping";
  }
  return {};
}

CounterRows counter_rows(RegionView region, uint32_t worker) noexcept {
  const RegionHeader& header = header_of(region);
  const uint64_t begin = header.worker_rows + worker * header.worker_stride_bytes;
  auto* const worker_row = region.at(Offset<WorkerCounters>{begin});
  auto* const services = region.at(Offset<TrafficRow>{begin + sizeof(WorkerCounters)});
  TrafficRow* const backends = services + header.limits.max_services;
  auto* const unanswered = reinterpret_cast<Counter*>(backends + header.limits.max_backends);
  return {.worker = worker_row,
          .services = {services, header.limits.max_services},
          .backends = {backends, header.limits.max_backends},
          .unanswered = {unanswered, header.limits.max_backends}};
}

std::span<ServiceShared> service_shared(RegionView region) noexcept {
  const RegionHeader& header = header_of(region);
  return {region.at(Offset<ServiceShared>{header.service_shared}), header.limits.max_services};
}

}  // namespace headgate::dataplane
