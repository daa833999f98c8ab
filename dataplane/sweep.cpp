#include "dataplane/sweep.h"

#include "dataplane/lifetime.h"

namespace headgate::dataplane {
namespace {

constexpr uint32_t entries_per_turn = 512;

void begin_when_due(Worker& worker) noexcept {
  Sweep& sweep = worker.sweep;
  const uint32_t serial = worker.root->sweep_serial;
  const bool deadline_came = sweep.next && is_past(*sweep.next, worker.now.tick);
  if (serial == sweep.serial && !deadline_came) return;
  sweep = {.serial = serial, .cursor = 0, .earliest = std::nullopt, .next = std::nullopt};
}

// Whether the entry ends at once, whatever would still come.
bool is_to_end(const BackendRow& backend, const ConnCommon& entry) noexcept {
  if ((backend.flags & backend_expire) != 0) return true;
  const bool is_tcp_flow = entry.kind == EntryKind::flow && entry.protocol == net::protocol_tcp;
  return (backend.flags & backend_reset) != 0 && !is_tcp_flow;
}

void look_at(Worker& worker, ConnRef ref, const ConnCommon& entry) noexcept {
  // Each worker ends its own: their timers are its to change.
  if (entry.state().owner() != worker.options.id) return;
  const BackendRow* backend =
      find_backend(worker.region, *worker.root, entry.backend_id.load(std::memory_order_relaxed));
  if (backend != nullptr) {
    if (is_to_end(*backend, entry) || deadline_passed(worker, *backend)) {
      return end_connection(worker, ref);
    }
    const Tick deadline = backend->deadline_tick;
    std::optional<Tick>& earliest = worker.sweep.earliest;
    if (deadline != 0 && (!earliest || !is_past(*earliest, deadline))) earliest = deadline;
  }
  worker.wheel.disarm(ref);
  worker.wheel.arm(ref, next_look(worker, ref));
}

}  // namespace

void sweep_entries(Worker& worker) noexcept {
  begin_when_due(worker);
  Sweep& sweep = worker.sweep;
  if (sweep.cursor == ConnTable::scan_end) return;
  sweep.cursor = worker.connections.for_each(
      sweep.cursor, entries_per_turn,
      [&worker](ConnRef ref, const ConnCommon& entry) noexcept { look_at(worker, ref, entry); });
  if (sweep.cursor == ConnTable::scan_end) sweep.next = sweep.earliest;
}

}  // namespace headgate::dataplane
