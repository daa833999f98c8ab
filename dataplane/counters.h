// Counters: rows of plain 64-bit words in the region, one set per worker, so that a worker adds to
// lines that no other core writes. Readers (control, or a process that maps the region) sum over
// the workers; each word is written with relaxed atomics, so a sum is of recent values, never torn.
// Rows are indexed by service id and backend index, outside the snapshot: a change resets nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "dataplane/region.h"
#include "dataplane/verdict.h"

namespace headgate::dataplane {

// A single-writer counter: no locked instruction, yet safe to read from elsewhere.
class Counter {
 public:
  void add(uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Traffic of a service or a backend through one worker. Live counts are differences: one worker may
// count a connection in and another count it out, so only the sum over workers means anything.
struct alignas(64) TrafficRow {
  Counter connections;  // ever scheduled
  Counter in_packets;   // client to backend
  Counter out_packets;  // backend to client (NAT, FULLNAT)
  Counter in_bytes;     // layer 3 bytes, as LVS counts
  Counter out_bytes;
  Counter active;  // live connections, modulo 2^64: may be "negative" in one row
  Counter inactive;
  // Of a service: new connections that got no backend, port or entry. Of a backend: connections
  // whose SYN it answered with a reset (NAT, FULLNAT).
  Counter refused;
};
static_assert(sizeof(TrafficRow) == 64);

// Totals of the sum rule: received + from_twin + originated + released =
//   sent + to the twin + dropped + held, where the right side is the sum over `verdicts`.
struct alignas(64) WorkerCounters {
  Counter received;    // from ports
  Counter from_twin;   // frames the kernel sent
  Counter originated;  // packets of our own
  Counter released;    // held packets that go on
  Counter polls;       // turns of the loop
  Counter busy_polls;  // turns that found packets
  Counter sleeps;
  Counter snapshot_generation;  // last one seen (stored, not added)
  Counter replies_local;        // replies that arrived on the worker that created the connection
  Counter replies_foreign;
  Counter fullnat_port_rss;  // FULLNAT ports whose reply comes back to the same queue
  Counter fullnat_port_other;
  Counter fallback_stateless;  // packets forwarded by hash without an entry
  Counter insert_races;        // lost races for a connection's key
  Counter spare[2];
  Counter verdicts[verdict_count];
  void set_generation(uint64_t generation) noexcept {
    snapshot_generation.add(generation - snapshot_generation.get());
  }
};

// Shared by all workers, written rarely: when a service last fell back to stateless hashing.
struct ServiceShared {
  std::atomic<uint32_t> fallback_until_tick{0};
};

// Where one worker's rows are in the region.
struct CounterRows {
  WorkerCounters* worker = nullptr;
  std::span<TrafficRow> services;  // by service id
  std::span<TrafficRow> backends;  // by backend index
  // By backend index, apart from what every packet writes: connections (NAT, FULLNAT) whose client
  // repeated its SYN and then did so again, or gave up, without an answer of the backend.
  std::span<Counter> unanswered;
};

}  // namespace headgate::dataplane
