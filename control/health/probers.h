// The probers behind make_prober(), one function a kind; and how they say what has come of it.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/thread_pool.hpp>

#include "config/health_model.h"
#include "control/error.h"
#include "control/health/prober.h"
#include "control/program_user.h"

namespace headgate::control {

using MadeProber = std::expected<std::unique_ptr<Prober>, Error>;
using ProbeClock = std::chrono::steady_clock;

[[nodiscard]] MadeProber make_tcp_prober(const config::Check& check, const ProbeTarget& target);
[[nodiscard]] MadeProber make_http_prober(const config::Check& check, const ProbeTarget& target,
                                          boost::asio::thread_pool* helpers);
[[nodiscard]] MadeProber make_udp_prober(const config::Check& check, const ProbeTarget& target);
[[nodiscard]] MadeProber make_dns_prober(const config::Check& check, const ProbeTarget& target);
[[nodiscard]] MadeProber make_smtp_prober(const config::Check& check, const ProbeTarget& target);
[[nodiscard]] MadeProber make_ping_prober(const config::Check& check, const ProbeTarget& target);
[[nodiscard]] MadeProber make_script_prober(const config::Check& check,
                                            const std::optional<ProgramUser>& user);

[[nodiscard]] inline ProbeOutcome probe_up(std::string reason) {
  return {.up = true, .reason = std::move(reason)};
}
[[nodiscard]] inline ProbeOutcome probe_down(std::string reason) {
  return {.up = false, .reason = std::move(reason)};
}
// For want of something of ours, by errno, the server was not asked; else it is down.
[[nodiscard]] ProbeOutcome probe_failed(std::string reason, int code);
// What is not read by anybody: whoever cancels does not ask any more.
[[nodiscard]] inline ProbeOutcome probe_cancelled() {
  return {.up = false, .reason = "cancelled", .asked = false};
}

// "3 s", "250 ms".
[[nodiscard]] std::string duration_text(std::chrono::milliseconds duration);

}  // namespace headgate::control
