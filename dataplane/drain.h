// The end of drains: connections whose backend has passed its deadline, or was removed with
// `on_backend_removed: expire`, end although nothing is heard of them. The path ends those that
// send something at once; for the others a worker goes through its entries, a few at each turn,
// when a snapshot says that some backend got a deadline or expired, and again at the earliest
// deadline that it met on the way.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/conn_table.h"
#include "dataplane/limits.h"

namespace headgate::dataplane {

struct Worker;

// How far a worker is. Its own alone.
struct DrainSweep {
  uint32_t serial = 0;  // of the snapshot that the last sweep began with
  uint64_t cursor = ConnTable::scan_end;
  std::optional<Tick> earliest;  // deadline seen in this sweep
  std::optional<Tick> next;      // when to sweep again
};

// One step, at most a bounded number of entries.
void sweep_drains(Worker& worker) noexcept;

}  // namespace headgate::dataplane
