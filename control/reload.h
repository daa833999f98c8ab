// Reading the configuration file again: for SIGHUP and the command line.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "control/audit_text.h"
#include "control/changes.h"
#include "control/state.h"

namespace headgate::control {

// Reads `file`, or the one that was read last, and makes what it says run, all of it or nothing.
// The error holds every mistake, a line each. A file that was named is the one to read from then
// on.
[[nodiscard]] boost::asio::awaitable<std::expected<ChangeOutcome, Error>> reload(
    State& state, Changes& changes, boost::asio::thread_pool& pool, std::optional<std::string> file,
    Submission how = {});

// Until no reload is under way; what is done before the next co_await comes before another one.
[[nodiscard]] boost::asio::awaitable<void> wait_for_reloads(State& state);

// What became of a change, in one sentence.
[[nodiscard]] std::string sentence_of(const ChangeOutcome& outcome);

// What the audit log is to hold of a change: its lines and generation; the rest is the caller's.
void put_outcome(AuditEntry& entry, const std::expected<ChangeOutcome, Error>& outcome);

// Logs what a change did, or why it was refused; `what` says who asked for it.
void log_outcome(std::string_view what, const std::expected<ChangeOutcome, Error>& outcome);

}  // namespace headgate::control
