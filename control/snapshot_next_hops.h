// Next hops and neighbours in a snapshot's draft.
#pragma once

#include <expected>

#include "control/error.h"
#include "control/snapshot_draft.h"

namespace headgate::control {

// The rows of all neighbours that the draft's backends, routes and neighbours refer to, and the
// list of those that are wanted. When all else is in the draft.
[[nodiscard]] std::expected<void, Error> put_next_hops(SnapshotDraft& draft);

}  // namespace headgate::control
