// The exception thread: moves frames between the workers and the twins.
//
//   worker ──to_twin[class]──> exception thread ──write──> TAP of mbuf->port (and its VLAN)
//   worker <────from_twin───── exception thread <──read─── TAP
//
// In every turn it takes a bounded number of frames of each class, so that a flood in one class
// delays the others by no more than one turn. What does not fit into a ring is dropped where it
// would be put in: the worker counts drop_twin_ring_full, this thread its own reasons below.
// Health checks that go the way of a client's packets are readdressed here: see probe_table.h.
// Workers make no system calls, so they cannot wake this thread: it looks every 50 µs to 1 ms when
// idle, and at once when the kernel sends.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/error.h"
#include "dataplane/probe_path.h"

struct rte_mempool;
struct rte_ring;

namespace headgate::dataplane {

// Ordered by importance. The worker that hands a frame over decides (see Verdict):
// twin_control, twin_backend (health checks), twin_not_ours; and, apart from them, twin_probe: what
// may be an answer to a probe through the data path.
enum class TwinClass : uint8_t { control, backend, bulk, probe };
inline constexpr uint32_t twin_class_count = 4;

// mbuf->hash.usr of a frame of class probe: where it goes if it is no probe's.
inline constexpr uint32_t probe_or_host = 0;     // to the kernel like any other
inline constexpr uint32_t probe_or_nothing = 1;  // nowhere: its source is an address of ours

// One worker's rings of rte_mbuf*, each single producer and single consumer.
// A frame in to_twin has mbuf->port set to the port it came from (received from the wire) and its
// VLAN tag inline. A frame in from_twin has mbuf->port set to the port it must leave through, also
// with the tag inline and complete checksums; the worker owns a transmit queue of that port. Its
// mbuf->hash.usr is 0, or the id of the backend by way of which a probe is to go.
struct ExceptionRings {
  std::array<rte_ring*, twin_class_count> to_twin{};
  rte_ring* from_twin = nullptr;
};

struct ExceptionRingDeleter {
  void operator()(ExceptionRings* rings) const noexcept;  // frees what is still inside
};
using ExceptionRingsPtr = std::unique_ptr<ExceptionRings, ExceptionRingDeleter>;
inline constexpr uint32_t exception_ring_size = 1024;  // frames per ring, power of two
inline constexpr uint32_t probe_ring_size = exception_ring_size / 4;  // at most, of class probe
[[nodiscard]] std::expected<ExceptionRingsPtr, Error> make_exception_rings(
    uint16_t worker, int socket, uint32_t size = exception_ring_size);

// A twin, or a VLAN of one. `fd` is a TAP's (any descriptor that keeps frame boundaries will do).
struct TwinPort {
  uint16_t port = 0;    // DPDK port
  uint16_t vlan = 0;    // 0: the port's untagged frames and those of VLANs without a twin
  int fd = -1;          // borrowed
  uint16_t worker = 0;  // gets the kernel's frames: PortQueues::twin_worker
};

// X(name, description): why the exception thread dropped a frame.
#define HEADGATE_TWIN_DROPS(X)                                       \
  X(no_twin, "the port has no kernel side")                          \
  X(kernel_refused, "the kernel did not take the frame: twin down?") \
  X(no_mbuf, "no buffer left for a frame of the kernel")             \
  X(too_large, "frame of the kernel larger than a buffer")           \
  X(worker_ring_full, "the worker's ring for frames of the kernel is full")

enum class TwinDrop : uint8_t {
#define HEADGATE_TWIN_DROP_ENUM(name, text) name,
  HEADGATE_TWIN_DROPS(HEADGATE_TWIN_DROP_ENUM)
#undef HEADGATE_TWIN_DROP_ENUM
};
struct TwinDropInfo {
  std::string_view name;
  std::string_view description;
};
inline constexpr std::array twin_drop_table{
#define HEADGATE_TWIN_DROP_ROW(name, text) TwinDropInfo{#name, text},
    HEADGATE_TWIN_DROPS(HEADGATE_TWIN_DROP_ROW)
#undef HEADGATE_TWIN_DROP_ROW
};
inline constexpr uint32_t twin_drop_count = twin_drop_table.size();

// Written by the exception thread, read by anyone.
struct TwinCounters {
  std::array<std::atomic<uint64_t>, twin_class_count> to_kernel{};  // frames
  std::atomic<uint64_t> to_kernel_bytes{0};
  std::atomic<uint64_t> from_kernel{0};
  std::atomic<uint64_t> from_kernel_bytes{0};
  std::array<std::atomic<uint64_t>, twin_drop_count> drops{};
};

struct ExceptionOptions {
  std::vector<TwinPort> twins;
  std::vector<ExceptionRings> workers;  // by worker; the rings outlive the thread
  rte_mempool* pool = nullptr;          // for frames of the kernel
  // Frames per turn, over all workers, by class.
  std::array<uint32_t, twin_class_count> per_turn{256, 128, 64, 128};
  // Frames per second by class; 0: no limit. What is over waits in its ring.
  std::array<uint32_t, twin_class_count> per_second{0, 0, 0, 0};
  uint32_t from_kernel_per_turn = 64;  // per twin
  std::vector<uint16_t> cores;         // where the thread may run; empty: where its creator may
};

// One turn at a time, for the thread below and for tests.
class ExceptionLoop {
 public:
  explicit ExceptionLoop(ExceptionOptions options);
  ~ExceptionLoop();
  ExceptionLoop(const ExceptionLoop&) = delete;
  ExceptionLoop& operator=(const ExceptionLoop&) = delete;

  // Frames moved or dropped; `now_ns` is a monotonic time.
  uint32_t turn(uint64_t now_ns) noexcept;
  // Until the kernel has a frame, or the time is over, or wake() is called.
  void wait(uint32_t timeout_us) noexcept;
  void wake() noexcept;  // from any thread
  // In the order of options.twins.
  [[nodiscard]] std::span<const TwinCounters> counters() const;
  // What probe addresses stand for, from the next turn on; null: there are none. From one thread at
  // a time.
  void set_probes(std::shared_ptr<const ProbeTable> table);
  [[nodiscard]] const ProbeCounters& probe_counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ExceptionThread {
 public:
  [[nodiscard]] static std::expected<ExceptionThread, Error> start(ExceptionOptions options);
  ExceptionThread(ExceptionThread&&) noexcept;
  ExceptionThread& operator=(ExceptionThread&&) noexcept;
  ExceptionThread(const ExceptionThread&) = delete;
  ExceptionThread& operator=(const ExceptionThread&) = delete;
  ~ExceptionThread();  // stops and joins; frames left in rings stay there

  [[nodiscard]] std::span<const TwinCounters> counters() const;
  // What probe addresses stand for, from the next turn on; null: there are none. From one thread at
  // a time.
  void set_probes(std::shared_ptr<const ProbeTable> table);
  [[nodiscard]] const ProbeCounters& probe_counters() const;

 private:
  struct State;
  explicit ExceptionThread(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace headgate::dataplane
