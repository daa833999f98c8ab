// The connection table's memory: how large it is, how it is laid out and checked, and its numbers.
#include "dataplane/conn_table.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>

namespace headgate::dataplane {

namespace {

constexpr size_t line = 64;

// "connection table: " and the parts one after the other; numbers as decimals.
template <typename... Parts>
std::string mistake_of(const Parts&... parts) {
  std::string text = "connection table: ";
  const auto add = [&text](const auto& part) {
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(part)>>) {
      text += std::to_string(part);
    } else {
      text += part;
    }
  };
  (add(parts), ...);
  return text;
}

constexpr size_t round_up(size_t bytes) noexcept {
  return (bytes + line - 1) / line * line;
}

struct Layout {
  uint32_t bucket_count;
  size_t rows;
  size_t buckets;
  size_t entries4;
  size_t entries6;
  size_t total;
};

// Two connections pay for a bucket, and the headers are paid for out of the buckets' share, as long
// as that costs no more than an eighth of them: so a connection takes 96 bytes, everything
// included.
Layout layout_of(const ConnTableLimits& limits) noexcept {
  Layout layout{};
  layout.rows = round_up(sizeof(TableHeader));
  layout.buckets = layout.rows + sizeof(WorkerRow) * (limits.workers + limits.other_actors);
  const size_t connections = size_t{limits.capacity4} + limits.capacity6;
  const size_t wanted = connections / 2;
  const size_t headers = layout.buckets / sizeof(Bucket);
  const size_t least = std::max<size_t>((connections + 1) / 2 * 7 / 8, 2);
  const size_t affordable = wanted > headers ? wanted - headers : 0;
  layout.bucket_count = static_cast<uint32_t>(std::max(least, affordable));
  layout.entries4 = layout.buckets + sizeof(Bucket) * layout.bucket_count;
  layout.entries6 = layout.entries4 + sizeof(Connection4) * limits.capacity4;
  layout.total = layout.entries6 + sizeof(Connection6) * limits.capacity6;
  return layout;
}

// Small enough that no worker sits on a large part of the pool, large enough to be rare.
uint32_t chunk_entries_of(const ConnTableLimits& limits) noexcept {
  const uint32_t largest = std::max(limits.capacity4, limits.capacity6);
  return std::clamp<uint32_t>(largest / (16 * limits.workers), 1, max_chunk_entries);
}

std::string check(const ConnTableLimits& limits, uint32_t readers) {
  if (limits.workers < 1 || limits.workers > max_workers) {
    return mistake_of(limits.workers, " workers, expected 1 to ", max_workers);
  }
  if (limits.other_actors > max_other_actors) {
    return mistake_of(limits.other_actors, " other actors, expected at most ", max_other_actors);
  }
  if (limits.capacity4 > max_pool_entries || limits.capacity6 > max_pool_entries) {
    return mistake_of(limits.capacity4, " IPv4 and ", limits.capacity6,
                      " IPv6 connections, expected at most ", max_pool_entries);
  }
  if (limits.capacity4 + limits.capacity6 == 0) {
    return "connection table: room for no connection at all, raise the number of connections";
  }
  if (readers < limits.workers + limits.other_actors) {
    return mistake_of(limits.workers + limits.other_actors, " actors, but the grace period knows ",
                      readers, " readers");
  }
  return {};
}

std::string check_memory(std::span<std::byte> memory, size_t needed) {
  if (reinterpret_cast<uintptr_t>(memory.data()) % line != 0) {
    return "connection table: its memory is not aligned to 64 bytes";
  }
  if (memory.size() < needed) {
    return mistake_of(memory.size(), " bytes of memory, ", needed, " are needed");
  }
  return {};
}

}  // namespace

size_t ConnTable::bytes_needed(const ConnTableLimits& limits) noexcept {
  return layout_of(limits).total;
}

