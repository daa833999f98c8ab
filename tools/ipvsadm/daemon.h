// The daemon behind ipvsadm's commands: requests, and listings as they come in.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "control/protocol.h"
#include "tools/ipvsadm/daemon_rows.h"
#include "tools/ipvsadm/options.h"

namespace headgate::ipvsadm {

// What went wrong: a line for standard error, and why, where the daemon told a reason.
struct Refusal {
  std::string reason{};
  std::string message{};
  std::optional<size_t> index{};  // of the command of a transaction that is to blame
};

class Daemon {
 public:
  explicit Daemon(std::string socket) : socket_(std::move(socket)) {}

  using OnRow = std::function<void(const boost::json::object& row)>;
  [[nodiscard]] std::expected<boost::json::object, Refusal> ask(
      const control::protocol::Request& request, const OnRow& on_row = {}) const;

  // All services, or the one; see ListingBuilder.
  [[nodiscard]] std::expected<std::vector<ListedService>, Refusal> services(
      const std::optional<ServiceId>& only, Which which, bool with_templates) const;
  // Entries that the connection tables can hold.
  [[nodiscard]] std::expected<uint64_t, Refusal> table_size() const;
  // tcp, tcpfin, udp, in seconds.
  [[nodiscard]] std::expected<std::array<uint32_t, 3>, Refusal> timeouts() const;

 private:
  std::string socket_;
};

}  // namespace headgate::ipvsadm
