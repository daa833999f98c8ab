// Ports, interfaces and routes in a snapshot's draft.
#pragma once

#include <expected>

#include "control/error.h"
#include "control/kernel_state.h"
#include "control/snapshot_draft.h"

namespace headgate::control {

// Takes over these parts of the kernel's state: interfaces, routes, and every backend's way.
[[nodiscard]] std::expected<void, Error> put_network(SnapshotDraft& draft, const KernelState& state,
                                                     KernelParts parts);
// The ports and interfaces as they were set up: with the first snapshot, before any kernel state.
[[nodiscard]] std::expected<void, Error> put_ports(SnapshotDraft& draft);
[[nodiscard]] std::expected<void, Error> put_interfaces(SnapshotDraft& draft);

}  // namespace headgate::control
