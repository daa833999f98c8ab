// The rules of firewall marks in a snapshot's draft.
#pragma once

#include <expected>
#include <vector>

#include "control/error.h"
#include "control/snapshot_draft.h"

namespace headgate::control {

// Puts the draft's rules into blocks, one for each range of ports.
[[nodiscard]] std::expected<void, Error> put_marks(SnapshotDraft& draft);

// The single addresses whose rules lead to a service: VIPs like those that services name.
[[nodiscard]] std::vector<net::IpAddress> addresses_by_mark(const SnapshotDraft& draft);

}  // namespace headgate::control
