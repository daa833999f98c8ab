#include "dataplane/drain.h"

#include "dataplane/lifetime.h"

namespace headgate::dataplane {
namespace {

constexpr uint32_t entries_per_turn = 512;

bool is_past(Tick tick, Tick now) noexcept {
  return static_cast<int32_t>(now - tick) >= 0;
}

void begin_when_due(Worker& worker) noexcept {
  DrainSweep& sweep = worker.drains;
  const uint32_t serial = worker.root->drain_serial;
  const bool deadline_came = sweep.next && is_past(*sweep.next, worker.now.tick);
  if (serial == sweep.serial && !deadline_came) return;
  sweep = {.serial = serial, .cursor = 0, .earliest = std::nullopt, .next = std::nullopt};
}

void look_at(Worker& worker, ConnRef ref, const ConnCommon& entry) noexcept {
  // Each worker ends its own: their timers are its to change.
  if (entry.state().owner() != worker.options.id) return;
  const BackendRow* backend =
      find_backend(worker.region, *worker.root, entry.backend_id.load(std::memory_order_relaxed));
  if (backend == nullptr) return;
  const Tick deadline = backend->deadline_tick;
  const bool passed = deadline != 0 && is_past(deadline, worker.now.tick);
  if (passed || (backend->flags & backend_expire) != 0) {
    end_connection(worker, ref);
  } else if (deadline != 0) {
    std::optional<Tick>& earliest = worker.drains.earliest;
    if (!earliest || !is_past(*earliest, deadline)) earliest = deadline;
  }
}

}  // namespace

void sweep_drains(Worker& worker) noexcept {
  begin_when_due(worker);
  DrainSweep& sweep = worker.drains;
  if (sweep.cursor == ConnTable::scan_end) return;
  sweep.cursor = worker.connections.for_each(
      sweep.cursor, entries_per_turn,
      [&worker](ConnRef ref, const ConnCommon& entry) noexcept { look_at(worker, ref, entry); });
  if (sweep.cursor == ConnTable::scan_end) sweep.next = sweep.earliest;
}

}  // namespace headgate::dataplane
