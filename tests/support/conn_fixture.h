// A connection table in plain memory, and short ways to make connections in it.
#pragma once

#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>

#include "dataplane/conn_table.h"
#include "dataplane/grace.h"
#include "dataplane/net/headers.h"

namespace headgate::dataplane::test {

struct FreeMemory {
  void operator()(std::byte* bytes) const noexcept { std::free(bytes); }
};

inline HashSeed seed_of(uint64_t number) {
  HashSeed seed;
  for (uint64_t& word : seed.words) {
    number += 0x9e3779b97f4a7c15;
    word = (number ^ (number >> 29)) * 0xbf58476d1ce4e5b9;
    word ^= word >> 32;
  }
  return seed;
}

// All actors are online, so that a grace period passes only when each has reported.
class TestTable {
 public:
  explicit TestTable(const ConnTableLimits& limits, uint64_t seed = 1)
      : bytes_(ConnTable::bytes_needed(limits)),
        memory_(static_cast<std::byte*>(std::aligned_alloc(64, (bytes_ + 63) / 64 * 64))),
        grace_(limits.workers + limits.other_actors),
        limits_(limits),
        seed_(seed) {
    reset();
  }
  // An empty table in the same memory.
  void reset() {
#if defined(HEADGATE_ASAN)
    unpoison_all();
#endif
    grace_ = GracePeriod(grace_.readers());
    auto made = ConnTable::create({memory_.get(), bytes_}, limits_, seed_of(seed_), grace_);
    if (!made) throw std::runtime_error(made.error());
    table_.emplace(std::move(*made));
    for (uint32_t actor = 0; actor < grace_.readers(); ++actor)
      grace_.online(actor);
  }
  // The table leaves freed entries poisoned; the next user of this memory is not the table.
  ~TestTable() {
#if defined(HEADGATE_ASAN)
    unpoison_all();
#endif
  }
  TestTable(const TestTable&) = delete;
  TestTable& operator=(const TestTable&) = delete;

  ConnTable& operator*() noexcept { return *table_; }
  ConnTable* operator->() noexcept { return &*table_; }
  GracePeriod& grace() noexcept { return grace_; }
  std::span<std::byte> memory() noexcept { return {memory_.get(), bytes_}; }

  void quiescent_all() noexcept {
    for (uint32_t actor = 0; actor < grace_.readers(); ++actor)
      grace_.quiescent(actor);
  }
  // Two rounds: what was retired waits for a batch to close, then for the batch's grace period.
  void reclaim_all(uint32_t worker = 0) noexcept {
    for (int round = 0; round < 3; ++round) {
      table_->reclaim(worker);
      quiescent_all();
    }
    table_->reclaim(worker);
  }

 private:
  void unpoison_all() noexcept;

  size_t bytes_;
  std::unique_ptr<std::byte, FreeMemory> memory_;
  GracePeriod grace_;
  ConnTableLimits limits_;
  uint64_t seed_;
  std::optional<ConnTable> table_;
};

inline net::Ipv4Address ip4(uint32_t host) {
  return net::be32::from_host(host);
}
inline net::Ipv6Address ip6(uint32_t host) {
  net::Ipv6Address address{{0x20, 0x01, 0x0d, 0xb8}};
  const net::be32 low = ip4(host);
  std::memcpy(address.bytes.data() + 12, &low, 4);
  return address;
}

// Connection number `id` of a service on 192.0.2.1:80, as NAT would fill it: different ids differ
// in both keys. `backend` is part of the reply key only.
template <class Entry>
void fill(Entry& entry, uint32_t id, uint32_t backend = 1) {
  const uint32_t client = 0x0a000000 + (id >> 15);
  const auto port = static_cast<uint16_t>(1024 + (id & 0x7fff));
  entry.common.protocol = net::protocol_tcp;
  if constexpr (sizeof(Entry) == sizeof(Connection4)) {
    entry.client_ip = entry.local_ip = ip4(client);
    entry.vip = ip4(0xc0000201);
    entry.backend_ip = ip4(0xac100000 + backend);
  } else {
    entry.client_ip = entry.local_ip = ip6(client);
    entry.vip = ip6(0xc0000201);
    entry.backend_ip = ip6(0xac100000 + backend);
  }
  entry.client_port = entry.local_port = net::be16::from_host(port);
  entry.vport = net::be16::from_host(80);
  entry.backend_port = net::be16::from_host(8080);
  entry.common.backend_id.store(id, std::memory_order_relaxed);
  entry.common.service_id = id;
}

inline FlowKey4 key4(uint32_t id, Direction direction = Direction::forward, uint32_t backend = 1) {
  Connection4 entry{};
  fill(entry, id, backend);
  return entry.key(direction);
}
inline FlowKey6 key6(uint32_t id, Direction direction = Direction::forward, uint32_t backend = 1) {
  Connection6 entry{};
  fill(entry, id, backend);
  return entry.key(direction);
}

struct Made {
  ConnRef ref{};
  PublishResult result{.status = PublishStatus::full};
};

// Allocates, fills and publishes connection `id`; discards the entry if that fails.
inline Made make4(ConnTable& table, uint32_t worker, uint32_t id, Keys keys = Keys::both,
                  uint32_t backend = 1) {
  Made made{.ref = table.allocate(worker, net::Family::ipv4)};
  if (made.ref.is_none()) return made;
  fill(table.v4(made.ref), id, backend);
  made.result = table.publish(worker, made.ref, keys);
  if (made.result.status != PublishStatus::inserted) {
    table.discard(worker, made.ref, made.result.seen);
    made.ref = no_conn;
  }
  return made;
}
inline Made make6(ConnTable& table, uint32_t worker, uint32_t id, Keys keys = Keys::both,
                  uint32_t backend = 1) {
  Made made{.ref = table.allocate(worker, net::Family::ipv6)};
  if (made.ref.is_none()) return made;
  fill(table.v6(made.ref), id, backend);
  made.result = table.publish(worker, made.ref, keys);
  if (made.result.status != PublishStatus::inserted) {
    table.discard(worker, made.ref, made.result.seen);
    made.ref = no_conn;
  }
  return made;
}

}  // namespace headgate::dataplane::test

#if defined(HEADGATE_ASAN)
#include <sanitizer/asan_interface.h>
#endif
namespace headgate::dataplane::test {
inline void TestTable::unpoison_all() noexcept {
#if defined(HEADGATE_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(memory_.get(), bytes_);
#endif
}
}  // namespace headgate::dataplane::test