std::expected<ConnTable, std::string> ConnTable::create(std::span<std::byte> memory,
                                                        const ConnTableLimits& limits,
                                                        const HashSeed& seed, GracePeriod& grace) {
  if (std::string mistake = check(limits, grace.readers()); !mistake.empty()) {
    return std::unexpected(std::move(mistake));
  }
  const Layout layout = layout_of(limits);
  if (std::string mistake = check_memory(memory, layout.total); !mistake.empty()) {
    return std::unexpected(std::move(mistake));
  }
  std::memset(memory.data(), 0, layout.total);
  auto* header = reinterpret_cast<TableHeader*>(memory.data());
  header->version = TableHeader::version_value;
  header->header_bytes = sizeof(TableHeader);
  header->total_bytes = layout.total;
  header->workers = limits.workers;
  header->actors = limits.workers + limits.other_actors;
  header->bucket_count = layout.bucket_count;
  header->chunk_entries = chunk_entries_of(limits);
  header->rows_offset = layout.rows;
  header->buckets_offset = layout.buckets;
  header->entries4_offset = layout.entries4;
  header->entries6_offset = layout.entries6;
  header->seed = seed;
  header->pools[0].capacity = limits.capacity4;
  header->pools[1].capacity = limits.capacity6;
  for (PoolHeader& pool : header->pools)
    pool.donated.store(no_conn.value);
  header->magic = TableHeader::magic_value;
  ConnTable table(memory.data(), grace);
  for (uint32_t i = 0; i < limits.capacity4; ++i)
    table.poison(ConnRef::make(false, i));
  for (uint32_t i = 0; i < limits.capacity6; ++i)
    table.poison(ConnRef::make(true, i));
  return table;
}

std::expected<ConnTable, std::string> ConnTable::attach(std::span<std::byte> memory,
                                                        GracePeriod& grace) {
  if (std::string mistake = check_memory(memory, sizeof(TableHeader)); !mistake.empty()) {
    return std::unexpected(std::move(mistake));
  }
  const auto* header = reinterpret_cast<const TableHeader*>(memory.data());
  if (header->magic != TableHeader::magic_value) {
    return std::unexpected("connection table: this memory does not hold one");
  }
  if (header->version != TableHeader::version_value ||
      header->header_bytes != sizeof(TableHeader)) {
    return std::unexpected(mistake_of("version ", header->version, ", this program knows ",
                                      TableHeader::version_value));
  }
  if (header->actors < header->workers) {
    return std::unexpected("connection table: its header contradicts itself");
  }
  const ConnTableLimits limits{.capacity4 = header->pools[0].capacity,
                               .capacity6 = header->pools[1].capacity,
                               .workers = header->workers,
                               .other_actors = header->actors - header->workers};
  if (std::string mistake = check(limits, grace.readers()); !mistake.empty()) {
    return std::unexpected(std::move(mistake));
  }
  const Layout layout = layout_of(limits);
  if (layout.total != header->total_bytes || layout.bucket_count != header->bucket_count ||
      layout.rows != header->rows_offset || layout.buckets != header->buckets_offset ||
      layout.entries4 != header->entries4_offset || layout.entries6 != header->entries6_offset) {
    return std::unexpected("connection table: its header contradicts itself");
  }
  if (std::string mistake = check_memory(memory, layout.total); !mistake.empty()) {
    return std::unexpected(std::move(mistake));
  }
  return ConnTable(memory.data(), grace);
}

ConnTable::ConnTable(std::byte* memory, GracePeriod& grace) noexcept
    : header_(reinterpret_cast<TableHeader*>(memory)),
      buckets_(reinterpret_cast<Bucket*>(memory + header_->buckets_offset)),
      entries4_(reinterpret_cast<Connection4*>(memory + header_->entries4_offset)),
      entries6_(reinterpret_cast<Connection6*>(memory + header_->entries6_offset)),
      rows_(reinterpret_cast<WorkerRow*>(memory + header_->rows_offset)),
      grace_(&grace),
      bucket_count_(header_->bucket_count) {}

uint32_t ConnTable::capacity(net::Family family) const noexcept {
  return header_->pools[family == net::Family::ipv6 ? 1 : 0].capacity;
}

ConnTableCounters ConnTable::counters() const noexcept {
  constexpr auto relaxed = std::memory_order_relaxed;
  ConnTableCounters sum;
  for (const WorkerRow& row : std::span(rows_, header_->actors)) {
    sum.in_use4 += row.in_use[0].load(relaxed);
    sum.in_use6 += row.in_use[1].load(relaxed);
    sum.retired += row.retired.load(relaxed);
    sum.no_entry += row.no_entry.load(relaxed);
    sum.bucket_full += row.bucket_full.load(relaxed);
    sum.contended += row.contended.load(relaxed);
    sum.reply_taken += row.reply_taken.load(relaxed);
  }
  sum.embryonic = embryonic();
  return sum;
}

uint64_t ConnTable::embryonic() const noexcept {
  int64_t sum = 0;
  for (const WorkerRow& row : std::span(rows_, header_->actors)) {
    sum += row.embryonic.load(std::memory_order_relaxed);
  }
  return sum > 0 ? static_cast<uint64_t>(sum) : 0;
}

}  // namespace headgate::dataplane
