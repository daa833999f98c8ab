// The lines of the audit log: what goes into one, and how it is cut to a bounded length. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "control/peer.h"

namespace headgate::control {

// What made a change.
enum class AuditSource : uint8_t { cli, signal, health, timer, daemon };

struct AuditEntry {
  AuditSource source = AuditSource::daemon;
  std::optional<Peer> peer;          // of `cli`
  std::string command;               // with its arguments, as they were given
  std::string outcome;               // "done, generation 7", "refused: why"
  std::vector<std::string> changes;  // a line each, as in the log
  size_t more_changes = 0;           // that are not in `changes`
  uint64_t generation = 0;           // that holds the change; 0: none
};

// What one line may hold; longer texts are cut, and say so.
inline constexpr size_t most_audit_changes = 100;
inline constexpr size_t longest_audit_text = 4096;    // of command and outcome
inline constexpr size_t longest_audit_change = 1024;  // bytes

// `backend edit service=web backend=10.0.0.1:80 weight=5`; a value that is not plain is written as
// JSON, in quotes, so that no argument looks like another one.
[[nodiscard]] std::string command_text(std::string_view name, const boost::json::object& arguments);

// One JSON object without a line break in it, and without the one at its end: `time` (RFC 3339,
// UTC), `source`, of a peer `uid`, `pid` and (where it is known) `user`, then `command`,
// `outcome`, `generation` and `changes`, where there are any.
[[nodiscard]] std::string audit_line(const AuditEntry& entry, std::string_view user,
                                     std::chrono::system_clock::time_point time);

// Whether a command's answer was no: its outcome begins so.
inline constexpr std::string_view audit_refused = "refused: ";

}  // namespace headgate::control
