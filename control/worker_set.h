// The workers and the exception thread as control starts and stops them.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "control/error.h"
#include "control/port_set.h"
#include "dataplane/exception.h"
#include "dataplane/worker.h"

namespace headgate::control {

struct WorkerSetOptions {
  std::vector<uint16_t> cores;  // one worker each
  bool adaptive = false;
  uint64_t start_ns = 0;  // of the monotonic clock: ticks count from here
  uint64_t seed = 0;
};

class WorkerSet {
 public:
  // Makes the workers and their rings; nothing runs yet. All arguments outlive the set.
  [[nodiscard]] static std::expected<std::unique_ptr<WorkerSet>, Error> create(
      dataplane::RegionView region, dataplane::ConnTable& connections,
      dataplane::GracePeriod& grace, const PortSet& ports, const WorkerSetOptions& options);
  WorkerSet(const WorkerSet&) = delete;
  WorkerSet& operator=(const WorkerSet&) = delete;
  ~WorkerSet();  // stop()

  // Starts the exception thread and the workers. The first snapshot has been published.
  [[nodiscard]] std::expected<void, Error> start();
  // Stops and joins all of them. Packets still held or in rings are freed.
  void stop();

  // Neighbours that workers wait for, since the last call.
  [[nodiscard]] std::vector<dataplane::NeighbourRequest> neighbour_requests();
  // By PortSet::twin_ports(); empty while not started.
  [[nodiscard]] std::span<const dataplane::TwinCounters> twin_counters() const;
  // What probe addresses stand for from now on; null: there are none, and no probe network either.
  // Not before start().
  void set_probes(std::shared_ptr<const dataplane::ProbeTable> table);
  // Null while not started.
  [[nodiscard]] const dataplane::ProbeCounters* probe_counters() const;
  [[nodiscard]] dataplane::Tick now() const;

 private:
  struct RingDeleter {
    void operator()(rte_ring* ring) const noexcept;
  };
  using RingPtr = std::unique_ptr<rte_ring, RingDeleter>;

  WorkerSet(const PortSet& ports, WorkerSetOptions options)
      : ports_(ports), options_(std::move(options)) {}
  [[nodiscard]] std::expected<void, Error> make_rings();
  [[nodiscard]] std::expected<void, Error> make_hand_off(size_t port, uint16_t owner);
  void make_workers();
  void connect_port(size_t port);

  const PortSet& ports_;
  WorkerSetOptions options_;
  dataplane::SharedState shared_;
  RingPtr requests_;
  std::vector<RingPtr> hand_off_;
  std::vector<dataplane::ExceptionRingsPtr> rings_;
  std::vector<std::unique_ptr<dataplane::Worker>> workers_;
  std::optional<dataplane::ExceptionThread> exception_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace headgate::control
