#include "tests/bench/table_compare.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include "tests/support/world.h"

namespace headgate::bench {
namespace {

using dataplane::ConnTable;
using dataplane::FlowKey4;

constexpr uint32_t burst = dataplane::burst_frames;
using Keys = std::array<FlowKey4, burst>;

uint32_t room_for(uint64_t keys) {
  return static_cast<uint32_t>(keys + keys / 4);
}

// The i-th key: distinct for distinct i, as each step can be undone, and otherwise at random.
FlowKey4 key_of(uint64_t i) {
  constexpr uint64_t mask = (uint64_t{1} << 48) - 1;
  uint64_t bits = (i + 1) * 0x9e3779b97f4a7c15 & mask;
  bits ^= bits >> 23;
  bits = bits * 0xd6e8feb86659fd93 & mask;
  bits ^= bits >> 29;
  FlowKey4 key{};
  key.source = net::be32::from_host(static_cast<uint32_t>(bits >> 16));
  key.source_port = net::be16::from_host(static_cast<uint16_t>(bits));
  key.destination = net::be32::from_host(0xc0000201);
  key.destination_port = net::be16::from_host(80);
  key.protocol = 6;
  return key;
}

// The order of the packet path: hash all, prefetch buckets, probe all, prefetch entries, confirm
// all.
class OurTable {
 public:
  OurTable(uint64_t keys, control::RegionPages pages)
      : world_(
            {.capacity_v4 = room_for(keys), .capacity_v6 = 1024, .pages = pages, .interfaces = {}}),
        table_(*world_.connections) {}

  bool insert(const FlowKey4& key) {
    const dataplane::ConnRef ref = table_.allocate(0, net::Family::ipv4);
    if (ref.is_none()) return false;
    dataplane::Connection4& entry = table_.v4(ref);
    entry.common.protocol = key.protocol;
    entry.client_ip = key.source;
    entry.vip = key.destination;
    entry.client_port = key.source_port;
    entry.vport = key.destination_port;
    return table_.publish(0, ref, dataplane::Keys::forward_only).status ==
           dataplane::PublishStatus::inserted;
  }

  uint32_t look_up(const Keys& keys) const {
    std::array<uint64_t, burst> hashes;
    std::array<dataplane::Slot, burst> candidates;
    for (uint32_t i = 0; i < burst; ++i) {
      hashes[i] = table_.hash(keys[i]);
      table_.prefetch_bucket(hashes[i]);
    }
    std::array<uint32_t, burst> away;
    uint32_t away_count = 0;
    for (uint32_t i = 0; i < burst; ++i) {
      candidates[i] = table_.probe<FlowKey4>(hashes[i]);
      table_.prefetch_entry(candidates[i]);
      if (candidates[i].is_none() && table_.prefetch_alternate(hashes[i])) away[away_count++] = i;
    }
    for (uint32_t k = 0; k < away_count; ++k) {
      const uint32_t i = away[k];
      candidates[i] = table_.probe_alternate<FlowKey4>(hashes[i]);
      table_.prefetch_entry(candidates[i]);
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < burst; ++i)
      found += table_.confirm(hashes[i], keys[i], candidates[i]).is_miss() ? 0 : 1;
    return found;
  }

 private:
  tests::World world_;
  ConnTable& table_;
};

class RteHash {
 public:
  explicit RteHash(uint64_t keys) {
    rte_hash_parameters parameters{};
    parameters.name = "bench";
    parameters.entries = room_for(keys);
    parameters.key_len = sizeof(FlowKey4);
    parameters.hash_func = rte_hash_crc;
    parameters.socket_id = SOCKET_ID_ANY;
    parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
    hash_ = rte_hash_create(&parameters);
  }
  ~RteHash() { rte_hash_free(hash_); }
  RteHash(const RteHash&) = delete;
  RteHash& operator=(const RteHash&) = delete;

