// What the daemon does for `headgate`: one function a command. docs/control-protocol.md lists their
// arguments and results.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json/array.hpp>

#include "control/arguments.h"
#include "control/audit_text.h"
#include "control/changes.h"
#include "control/cli_server.h"
#include "control/pending_apply.h"
#include "control/protocol.h"
#include "control/selector.h"
#include "control/state.h"

namespace headgate::control {

// One request on its way.
struct Call {
  State& state;
  Changes& changes;
  boost::asio::thread_pool& pool;
  PendingApply& pending;
  Peer peer;
  Arguments arguments;
  SendRows send;
  AuditEntry audit{};  // of a command that changes something: what of it the status does not say

  [[nodiscard]] boost::asio::awaitable<void> send_rows(boost::json::array rows);
};

struct Command {
  std::string_view name;
  boost::asio::awaitable<protocol::Status> (*run)(Call& call);
  bool audited = false;         // it changes something: its end goes into the audit log
  bool long_arguments = false;  // it writes `audit.command` itself, and shorter
};

// Each file of commands has its list.
[[nodiscard]] std::span<const Command> show_commands();
[[nodiscard]] std::span<const Command> change_commands();
[[nodiscard]] std::span<const Command> transaction_commands();
[[nodiscard]] std::span<const Command> vrrp_commands();
[[nodiscard]] std::span<const Command> health_commands();
[[nodiscard]] std::span<const Command> audit_commands();
[[nodiscard]] std::span<const Command> plan_commands();
[[nodiscard]] std::span<const Command> apply_commands();

[[nodiscard]] protocol::Status refused(std::string message);
// With the reason, for programs; see reason_name().
[[nodiscard]] protocol::Status refused(const Error& error);
// service_exists and so on; empty for `other`.
[[nodiscard]] std::string_view reason_name(Reason reason);
[[nodiscard]] protocol::Status wrong_usage(std::string message);

// Why a client may not name this file for the daemon to read; nothing when it may.
[[nodiscard]] std::optional<protocol::Status> mistake_of_file(
    const Peer& peer, const std::optional<std::string>& file);
// What became of a change, as the client is told; logs it, and keeps it for the audit log.
[[nodiscard]] protocol::Status status_of(Call& call, std::string_view command,
                                         const std::expected<ChangeOutcome, Error>& outcome);
// A reply has a limit (protocol.h): of very many lines it holds the first ones.
[[nodiscard]] boost::json::array first_lines(const std::vector<std::string>& lines, size_t most);

// What `service` and `backend` of a request's arguments name: all services, one, or a backend of
// it. The arguments are done with. An error is the answer.
struct Chosen {
  ServiceRange services;
  bool all = false;               // none was named
  std::optional<size_t> backend;  // of the one service
};
[[nodiscard]] std::expected<Chosen, protocol::Status> chosen(Call& call,
                                                             const config::Config& config);

// Rows that go into one frame, and are put together without a pause.
inline constexpr size_t rows_per_piece = 128;

class Commands {
 public:
  // All outlive the object.
  Commands(boost::asio::io_context& loop, boost::asio::thread_pool& pool, State& state,
           Changes& changes)
      : state_(state), changes_(changes), pool_(pool), pending_(loop, pool, state, changes) {}

  [[nodiscard]] boost::asio::awaitable<protocol::Status> run(Peer peer, protocol::Request request,
                                                             SendRows send);
  [[nodiscard]] const PendingApply& pending() const { return pending_; }

 private:
  State& state_;
  Changes& changes_;
  boost::asio::thread_pool& pool_;
  PendingApply pending_;
};

}  // namespace headgate::control
