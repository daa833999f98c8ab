// A change that ends connections, or ends them sooner, also reaches those of which nothing is heard
// and whose timer is set for later: a backend passed its deadline or was removed with
// `on_backend_removed: expire`, is down with `on_down: reschedule`, or a time-out became shorter.
// TCP's of one that is down with `on_down: reset` are left to their next packet: without its
// numbers nobody would take a reset, and forgotten they would get none. The path sees to those that
// send something at once; for the others a worker goes through its entries, a few at each turn,
// when a snapshot says so, and again at the earliest deadline that it met on the way.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/conn_table.h"
#include "dataplane/limits.h"

namespace headgate::dataplane {

struct Worker;

// How far a worker is. Its own alone.
struct Sweep {
  uint32_t serial = 0;  // of the snapshot that the last sweep began with
  uint64_t cursor = ConnTable::scan_end;
  std::optional<Tick> earliest;  // deadline seen in this sweep
  std::optional<Tick> next;      // when to sweep again
};

// One step, at most a bounded number of entries.
void sweep_entries(Worker& worker) noexcept;

}  // namespace headgate::dataplane
