// Schedulers: which backend of its service a new flow goes to. One Scheduler per worker.
//
//   rr   one after the other              wlc  least (256·active + inactive) / weight
//   wrr  as often as their weights say    lc   the same without weights
//   fo   the heaviest                     sed  least (active + 1) / weight
//   sh   by source address                nq   an idle one, else as sed
//   dh   by destination address           mh   by source address, Maglev
//   ovf  the heaviest whose active connections do not exceed its weight; else none
//   lblc   the one that serves the destination address; else, or if that has more active
//          connections than its weight and another less than half of its own, as wlc
//   lblcr  likewise the least loaded of the set that serves the destination; what wlc chooses is
//          added to it, and the most loaded one goes when nothing was added for six minutes
//
// These are the definitions of LVS; ties go to the backend listed first. service_newest_first turns
// the order round, which is how LVS sees its list. A backend of weight 0 gets no new flow, nor does
// one at its upper threshold until it is below the lower one (or below three quarters of the upper
// one). sh, dh and mh choose by the block's Maglev table and go on to another slot when that
// backend takes no flows; with service_no_fallback they refuse.
//
// What is remembered between flows is kept by service id and outlives a new ServiceBlock: the last
// backend of rr and wrr by its id. A new block is noticed by its serial. What lblc and lblcr
// remember of destinations is shared by all workers: locality.h.
//
// ## Live connections
// Counts of live connections are sums over all workers' TrafficRows. A worker keeps its own view of
// them, by backend. All changes by this worker are in it at once, for they are made by count(); a
// sweep adds what the others did, so that it is at most 10 ms old; in services above 1,024 backends
// one round of the sweep takes up to backends/1,024 new flows. What was chosen is summed anew
// before it is taken, and if the view was wrong the choice is repeated, up to 64 times.
//
// With one worker the sequence is therefore exactly that of LVS. With N workers, and weights equal,
// a choice is of a backend that has the least connections of all, but for connections that ended on
// other workers within the age of the view, and for the up to N-1 choices that are made at the same
// moment: while connections only come, no two backends differ by more than N. (If others gave more
// than 64 backends a connection since this worker's last flow and sweep, by that much more.) An
// upper threshold, and a weight with ovf, is exceeded by at most N-1. Whether another backend has
// less than half of its weight, which lblc and lblcr ask, is as old as the view.
//
// ## Cost
// Up to 16 backends a choice looks at all of them. Above, a tournament tree over the backends (two
// bytes a node, in ServiceBlock::scheduler_scratch) finds the best, or the next one heavy enough,
// in log2(backends) steps; a changed count costs as much, at the next flow of that service. A new
// block costs one pass over the service's backends at its next flow: 0.15 ms for 10,000; and so
// does a flow of lblc or lblcr to an overloaded backend while no other has room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/counters.h"
#include "dataplane/locality.h"
#include "dataplane/net/address.h"
#include "dataplane/snapshot.h"

namespace headgate::dataplane {

// The addresses of the packet that opens a flow, as they came in.
struct NewFlow {
  net::IpAddress source;
  net::IpAddress destination;
  net::be16 source_port;
};

// What every generation of the snapshot stays below.
struct SchedulerLimits {
  uint32_t services;  // service ids
  uint32_t backends;  // backend indexes
};

// Bytes of ServiceBlock::scheduler_scratch for each worker, a multiple of 64: 0 up to 16 backends,
// else 2 for each, rounded up to a power of two (32 kB for 10,000). Without the memory all still
// works, in time proportional to the backends.
[[nodiscard]] size_t scheduler_scratch_bytes(uint32_t backends) noexcept;

// The consistent-hash choice for a packet that gets no connection: index into service.backends, or
// `none` where the block has no table or no backend has weight. Looks at nothing but block and
// flow, so all workers and machines agree; for sh, dh and mh it is what schedule() chooses as long
// as no backend is overloaded, for the others it follows source address and port.
[[nodiscard]] uint32_t stateless_backend(RegionView region, const ServiceBlock& service,
                                         const NewFlow& flow) noexcept;

class Scheduler {
 public:
  // 48 bytes a service and 32 a backend.
  [[nodiscard]] static size_t bytes_needed(const SchedulerLimits& limits) noexcept;

  // `memory`: bytes_needed(), aligned to 64, private to this worker; `workers`: the rows of all of
  // them, `self` this one's number; `locality`: what all workers remember of destinations, null to
  // remember nothing. All outlive the scheduler. Takes over the counts that are in the rows.
  Scheduler(const SchedulerLimits& limits, std::span<std::byte> memory,
            std::span<const CounterRows> workers, uint32_t self,
            LocalityTable* locality = nullptr) noexcept;

  // Index into service.backends, or `none`: refuse the flow. Counts nothing: when the connection
  // exists, call count() (before the next flow is scheduled, or that will not know).
  [[nodiscard]] uint32_t schedule(RegionView region, const ServiceBlock& service,
                                  const NewFlow& flow, uint64_t now_ns) noexcept;

  // The live connections of a backend changed by this worker's doing: one began (+1), ended (-1),
  // or went from active to inactive (-1, +1). The only place that changes TrafficRow::active and
  // inactive of a backend; the service's row is the caller's.
  void count(uint32_t backend_id, int32_t active, int32_t inactive) noexcept;

 private:
  struct BackendView;
  struct ServiceState;
  class Pool;
  struct Pick;
  struct Serving;

  void follow_block(Pool& pool) noexcept;
  void place_cursor(Pool& pool) noexcept;
  void place_backends(Pool& pool) noexcept;
  void forget_changes(ServiceState& state) noexcept;
  void apply_counts(Pool& pool) noexcept;
  void sweep(Pool& pool, uint64_t now_ns) noexcept;
  [[nodiscard]] bool is_certain(const Pool& pool, uint32_t position) noexcept;
  [[nodiscard]] bool refresh(uint32_t backend_index) noexcept;
  [[nodiscard]] Pick choose(Pool& pool, const NewFlow& flow) noexcept;

  // lblc and lblcr, in scheduler_locality.cpp.
  [[nodiscard]] Pick choose_by_locality(Pool& pool, const NewFlow& flow, uint64_t now_ns) noexcept;
  [[nodiscard]] Serving serving(Pool& pool, const Locality& known) noexcept;
  [[nodiscard]] uint32_t position_of(const Pool& pool, uint32_t backend_id) const noexcept;
  [[nodiscard]] static bool shrinks(const Serving& who, const Locality& known, Tick now) noexcept;
  [[nodiscard]] uint32_t remember_server(const Pool& pool, Locality& known, const Serving& serving,
                                         uint32_t position, Tick now) noexcept;

  std::span<const CounterRows> workers_;
  std::span<TrafficRow> own_rows_;
  std::span<ServiceState> services_;
  std::span<BackendView> backends_;
  LocalityTable* locality_;
  uint32_t self_;
};

}  // namespace headgate::dataplane