  [[nodiscard]] bool is_there() const { return hash_ != nullptr; }
  bool insert(const FlowKey4& key) { return rte_hash_add_key(hash_, &key) >= 0; }
  uint32_t look_up(const Keys& keys) const {
    std::array<const void*, burst> pointers;
    std::array<int32_t, burst> positions;
    for (uint32_t i = 0; i < burst; ++i)
      pointers[i] = &keys[i];
    if (rte_hash_lookup_bulk(hash_, pointers.data(), burst, positions.data()) != 0) return 0;
    uint32_t found = 0;
    for (const int32_t position : positions)
      found += position >= 0 ? 1 : 0;
    return found;
  }

 private:
  rte_hash* hash_;
};

// Inserts all keys; ns per key, or less than zero if one did not go in.
template <class Table>
double time_inserts(Table& table, uint64_t keys) {
  const uint64_t begin = rte_rdtsc_precise();
  for (uint64_t i = 0; i < keys; ++i) {
    if (!table.insert(key_of(i))) return -1;
  }
  return static_cast<double>(rte_rdtsc_precise() - begin) * tsc_ns() / static_cast<double>(keys);
}

// Random keys, made before the clock starts, burst by burst; ns per key, or less than zero if one
// was not found.
template <class Table>
double time_look_ups(const Table& table, uint64_t keys, uint32_t count, uint64_t seed) {
  uint64_t cycles = 0;
  uint64_t found = 0;
  const uint64_t bursts = count / burst;
  for (uint64_t i = 0; i < bursts; ++i) {
    Keys wanted;
    for (FlowKey4& key : wanted) {
      seed = seed * 6364136223846793005 + 1442695040888963407;
      key = key_of((seed >> 32) * keys >> 32);
    }
    const uint64_t begin = rte_rdtsc_precise();
    found += table.look_up(wanted);
    cycles += rte_rdtsc_precise() - begin;
  }
  if (found != bursts * burst) return -1;
  return static_cast<double>(cycles) * tsc_ns() / static_cast<double>(found);
}

bool has_negative(const std::vector<double>& values) {
  return std::ranges::any_of(values, [](double value) { return value < 0; });
}

}  // namespace

std::vector<TableCase> all_table_cases() {
  const std::string name = "connection table and rte_hash, ";
  return {{name + "1 K keys", 1'000},
          {name + "64 K keys", 64'000},
          {name + "1 M keys", 1'000'000},
          {name + "10 M keys", 10'000'000, true}};
}

// An entry is 32 bytes here, a bucket of eight 64, their number a power of two; half as much again
// for the ring of free slots and what the allocator cannot use.
uint32_t rte_hash_memory_mb(uint64_t keys) {
  return static_cast<uint32_t>(uint64_t{room_for(keys)} * 72 >> 20) + 16;
}

TableResult compare_tables(const TableCase& one, const Slices& slices, control::RegionPages pages) {
  TableResult result;
  result.name = one.name;
  result.keys = one.keys;
  OurTable ours(one.keys, pages);
  RteHash theirs(one.keys);
  if (!theirs.is_there()) {
    result.mistake = fmt::format("no rte_hash: {}", rte_strerror(rte_errno));
    return result;
  }
  result.ours.insert_ns = time_inserts(ours, one.keys);
  result.rte_hash.insert_ns = time_inserts(theirs, one.keys);
  std::vector<double> our_ns;
  std::vector<double> their_ns;
  for (uint32_t i = 0; i < slices.count; ++i) {
    our_ns.push_back(time_look_ups(ours, one.keys, slices.packets, i));
    their_ns.push_back(time_look_ups(theirs, one.keys, slices.packets, i));
  }
  result.ours.look_up_ns = spread_of(our_ns);
  result.rte_hash.look_up_ns = spread_of(their_ns);
  if (result.ours.insert_ns < 0 || result.rte_hash.insert_ns < 0) {
    result.mistake = "a key did not go in";
  } else if (has_negative(our_ns) || has_negative(their_ns)) {
    result.mistake = "a key was not found";
  }
  return result;
}

}  // namespace headgate::bench
