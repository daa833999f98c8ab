// One attempt to find out whether a server answers as a check wants it. Probes run on the control
// loop as coroutines over non-blocking sockets of the kernel; nothing here blocks, and a probe
// holds no more than one socket, or one program, at a time.
//
// A Prober is a check made ready for one target: requests are written out, expressions compiled,
// certificates loaded when it is made, not at each attempt.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/health_model.h"
#include "control/error.h"
#include "control/program_user.h"
#include "dataplane/net/address.h"

namespace headgate::control {

// What is asked, after all defaults.
struct ProbeTarget {
  net::IpAddress address;
  uint16_t port = 0;  // host byte order; 0 for ping and script where none is known

  bool operator==(const ProbeTarget&) const = default;
};

struct ProbeOutcome {
  bool up = false;
  // In words, without who was asked: "connect to 10.0.0.7:80 timed out after 3 s", "status 503 from
  // /health, expected 200-299".
  std::string reason;
  std::optional<uint16_t> weight{};  // that a script asks for
  // false: there was no descriptor, memory, port or permission to ask with, which says nothing of
  // the server.
  bool asked = true;
};

class Prober {
 public:
  virtual ~Prober() = default;
  // One attempt, over after the check's timeout_ms at most (a script that does not die takes two
  // seconds more to be reaped, but the attempt is answered in time). Not called again before it has
  // ended, always on the same loop. Cancelled (asio terminal cancellation), it closes what it has
  // opened and ends with an outcome that means nothing.
  [[nodiscard]] virtual boost::asio::awaitable<ProbeOutcome> run() = 0;
};

// An error when the check cannot be made ready: an expression or certificate file that cannot be
// read. `user` is who runs a script; empty: the daemon's own. May read files: on the helper pool.
// `helpers` is where an expression is looked for in a long page, joined before the loop goes;
// without it that may take the loop some milliseconds.
[[nodiscard]] std::expected<std::unique_ptr<Prober>, Error> make_prober(
    const config::Check& check, const ProbeTarget& target,
    const std::optional<ProgramUser>& user = {}, boost::asio::thread_pool* helpers = nullptr);

}  // namespace headgate::control
